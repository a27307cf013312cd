//! Why a request gets a status instead of an answer, in one mapping.

use std::str::Utf8Error;
use std::time::Duration;

use axum::http::{Method, StatusCode};

use crate::http::limits::Exhausted;
use crate::http::metrics::RefusalCause;
use crate::wire::admission::ReviewError;
use crate::wire::extender::ArgsError;

/// A request that is not answered in its own protocol. The text goes to the caller and to the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The body is not an admission review.
    #[error(transparent)]
    BadReview(#[from] ReviewError),
    /// The body is not an extender call.
    #[error(transparent)]
    BadArgs(#[from] ArgsError),
    /// The body is not UTF-8, which JSON is.
    #[error("the body is not JSON: {0}")]
    NotUtf8(#[source] Utf8Error),
    /// The query's `timeout` is not a duration.
    #[error("?timeout={0:?} is not a duration (example: 10s)")]
    BadTimeout(String),
    /// The query can't be taken apart.
    #[error("the query is not readable: {0}")]
    BadQuery(String),
    /// The connection broke or the body's framing is wrong.
    #[error("the body did not arrive whole: {0}")]
    BrokenBody(axum::Error),
    /// The body is larger than allowed.
    #[error("the body is larger than the limit of {limit} bytes{}", by(*.field))]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The field of the configuration that sets it, where one does.
        field: Option<&'static str>,
    },
    /// The body did not come in time.
    #[error("the body did not arrive within {0:?}")]
    StalledBody(Duration),
    /// The answer was not ready in time.
    #[error("no answer was ready within {0:?}")]
    Late(Duration),
    /// The body came too slowly.
    #[error("the body brought less than {rate} bytes a second for {period:?} (limits.bodyRate)")]
    SlowBody {
        /// The least bytes a second.
        rate: usize,
        /// For how long there were fewer.
        period: Duration,
    },
    /// There are as many requests in progress as the surface may have, or as the peer may.
    #[error("too many requests in progress{of_peer}, try again", of_peer = of_peer(*.0))]
    Requests(Exhausted),
    /// Requests and answers hold as many bytes as they may, or as those of the peer may.
    #[error("too many bytes in progress{of_peer}, try again", of_peer = of_peer(*.0))]
    Bytes(Exhausted),
    /// The work was given up, because the service ends.
    #[error("the request was given up: berth is shutting down")]
    GivenUp,
    /// The route needs a certificate, and the client showed none.
    #[error("a client certificate is needed here ({0}), and none was shown")]
    NoCertificate(&'static str),
    /// The client's certificate is not one of those that the route takes.
    #[error("the client certificate is not valid now, or not of a CA that is accepted here ({0})")]
    OtherCertificate(&'static str),
    /// The cluster is not known yet.
    #[error("the cluster view is not complete yet, try again")]
    NotReady,
    /// The path does not exist.
    #[error(
        "no such path: there are POST /mutate, /validate, /scheduler/filter, /scheduler/prioritize, /scheduler/preempt and /scheduler/bind"
    )]
    NoRoute,
    /// The path exists, for another method.
    #[error("{0} is not served here: use POST")]
    WrongMethod(Method),
}

impl Refusal {
    /// The status that the caller gets, and the cause in metrics.
    pub(super) const fn answer(&self) -> (StatusCode, RefusalCause) {
        match self {
            Self::BadReview(_)
            | Self::BadArgs(_)
            | Self::NotUtf8(_)
            | Self::BadTimeout(_)
            | Self::BadQuery(_)
            | Self::BrokenBody(_) => (StatusCode::BAD_REQUEST, RefusalCause::BadRequest),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, RefusalCause::TooLarge),
            Self::StalledBody(_) | Self::SlowBody { .. } => {
                (StatusCode::REQUEST_TIMEOUT, RefusalCause::Timeout)
            }
            Self::Late(_) => (StatusCode::SERVICE_UNAVAILABLE, RefusalCause::Timeout),
            Self::Requests(Exhausted::Budget) | Self::Bytes(Exhausted::Budget) | Self::GivenUp => {
                (StatusCode::SERVICE_UNAVAILABLE, RefusalCause::Overloaded)
            }
            Self::Requests(Exhausted::Share) | Self::Bytes(Exhausted::Share) => {
                (StatusCode::TOO_MANY_REQUESTS, RefusalCause::PeerShare)
            }
            Self::NoCertificate(_) => (StatusCode::UNAUTHORIZED, RefusalCause::Unauthorized),
            Self::OtherCertificate(_) => (StatusCode::FORBIDDEN, RefusalCause::Unauthorized),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, RefusalCause::NotReady),
            Self::NoRoute => (StatusCode::NOT_FOUND, RefusalCause::NoRoute),
            Self::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, RefusalCause::NoRoute),
        }
    }
}

fn by(field: Option<&'static str>) -> String {
    field.map_or_else(String::new, |field| format!(" (limits.{field})"))
}

fn of_peer(exhausted: Exhausted) -> &'static str {
    match exhausted {
        Exhausted::Budget => "",
        Exhausted::Share => " for this peer",
    }
}
