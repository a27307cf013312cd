//! What went wrong between the client and a server, told apart by what somebody has to do about it.

use std::fmt;
use std::io;

use crate::frame::FrameError;

/// Why a connection failed or ended.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorKind {
    /// No connection: the network, a name, or a server that is down.
    Connection,
    /// The certificates of one side do not satisfy the other, or can't be loaded.
    Tls,
    /// The server does not answer in time.
    Timeout,
    /// The server closed the connection.
    Closed,
    /// The server is not fit to be used, and another may be: it lacks the database, is cut off from its
    /// cluster, or is not its leader.
    Unfit,
    /// The server refuses a request.
    Refused,
    /// The server sent what no OVSDB server sends.
    Unreadable,
    /// The server sent more than a limit allows.
    TooLarge,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The name in snake case, for logs and metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A failure, with a message of one line for people.
///
/// The message may quote, at bounded length, what the server sent, control characters included:
/// escape it where a terminal or a log would act on them.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

impl Error {
    /// An error of this kind with this message.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// An I/O error, which stays the [source](std::error::Error::source).
    pub(crate) fn io(kind: ErrorKind, error: io::Error) -> Self {
        Self {
            kind,
            message: error.to_string(),
            source: Some(error),
        }
    }

    /// What a server sent can't be read.
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreadable, message)
    }

    /// The same with the place of what can't be read in front.
    pub(crate) fn at(mut self, place: &str) -> Self {
        if self.kind == ErrorKind::Unreadable {
            self.message.insert_str(0, ": ");
            self.message.insert_str(0, place);
        }
        self
    }

    /// A server refuses a request, in its own words.
    pub(crate) fn refused(method: &str, words: &str) -> Self {
        let message = format!("the server refuses {method}: {words}");
        Self::new(ErrorKind::Refused, message)
    }

    /// A server is not fit to be used.
    pub(crate) fn unfit(why: impl fmt::Display) -> Self {
        let message = format!("the server is left for the next: {why}");
        Self::new(ErrorKind::Unfit, message)
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        let kind = match error {
            FrameError::NotAnObject(_) => ErrorKind::Unreadable,
            FrameError::TooLong(_) | FrameError::TooDeep => ErrorKind::TooLarge,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_in_snake_case() {
        let names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        let expect = "connection tls timeout closed unfit refused unreadable too_large";
        assert_eq!(names.join(" "), expect);
    }
}
