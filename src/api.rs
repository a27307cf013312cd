//! The API server: the way to it, and what its errors mean.

pub mod client;
pub mod fault;
mod kubeconfig;

pub use client::{ClientError, Connected, choose, connect, connect_by};
pub use fault::{Cause, Fault, within};

/// Whether the API server lets an object have this name (RFC 1123, a subdomain).
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let inside = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        bytes.iter().all(inside)
            && !matches!(
                (bytes.first(), bytes.last()),
                (None | Some(b'-'), _) | (_, Some(b'-'))
            )
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
