//! Waiting for something to become true, with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take that has no reason to take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until there is something, and gives up after [`PATIENCE`] with the last that was in the way.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, look)
}

/// Looks until there is something, and gives up after `limit` with the last that was in the way.
pub(crate) fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        let obstacle = match look() {
            Ok(value) => return value,
            Err(obstacle) => obstacle,
        };
        assert!(
            start.elapsed() < limit,
            "not within {limit:?}: {what}: {obstacle}"
        );
        sleep(PAUSE);
    }
}

/// Looks over and over for `time`, as something that must stay as it is.
pub(crate) fn throughout(time: Duration, mut look: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < time {
        look();
        sleep(PAUSE);
    }
}
