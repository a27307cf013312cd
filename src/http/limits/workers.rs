//! The threads that answer requests, by the size of their bodies.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A body below this size is answered in the time that it takes to receive, by the thread that did.
const SMALL_BODY: usize = 32 << 10;

/// A body of this size takes a good part of a millisecond, and is answered off the threads that
/// serve everyone's connections.
pub(super) const LARGE_BODY: usize = 256 << 10;

/// How many threads serve connections: as many as the runtime starts.
pub(super) fn serving_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// All but one of the threads that serve connections may answer bodies between the two sizes at a time.
#[derive(Clone, Debug)]
pub(in crate::http) struct ServingThreads(Arc<Semaphore>);

impl Default for ServingThreads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(serving_threads() - 1)))
    }
}

/// The threads for one caller's requests.
#[derive(Debug)]
pub(in crate::http) struct Workers {
    serving: ServingThreads,
    /// As many threads of the blocking pool as there are of those that serve connections: more would
    /// only leave less time to these.
    pool: Arc<Semaphore>,
}

impl Workers {
    pub(super) fn new(serving: &ServingThreads) -> Self {
        Self {
            serving: serving.clone(),
            pool: Arc::new(Semaphore::new(serving_threads())),
        }
    }

    /// Does the work for a body of this size; `None` when it was given up, because the service ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if size < SMALL_BODY {
            return Some(work());
        }
        if size < LARGE_BODY
            && let Ok(_permit) = self.serving.0.try_acquire()
        {
            return Some(work());
        }
        let permit = Arc::clone(&self.pool).acquire_owned().await.ok()?;
        // Work that has not begun when this is dropped does not begin: its client is gone.
        let mut task = JoinSet::new();
        task.spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match task.join_next().await? {
            Ok(done) => Some(done),
            // To the listener, which logs and counts the panics of all handlers.
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }
}
