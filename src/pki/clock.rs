//! What time it is: the API server's time where it tells, else this node's.

use std::sync::Arc;
use std::time::SystemTime;

use super::time::{between, later};
use super::{Now, Source};

/// What time it is.
#[derive(Clone)]
pub struct Clock {
    local: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Whether to go by the API server's time where it tells.
    ask: bool,
    /// The API server's time, and this node's at that moment.
    told: Option<(SystemTime, SystemTime)>,
}

impl Clock {
    /// The API server's clock, and this node's until it is known.
    #[must_use]
    pub fn system() -> Self {
        Self {
            local: Arc::new(SystemTime::now),
            ask: true,
            told: None,
        }
    }

    /// Another clock, whatever the API server says.
    #[must_use]
    pub fn of(local: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            local: Arc::new(local),
            ask: false,
            told: None,
        }
    }

    pub(super) fn tell(&mut self, date: Option<SystemTime>) {
        if let (true, Some(date)) = (self.ask, date) {
            self.told = Some((date, (self.local)()));
        }
    }

    pub(super) fn now(&self) -> Now {
        let local = (self.local)();
        match self.told {
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
        (Clock { ask, ..local }, set)
    }

    #[test]
    fn the_time_is_the_api_servers_where_it_tells() {
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
            clock.tell(told);
            *set.lock().unwrap() += minute;
            assert_eq!(clock.now(), Now { at: expect, by });
            // An answer without a date changes nothing.
            clock.tell(None);
            assert_eq!(clock.now(), Now { at: expect, by });
        }
    }
}
