//! Reading a body within two bounds: its own limit, and what all bodies of a caller may hold
//! together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;

use crate::http::refusal::Refusal;

/// What a request costs before a byte of its body has come, so that their number is bounded too.
const BASE: usize = 4 << 10;

/// The bytes that all requests in progress may hold together.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget in which one body of `limit` bytes fits.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.saturating_add(BASE),
            used: AtomicUsize::new(0),
        })
    }

    fn take(&self, bytes: usize) -> bool {
        self.used
            .try_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.limit)
            })
            .is_ok()
    }
}

/// A share of the budget, given back when it goes out of scope.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Lease {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if !self.budget.take(bytes) {
            return Err(Refusal::TooManyBytes);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Reads a whole body. Memory grows with what has come, not with what a header promises.
pub(super) async fn read(
    mut body: Body,
    limit: usize,
    field: &'static str,
    budget: &Arc<Budget>,
) -> Result<(Vec<u8>, Lease), Refusal> {
    let too_large = || Refusal::TooLarge { limit, field };
    if usize::try_from(body.size_hint().lower()).is_ok_and(|promised| promised > limit) {
        return Err(too_large());
    }
    let mut lease = Lease {
        budget: Arc::clone(budget),
        bytes: 0,
    };
    lease.grow(BASE)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Refusal::BrokenBody)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        lease.grow(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, lease))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use hyper::body::Frame;

    /// A body that comes in parts and does not say how long it is.
    struct Frames(VecDeque<&'static str>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part.into()))))
        }
    }

    async fn read_text(
        text: &'static str,
        limit: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Vec<u8>, Lease), Refusal> {
        read(Body::from(text), limit, "admissionBody", budget).await
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_too_large() {
        let budget = Budget::new(100);
        let (bytes, _) = read_text("12345", 5, &budget).await.unwrap();
        assert_eq!(bytes, b"12345");
        let refusal = read_text("123456", 5, &budget).await.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the body is larger than the limit of 5 bytes (limits.admissionBody)"
        );
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_counted_as_it_comes() {
        let budget = Budget::new(100);
        let unsized_body = || Body::new(Frames(["123", "456"].into()));
        let read = |limit| read(unsized_body(), limit, "admissionBody", &budget);
        assert_eq!(read(6).await.unwrap().0, b"123456");
        assert!(matches!(read(5).await, Err(Refusal::TooLarge { .. })));
    }

    #[tokio::test]
    async fn a_body_as_large_as_the_budget_fits() {
        let budget = Budget::new(5);
        assert_eq!(read_text("12345", 5, &budget).await.unwrap().0, b"12345");
    }

    #[tokio::test]
    async fn requests_without_a_body_are_bounded_too() {
        let budget = Budget::new(BASE);
        let _held = [
            read_text("", 100, &budget).await.unwrap(),
            read_text("", 100, &budget).await.unwrap(),
        ];
        assert!(matches!(
            read_text("", 100, &budget).await,
            Err(Refusal::TooManyBytes)
        ));
    }

    #[tokio::test]
    async fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(BASE + 8);
        let first = read_text("12345", 100, &budget).await.unwrap();
        assert!(matches!(
            read_text("6789", 100, &budget).await,
            Err(Refusal::TooManyBytes)
        ));
        drop(first);
        let second = read_text("6789", 100, &budget).await.unwrap();
        assert_eq!(budget.used.load(Ordering::Acquire), BASE + 4);
        drop(second);
        assert_eq!(budget.used.load(Ordering::Acquire), 0);
    }
}
