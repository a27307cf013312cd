//! What bounds a request and a connection.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::units::{Size, Span};

/// What bounds a request and a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// The largest body of an admission review. A larger one gets 413.
    pub admission_body: Size,
    /// The largest body of an extender call. A larger one gets 413.
    pub extender_body: Size,
    /// How many bytes all admission requests and their responses may hold together. Beyond it a
    /// request gets 503. A single peer gets 429 earlier, so that it leaves room for others: one
    /// body can take at most a third of this limit. berth needs up to two and a half times these
    /// bytes: this limit and `extenderBodiesInFlight`, times two and a half, plus 64 MiB for a
    /// large cluster, have to fit into the memory of the container.
    pub admission_bodies_in_flight: Size,
    /// The same limit for extender calls.
    pub extender_bodies_in_flight: Size,
    /// How many admission reviews may be in progress at once. Beyond it a request gets 503. Peers
    /// share this limit as they share bytes.
    pub admission_requests: u32,
    /// The same limit for extender calls.
    pub extender_requests: u32,
    /// How many bind calls may be in progress at once. Each waits for as long as the network of a
    /// migration takes.
    pub bind_requests: u32,
    /// The lowest rate, in bytes per second, at which a body may arrive, measured over two seconds.
    /// A slower one gets 408.
    pub body_rate: Size,
    /// How many HTTPS connections may be open. To accept another one, berth closes the oldest idle
    /// connection of the peer that has the most.
    pub connections: u32,
    /// How long berth may take from the request header to a complete response, and again as long to
    /// send it. The `?timeout=` of an admission review applies if it is shorter.
    pub handler_timeout: Span,
    /// How many VMIs berth may look up per second at the API server because the watch has not
    /// delivered them yet. One address gets half of this; bursts of four times as many are allowed.
    pub lookups_per_second: u32,
    /// How long one such lookup may take.
    pub lookup_timeout: Span,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Span,
    /// How long a request header may take, and the first byte on a new connection.
    pub header_timeout: Span,
    /// How long a connection may stay without a request, or without reading its response. It is
    /// longer than the 90 s after which Go clients close an idle connection, because a server that
    /// closes first may cut off a request.
    pub idle_timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission_body: Size(8 << 20),
            extender_body: Size(42 << 20),
            admission_bodies_in_flight: Size(32 << 20),
            extender_bodies_in_flight: Size(128 << 20),
            admission_requests: 256,
            extender_requests: 64,
            bind_requests: 512,
            body_rate: Size(64 << 10),
            connections: 2048,
            handler_timeout: Span(Duration::from_secs(10)),
            lookups_per_second: 50,
            lookup_timeout: Span(Duration::from_secs(1)),
            handshake_timeout: Span(Duration::from_secs(10)),
            header_timeout: Span(Duration::from_secs(10)),
            idle_timeout: Span(Duration::from_mins(2)),
        }
    }
}

impl Limits {
    /// Refuses values that are out of range or contradict each other.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Self {
            admission_body,
            extender_body,
            admission_bodies_in_flight,
            extender_bodies_in_flight,
            admission_requests,
            extender_requests,
            bind_requests,
            connections,
            lookups_per_second,
            ..
        } = self;
        for (caller, body, in_flight) in [
            ("admission", admission_body, admission_bodies_in_flight),
            ("extender", extender_body, extender_bodies_in_flight),
        ] {
            // As much as one connection may hold.
            if body.bytes().saturating_mul(3) > in_flight.bytes() {
                return Err(Refusal::Combination(format!(
                    "limits.{caller}Body: {body} is more than a third of limits.{caller}BodiesInFlight, {in_flight}, which is what one connection may hold: no such body could be read"
                )));
            }
        }
        for (name, count) in [
            ("limits.admissionRequests", *admission_requests),
            ("limits.extenderRequests", *extender_requests),
            ("limits.bindRequests", *bind_requests),
            ("limits.connections", *connections),
            ("limits.lookupsPerSecond", *lookups_per_second),
        ] {
            if count == 0 {
                return Err(Refusal::Combination(format!(
                    "{name}: 0 would refuse everything; it is at least 1"
                )));
            }
        }
        Ok(())
    }
}
