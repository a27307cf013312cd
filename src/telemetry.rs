//! Logs: to standard error, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Log, LogFormat};

/// Why logs can't be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a filter.
    #[error("log level {level:?}: {source}")]
    BadLevel {
        /// What was given.
        level: String,
        /// Why it is none.
        source: ParseError,
    },
}

/// Begins to log. A second call changes nothing.
pub fn init(log: &Log) -> Result<(), LogError> {
    let Log { format, level } = log;
    let filter = EnvFilter::try_new(level).map_err(|source| LogError::BadLevel {
        level: level.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let for_people = match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let begun = if for_people {
        builder.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // The only error is that something logs already, as in a test.
    drop(begun);
    Ok(())
}
