//! The current time: the API server's where it is known, else this node's.

use std::sync::Arc;
use std::time::SystemTime;

use super::time::{between, later};
use super::{Now, Source};

/// What time it is.
#[derive(Clone)]
pub struct Clock {
    local: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Whether to use the API server's time where it is known.
    follows_api_server: bool,
    /// The API server's time, and this node's at that moment.
    api_server: Option<(SystemTime, SystemTime)>,
}

impl Clock {
    /// The API server's clock, and this node's until it is known.
    #[must_use]
    pub fn system() -> Self {
        Self {
            local: Arc::new(SystemTime::now),
            follows_api_server: true,
            api_server: None,
        }
    }

    /// Another clock, in place of the API server's.
    #[must_use]
    pub fn of(local: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            local: Arc::new(local),
            follows_api_server: false,
            api_server: None,
        }
    }

    pub(super) fn observe_date(&mut self, date: Option<SystemTime>) {
        if let (true, Some(date)) = (self.follows_api_server, date) {
            self.api_server = Some((date, (self.local)()));
        }
    }

    pub(super) fn now(&self) -> Now {
        let local = (self.local)();
        match self.api_server {
            Some((date, then)) => Now {
                at: later(date, between(then, local)),
                by: Source::ApiServer,
            },
            None => Now {
                at: local,
                by: Source::Local,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// A clock of this node that the test sets.
    fn mk_clock(ask: bool) -> (Clock, Arc<Mutex<SystemTime>>) {
        let set = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
        let read = Arc::clone(&set);
        let local = Clock::of(move || *read.lock().unwrap());
        (
            Clock {
                follows_api_server: ask,
                ..local
            },
            set,
        )
    }

    #[test]
    fn the_time_is_the_api_servers_once_it_is_known() {
        let date = SystemTime::UNIX_EPOCH + Duration::from_hours(498_672);
        let minute = Duration::from_mins(1);
        for (ask, told, expect, by) in [
            (true, Some(date), date + minute, Source::ApiServer),
            (true, None, SystemTime::UNIX_EPOCH + minute, Source::Local),
            (
                false,
                Some(date),
                SystemTime::UNIX_EPOCH + minute,
                Source::Local,
            ),
        ] {
            let (mut clock, set) = mk_clock(ask);
            clock.observe_date(told);
            *set.lock().unwrap() += minute;
            assert_eq!(clock.now(), Now { at: expect, by });
            // A response without a date changes nothing.
            clock.observe_date(None);
            assert_eq!(clock.now(), Now { at: expect, by });
        }
    }
}
