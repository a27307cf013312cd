//! Who holds the lease: a state machine without I/O, with the rules of client-go's leader election.
//!
//! Whether another's lease is over is judged by when this replica saw it change last, on its own
//! monotonic clock. The times that stand in it are for people: clocks of nodes are never compared.

use std::time::{Duration, Instant};

/// How long a lease lasts, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long others wait after they saw it change.
    pub duration: Duration,
    /// For how long its holder relies on it after it asked for it. It is shorter, so that there are
    /// never two.
    pub reliance: Duration,
    /// From one try to the next.
    pub retry: Duration,
    /// For one try: a holder has time for another where one comes to nothing.
    pub attempt: Duration,
}

impl Terms {
    /// The proportions of client-go's defaults: 15 s, 10 s and 2 s, and 5 s for a request.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self {
            duration,
            reliance: duration * 2 / 3,
            retry: duration * 2 / 15,
            attempt: duration / 3,
        }
    }
}

/// The lease, as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; nobody where it is empty.
    pub holder: Box<str>,
    /// When its holder says that it last said so. It is compared with itself alone.
    pub renewed: Box<str>,
    /// How long its holder says that it lasts.
    pub duration: Option<Duration>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is none: make one.
    Create,
    /// Nobody holds it any more: take it.
    Take,
    /// It is this replica's: say so again.
    Renew,
    /// Another holds it.
    Wait,
}

/// One replica that contends for the lease.
#[derive(Debug)]
pub struct Elector {
    identity: Box<str>,
    terms: Terms,
    seen: Option<(Record, Instant)>,
    held_until: Option<Instant>,
}

impl Elector {
    /// A replica that knows nothing of the lease. Its identity is its own alone, and another after
    /// each start.
    #[must_use]
    pub fn new(identity: &str, terms: Terms) -> Self {
        Self {
            identity: identity.into(),
            terms,
            seen: None,
            held_until: None,
        }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The lease is this, or is not there.
    pub fn saw(&mut self, record: Option<Record>, now: Instant) {
        let Some(record) = record else {
            self.seen = None;
            self.held_until = None;
            return;
        };
        if record.holder != self.identity {
            self.held_until = None;
        }
        if self.seen.as_ref().map(|(seen, _)| seen) != Some(&record) {
            self.seen = Some((record, now));
        }
    }

    /// The lease was written, as was asked for at `asked`.
    pub fn wrote(&mut self, record: Record, asked: Instant) {
        self.held_until = (record.holder == self.identity).then(|| asked + self.terms.reliance);
        self.seen = Some((record, asked));
    }

    /// What to do with the lease as it was seen last.
    #[must_use]
    pub fn step(&self, now: Instant) -> Step {
        let Some((record, since)) = &self.seen else {
            return Step::Create;
        };
        let duration = record.duration.unwrap_or(self.terms.duration);
        match &*record.holder {
            "" => Step::Take,
            holder if *holder == *self.identity => Step::Renew,
            _ if *since + duration <= now => Step::Take,
            _ => Step::Wait,
        }
    }

    /// Until when this replica holds the lease, if it does now.
    #[must_use]
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| now < *until)
    }

    /// The other who holds it, as was seen last.
    #[must_use]
    pub fn other(&self) -> Option<&str> {
        let (record, _) = self.seen.as_ref()?;
        let holder = &*record.holder;
        (!holder.is_empty() && *holder != *self.identity).then_some(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn mk_elector(identity: &str) -> Elector {
        Elector::new(identity, Terms::of(DURATION))
    }

    fn mk_record(holder: &str, renewed: &str) -> Record {
        Record {
            holder: holder.into(),
            renewed: renewed.into(),
            duration: Some(DURATION),
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn terms_are_those_of_client_go() {
        let seconds = Duration::from_secs;
        let terms = Terms::of(DURATION);
        let expect = (seconds(10), seconds(2), seconds(5));
        assert_eq!((terms.reliance, terms.retry, terms.attempt), expect);
    }

    #[test]
    fn a_lease_is_made_or_taken_where_nobody_holds_it() {
        let now = Instant::now();
        let mut elector = mk_elector("a");
        assert_eq!(elector.step(now), Step::Create);
        elector.saw(Some(mk_record("", "1")), now);
        assert_eq!(elector.step(now), Step::Take);
        elector.saw(None, now);
        assert_eq!(elector.step(now), Step::Create);
        elector.saw(Some(mk_record("b", "1")), now);
        assert_eq!(
            (elector.step(now), elector.other()),
            (Step::Wait, Some("b"))
        );
    }

    #[test]
    fn anothers_lease_is_over_when_it_was_not_seen_to_change_for_its_duration() {
        let start = Instant::now();
        let mut elector = mk_elector("a");
        elector.saw(Some(mk_record("b", "1")), at(start, 0));
        elector.saw(Some(mk_record("b", "1")), at(start, 10));
        assert_eq!(elector.step(at(start, 14)), Step::Wait);
        assert_eq!(elector.step(at(start, 15)), Step::Take);
        elector.saw(Some(mk_record("b", "2")), at(start, 15));
        assert_eq!(elector.step(at(start, 29)), Step::Wait);
        // Its holder says how long, and where it does not this replica's own terms hold.
        let mut short = mk_record("b", "3");
        short.duration = Some(Duration::from_secs(1));
        elector.saw(Some(short.clone()), at(start, 30));
        assert_eq!(elector.step(at(start, 31)), Step::Take);
        short.duration = None;
        elector.saw(Some(short), at(start, 40));
        assert_eq!(elector.step(at(start, 54)), Step::Wait);
        assert_eq!(elector.step(at(start, 55)), Step::Take);
    }

    #[test]
    fn a_holder_relies_on_it_for_less_time_than_others_wait() {
        let start = Instant::now();
        let mut elector = mk_elector("a");
        elector.wrote(mk_record("a", "1"), at(start, 0));
        assert_eq!(elector.step(at(start, 1)), Step::Renew);
        assert_eq!(elector.held_until(at(start, 9)), Some(at(start, 10)));
        assert_eq!(elector.held_until(at(start, 10)), None);
        // It may still renew it, as long as nobody else took it.
        assert_eq!(elector.step(at(start, 60)), Step::Renew);
        elector.wrote(mk_record("a", "2"), at(start, 60));
        assert_eq!(elector.held_until(at(start, 69)), Some(at(start, 70)));
    }

    #[test]
    fn a_lease_is_lost_at_once_when_another_has_it_or_it_is_gone() {
        let now = Instant::now();
        for seen in [Some(mk_record("b", "2")), Some(mk_record("", "2")), None] {
            let mut elector = mk_elector("a");
            elector.wrote(mk_record("a", "1"), now);
            elector.saw(Some(mk_record("a", "1")), now);
            assert!(elector.held_until(now).is_some());
            elector.saw(seen, now);
            assert_eq!(elector.held_until(now), None);
        }
    }

    #[test]
    fn what_is_given_back_is_held_by_nobody() {
        let now = Instant::now();
        let mut elector = mk_elector("a");
        elector.wrote(mk_record("a", "1"), now);
        elector.wrote(mk_record("", "2"), now);
        assert_eq!(
            (elector.held_until(now), elector.step(now)),
            (None, Step::Take)
        );
    }
}
