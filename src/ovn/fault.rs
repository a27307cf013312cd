//! What went wrong between berth and a database server, told apart by what somebody has to do about
//! it.

use std::error::Error;
use std::fmt;

use crate::text::{LONGEST_TEXT, shorten};

/// Why a connection came to nothing, or to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Nobody answers: the network, a name, or a server that is down.
    Connection,
    /// The certificates of one side do not satisfy the other, or can't be read.
    Tls,
    /// The connection is there and nothing comes over it.
    Timeout,
    /// The other side ended the connection.
    Closed,
    /// The server is no use: another is asked.
    Unfit,
    /// The server does not do what it is asked.
    Refused,
    /// The answer is none that an OVSDB server gives.
    Unreadable,
    /// The answer is longer, or takes more when it is read, than berth has room for.
    TooLarge,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Connection,
        Self::Tls,
        Self::Timeout,
        Self::Closed,
        Self::Unfit,
        Self::Refused,
        Self::Unreadable,
        Self::TooLarge,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Unfit => "unfit",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
        }
    }
}

/// A connection that came to nothing: the cause, and what there is to say about it, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub cause: Cause,
    message: String,
}

impl Fault {
    /// A fault with what there is to say about it, of which a person sees as much as there is room for.
    #[must_use]
    pub fn new(cause: Cause, message: impl fmt::Display) -> Self {
        Self {
            cause,
            message: shorten(message, LONGEST_TEXT),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_the_causes_in_their_order() {
        assert!(
            Cause::ALL
                .iter()
                .enumerate()
                .all(|(i, cause)| i == *cause as usize)
        );
    }
}
