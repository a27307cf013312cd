//! A task that is woken while it is polled is polled again at once, where nobody else waits.
//!
//! The protocol, the handler and the bodies of an HTTP/1 connection wake each other by channels, and all of
//! them are one task. To a runtime of several threads such a task yields: it goes to the end of a queue,
//! and another thread is woken to take it from there, for each part of a body. Where many connections have
//! something to do that is as it should be: small requests go before the next part of a large one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::task::coop::has_budget_remaining;

/// How often in a row, before others get their turn all the same.
const MOST: usize = 32;

/// Runs a future that is polled again as soon as it has been woken, while it is alone.
pub(super) async fn again<F: Future>(future: F, is_alone: impl Fn() -> bool) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    std::future::poll_fn(move |cx| {
        bell.task.register(cx.waker());
        for _ in 0..MOST {
            bell.state.store(POLLED, Ordering::SeqCst);
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() || bell.rests() {
                return polled;
            }
            // Without a budget everything is pending, and says that it is not.
            if !is_alone() || !has_budget_remaining() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Rung by whatever wakes the future.
#[derive(Debug, Default)]
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

/// It is waited for.
const RESTS: u8 = 0;
/// The future is polled, and has not been woken since that began.
const POLLED: u8 = 1;
/// It has been woken.
const RUNG: u8 = 2;

impl Bell {
    /// From here on the task waits, unless the future was woken while it was polled.
    fn rests(&self) -> bool {
        let (from, to) = (POLLED, RESTS);
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        changed.is_ok()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::SeqCst) == RESTS {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        /// How often since the last time.
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::SeqCst)
        }
    }

    /// A waker, and the count of how often it is used.
    fn mk_waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    /// Is polled so often, and wakes itself each time but the last.
    async fn polled(times: usize) {
        let mut left = times;
        std::future::poll_fn(|cx| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_nobody_else_is_woken() {
        let (count, waker) = mk_waker();
        let mut cx = Context::from_waker(&waker);
        for times in 1..=MOST {
            let mut task = pin!(again(polled(times), || true));
            assert!(task.as_mut().poll(&mut cx).is_ready());
        }
        assert_eq!(count.take(), 0);
    }

    #[test]
    fn what_wakes_itself_for_ever_or_is_not_alone_lets_others_have_their_turn() {
        for (is_alone, polls, turns) in [(true, 3 * MOST, 2), (false, 4, 3)] {
            let (count, waker) = mk_waker();
            let mut cx = Context::from_waker(&waker);
            let mut task = pin!(again(polled(polls), || is_alone));
            for _ in 0..turns {
                assert!(task.as_mut().poll(&mut cx).is_pending());
                assert_eq!(count.take(), 1);
            }
            assert!(task.poll(&mut cx).is_ready());
            assert_eq!(count.take(), 0);
        }
    }

    #[test]
    fn what_waits_is_woken_once_by_whoever_wakes_it() {
        let (count, waker) = mk_waker();
        let mut cx = Context::from_waker(&waker);
        let inner = Mutex::new(None::<Waker>);
        let mut polls = 0;
        let waiting = std::future::poll_fn(|cx| {
            polls += 1;
            *inner.lock().unwrap() = Some(cx.waker().clone());
            if polls < 4 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        });
        let mut task = pin!(again(waiting, || true));
        for _ in 0..3 {
            assert!(task.as_mut().poll(&mut cx).is_pending());
            assert_eq!(count.take(), 0);
            let inner = inner.lock().unwrap().take().unwrap();
            inner.wake_by_ref();
            inner.wake();
            assert_eq!(count.take(), 1);
        }
        assert_eq!(task.poll(&mut cx), Poll::Ready(4));
    }

    #[tokio::test]
    async fn what_has_used_up_its_budget_is_not_polled_in_vain() {
        let polls = AtomicUsize::new(0);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..1_000 {
            sender.send(()).unwrap();
        }
        drop(sender);
        let receiving = async {
            let mut receiving = pin!(async { while receiver.recv().await.is_some() {} });
            std::future::poll_fn(|cx| {
                polls.fetch_add(1, Ordering::SeqCst);
                receiving.as_mut().poll(cx)
            })
            .await;
        };
        again(receiving, || true).await;
        // A budget is 128 messages.
        assert_eq!(polls.load(Ordering::SeqCst), 8);
    }
}
