//! Reading a body within its bounds: its own limit, what its peer may hold, and a least rate.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until};

use super::budget::BudgetGuard;
use crate::http::refusal::Refusal;

/// What a request costs before a byte of its body has come, so that their number is bounded too.
pub(super) const BASE: usize = 4 << 10;

/// How long a body may bring less than its least rate. A few packets that are lost and sent again
/// take less.
const GRACE: Duration = Duration::from_secs(2);

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct BodyLimits {
    /// The most bytes.
    pub(in crate::http) limit: usize,
    /// The field of the configuration that sets the limit, where one does.
    pub(in crate::http) field: Option<&'static str>,
    /// The least bytes a second.
    pub(in crate::http) rate: usize,
}

/// When a body has to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) start: Instant,
    pub(super) patience: Duration,
}

impl Deadline {
    /// So long from now on.
    pub(super) fn after(patience: Duration) -> Self {
        Self {
            start: Instant::now(),
            patience,
        }
    }

    pub(super) fn at(self) -> Instant {
        self.start + self.patience
    }
}

/// Reads a whole body. Memory grows with what has come, not with what a header promises.
pub(super) async fn read(
    mut body: Body,
    limits: BodyLimits,
    deadline: Deadline,
    held: &mut BudgetGuard,
) -> Result<Vec<u8>, Refusal> {
    let BodyLimits { limit, field, rate } = limits;
    let too_large = || Refusal::TooLarge { limit, field };
    if usize::try_from(body.size_hint().lower()).is_ok_and(|promised| promised > limit) {
        return Err(too_large());
    }
    held.grow(BASE).map_err(Refusal::Bytes)?;
    let mut bytes = Vec::new();
    let mut pace = Pace::new(rate, deadline);
    // Set when a body has to be waited for, which small ones have not.
    let mut timer = pin!(sleep_until(pace.next_check()));
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut timer => {
                pace.check(bytes.len(), Instant::now())?;
                timer.as_mut().reset(pace.next_check());
                continue;
            }
        };
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let Ok(data) = frame.map_err(Refusal::BrokenBody)?.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        held.grow(data.len()).map_err(Refusal::Bytes)?;
        bytes.extend_from_slice(&data);
    }
}

/// Whether a body comes fast enough.
struct Pace {
    rate: usize,
    deadline: Deadline,
    /// The end of this period, and the bytes that were there at its beginning.
    period_ends: Instant,
    before: usize,
}

impl Pace {
    fn new(rate: usize, deadline: Deadline) -> Self {
        Self {
            rate,
            deadline,
            period_ends: deadline.start + GRACE,
            before: 0,
        }
    }

    fn next_check(&self) -> Instant {
        self.period_ends.min(self.deadline.at())
    }

    fn check(&mut self, bytes: usize, now: Instant) -> Result<(), Refusal> {
        if now >= self.deadline.at() {
            return Err(Refusal::StalledBody(self.deadline.patience));
        }
        let seconds = usize::try_from(GRACE.as_secs()).unwrap_or(1);
        if bytes - self.before < self.rate.saturating_mul(seconds) {
            return Err(Refusal::SlowBody {
                rate: self.rate,
                period: GRACE,
            });
        }
        self.before = bytes;
        self.period_ends = now + GRACE;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, ready};

    use bytes::Bytes;
    use hyper::body::Frame;
    use tokio::time::{Sleep, sleep};

    use super::super::budget::{Budget, Exhausted};

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

    /// A body of parts that come at an interval.
    struct Slow {
        parts: usize,
        length: usize,
        interval: Duration,
        next: Pin<Box<Sleep>>,
    }

    impl Slow {
        fn new(parts: usize, length: usize, interval: Duration) -> Self {
            Self {
                parts,
                length,
                interval,
                next: Box::pin(sleep(interval)),
            }
        }
    }

    impl HttpBody for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.parts == 0 {
                return Poll::Ready(None);
            }
            ready!(self.next.as_mut().poll(cx));
            let next = Instant::now() + self.interval;
            self.next.as_mut().reset(next);
            self.parts -= 1;
            let data = vec![b' '; self.length];
            Poll::Ready(Some(Ok(Frame::data(data.into()))))
        }
    }

    const PEER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    async fn read_from(
        body: Body,
        limit: usize,
        rate: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Vec<u8>, BudgetGuard), Refusal> {
        let limits = BodyLimits {
            limit,
            field: Some("admissionBody"),
            rate,
        };
        let deadline = Deadline::after(Duration::from_secs(10));
        let mut held = budget.guard(PEER);
        let bytes = read(body, limits, deadline, &mut held).await?;
        Ok((bytes, held))
    }

    async fn read_text(
        text: &'static str,
        limit: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Vec<u8>, BudgetGuard), Refusal> {
        read_from(Body::from(text), limit, 1, budget).await
    }

    fn mk_budget() -> Arc<Budget> {
        Budget::new(1 << 30)
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_too_large() {
        let budget = mk_budget();
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
        let budget = mk_budget();
        let unsized_body = || Body::new(Frames(["123", "456"].into()));
        let read = |limit| read_from(unsized_body(), limit, 1, &budget);
        assert_eq!(read(6).await.unwrap().0, b"123456");
        assert!(matches!(read(5).await, Err(Refusal::TooLarge { .. })));
    }

    #[tokio::test]
    async fn requests_without_a_body_are_bounded_too() {
        let budget = Budget::new(2 * BASE);
        let _held = read_text("", 100, &budget).await.unwrap();
        assert!(matches!(
            read_text("", 100, &budget).await,
            Err(Refusal::Bytes(Exhausted::Share))
        ));
    }

    #[tokio::test]
    async fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(4 * BASE);
        let first = read_text("12345", 100, &budget).await.unwrap();
        assert!(matches!(
            read_text("6789", 100, &budget).await,
            Err(Refusal::Bytes(Exhausted::Share))
        ));
        drop(first);
        read_text("6789", 100, &budget).await.unwrap();
    }

    /// A rate of 1,000 bytes a second, and ten seconds for all of it.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_given_up() {
        const SLOW: &str =
            "the body brought less than 1000 bytes a second for 2s (limits.bodyRate)";
        const LATE: &str = "the body did not arrive within 10s";
        for (parts, length, millis, expect) in [
            // Half the rate, and just under it.
            (100, 500, 1000, Err((SLOW, 2))),
            (100, 999, 999, Err((SLOW, 2))),
            // Just enough, until the end or the deadline.
            (9, 1001, 990, Ok(9009)),
            (100, 1001, 990, Err((LATE, 10))),
            // A piece in each period, and none in the first.
            (2, 4000, 1990, Ok(8000)),
            (2, 4000, 3990, Err((SLOW, 2))),
        ] {
            let start = Instant::now();
            let body = Body::new(Slow::new(parts, length, Duration::from_millis(millis)));
            let read = read_from(body, 1 << 20, 1000, &mk_budget()).await;
            let got = match &read {
                Ok((bytes, _)) => Ok(bytes.len()),
                Err(refusal) => Err((refusal.to_string(), start.elapsed().as_secs())),
            };
            let expect = expect.map_err(|(text, seconds): (&str, u64)| (text.to_owned(), seconds));
            assert_eq!(got, expect, "{parts} of {length} each {millis} ms");
        }
    }
}
