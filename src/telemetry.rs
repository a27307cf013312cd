//! Logs: to standard error, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::Log;
use crate::config::log_format::LogFormat;

/// What fails in kube comes to berth, which says it once and in its own words. Who wants kube's as
/// well names it in the level.
const QUIET: &str = "kube_client=off,kube_runtime=off";

/// Begins to log. A second call changes nothing.
pub fn init(log: &Log) {
    let Log { format, level } = log;
    // The level was read; what is left is the same in EnvFilter's notation, in which the last word
    // about a target holds.
    let filter = EnvFilter::new(format!("{QUIET},{}", level.as_str()));
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
}
