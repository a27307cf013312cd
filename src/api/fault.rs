//! What went wrong between berth and the API server, told apart by what somebody has to do about it.

use std::error::Error;
use std::fmt;
use std::io;

use kube::core::Status;

use crate::text::{LONGEST_TEXT, shorten};

/// Why a request to the API server came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Nobody answers: the network, a name, a certificate, or a server that is down.
    Connection,
    /// Nobody answered in time.
    Timeout,
    /// 401: the server does not know who asks.
    Unauthorized,
    /// 403: a rule of RBAC is missing.
    Forbidden,
    /// 404: there is no such object, or its CRD is not installed.
    NotFound,
    /// 409: somebody else was faster.
    Conflict,
    /// 410: what was asked for is too old, as after a pause of a watch.
    Expired,
    /// 429: the server has too much to do.
    Throttled,
    /// Any other status.
    Server,
    /// The answer is none that a Kubernetes API gives, or the question none that it takes.
    Unreadable,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Connection,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Expired,
        Self::Throttled,
        Self::Server,
        Self::Unreadable,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Expired => "expired",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Unreadable => "unreadable",
        }
    }

    const fn of_status(code: u16) -> Self {
        match code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            410 => Self::Expired,
            429 => Self::Throttled,
            _ => Self::Server,
        }
    }
}

/// A request that came to nothing: the cause, and what the server or the system said, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub cause: Cause,
    message: String,
}

impl Fault {
    /// A fault that berth itself found.
    #[must_use]
    pub fn new(cause: Cause, message: impl AsRef<str>) -> Self {
        Self {
            cause,
            message: one_line(message.as_ref()),
        }
    }
}

fn one_line(text: &str) -> String {
    let words = fmt::from_fn(|f| {
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    });
    // A proxy in between may say a page of HTML.
    shorten(words, LONGEST_TEXT)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

impl From<&Status> for Fault {
    fn from(status: &Status) -> Self {
        let Status {
            message,
            reason,
            code,
            ..
        } = status;
        if *code == 0 {
            // What kube makes of an event of a watch that it can't decode.
            return Self::new(
                Cause::Unreadable,
                "an event of a watch is no Kubernetes object",
            );
        }
        let said = match (message.trim(), reason.as_str()) {
            ("", "") => "no reason given",
            ("", reason) => reason,
            (message, _) => message,
        };
        Self::new(Cause::of_status(*code), format!("{said} (status {code})"))
    }
}

impl From<&kube::Error> for Fault {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(status.as_ref()),
            // The answer, or what berth asked for.
            kube::Error::SerdeError(_)
            | kube::Error::FromUtf8(_)
            | kube::Error::LinesCodecMaxLineLengthExceeded
            | kube::Error::BuildRequest(_)
            | kube::Error::HttpError(_) => Self::new(Cause::Unreadable, chain(error)),
            kube::Error::Service(source) => {
                let cause = if timed_out(source.as_ref()) {
                    Cause::Timeout
                } else {
                    Cause::Connection
                };
                Self::new(cause, chain(source.as_ref()))
            }
            other => Self::new(Cause::Connection, chain(other)),
        }
    }
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| {
        source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
}

/// An error with what caused it, as far as each says something that was not said before.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for source in sources(error) {
        let said = source.to_string();
        if text.is_empty() {
            text = said;
        } else if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
    }
    text
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_its_code_and_in_the_servers_words() {
        let forbidden = "nodes is forbidden: User \"berth\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
        for (status, cause, text) in [
            (
                Status::failure(forbidden, "Forbidden").with_code(403),
                Cause::Forbidden,
                format!("{forbidden} (status 403)"),
            ),
            (
                Status::failure("", "Expired").with_code(410),
                Cause::Expired,
                "Expired (status 410)".to_owned(),
            ),
            (
                Status::failure("", "").with_code(500),
                Cause::Server,
                "no reason given (status 500)".to_owned(),
            ),
            (
                Status::failure("", ""),
                Cause::Unreadable,
                "an event of a watch is no Kubernetes object".to_owned(),
            ),
        ] {
            let fault = Fault::from(&kube::Error::Api(status.boxed()));
            assert_eq!((fault.cause, fault.to_string()), (cause, text));
        }
    }

    #[test]
    fn what_others_say_is_one_line_of_some_length() {
        let page = format!("<html>\n  <body>{}</body>", "x".repeat(1000));
        let fault = Fault::new(Cause::Server, "a\u{1b}[2J\u{85}b\u{202e}");
        assert_eq!(fault.to_string(), "a\\u{1b}[2J b\\u{202e}");
        let fault = Fault::new(Cause::Server, page);
        let line = fault.to_string();
        assert!(
            line.starts_with("<html> <body>xxx") && line.ends_with("x…"),
            "{line}"
        );
        assert_eq!(line.chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn what_the_system_says_is_said_once() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let nested = io::Error::other(refused());
        let fault = Fault::from(&kube::Error::Service(nested.into()));
        assert_eq!(fault, Fault::new(Cause::Connection, "connection refused"));
        let late = io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let fault = Fault::from(&kube::Error::Service(late.into()));
        assert_eq!(fault, Fault::new(Cause::Timeout, "no answer"));
    }
}
