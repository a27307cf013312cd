//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("config {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's contents are refused.
    #[error("config {path}: {source}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: Refusal,
    },
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not YAML.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// It is YAML, but a list or a single value.
    #[error(
        "{0} is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it"
    )]
    NotAMap(&'static str),
    /// A field is unknown, or its value is not of its type or out of its range.
    #[error("{path}: {message}")]
    Field {
        /// The way to the field.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value is out of range, or contradicts another one.
    #[error("{0}")]
    Combination(String),
}
