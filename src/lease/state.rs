//! The holder of the lease: a state machine without I/O, with the rules of client-go's leader election.
//!
//! Whether another replica's lease has expired depends on when this replica last saw it change, on its own
//! monotonic clock. The times in the lease are for people: clocks of nodes are never compared.

use std::time::{Duration, Instant};

/// How long a lease lasts, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long others wait after they last saw it change.
    pub duration: Duration,
    /// How long its holder acts on it after it asked for it. It is shorter, so that there are never two
    /// holders.
    pub renew_deadline: Duration,
    /// From one attempt to the next.
    pub retry: Duration,
    /// The time-out of one attempt, after which a holder has time for another.
    pub attempt: Duration,
}

impl Terms {
    /// The proportions of client-go's defaults: 15 s, 10 s and 2 s, and 5 s for a request.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self {
            duration,
            renew_deadline: duration * 2 / 3,
            retry: duration * 2 / 15,
            attempt: duration / 3,
        }
    }
}

/// The lease, as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its holder's identity, or empty.
    pub holder: Box<str>,
    /// When its holder renewed it, by the holder's clock. It is compared with itself alone.
    pub renewed: Box<str>,
    /// How long it lasts, as its holder wrote it.
    pub duration: Option<Duration>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no lease: create it.
    Create,
    /// It has no holder any more: take it.
    Take,
    /// This replica holds it: renew it.
    Renew,
    /// Another replica holds it.
    Wait,
}

/// What one replica knows of the lease.
#[derive(Debug)]
pub struct LeaseState {
    identity: Box<str>,
    terms: Terms,
    seen: Option<(Record, Instant)>,
    held_until: Option<Instant>,
}

impl LeaseState {
    /// Nothing is known yet. The identity is unique, and another one after each start.
    #[must_use]
    pub fn new(identity: &str, terms: Terms) -> Self {
        Self {
            identity: identity.into(),
            terms,
            seen: None,
            held_until: None,
        }
    }

    /// The identity of this replica.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes in the lease as it was read; `None` if it does not exist.
    pub fn observe(&mut self, record: Option<Record>, now: Instant) {
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

    /// Takes in the lease as this replica wrote it, by a request made at `asked`.
    pub fn record_write(&mut self, record: Record, asked: Instant) {
        self.held_until =
            (record.holder == self.identity).then(|| asked + self.terms.renew_deadline);
        self.seen = Some((record, asked));
    }

    /// What to do next.
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

    /// The other replica that held it when it was last seen.
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

    fn mk_state(identity: &str) -> LeaseState {
        LeaseState::new(identity, Terms::of(DURATION))
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
        assert_eq!((terms.renew_deadline, terms.retry, terms.attempt), expect);
    }

    #[test]
    fn creates_or_takes_a_lease_without_a_holder() {
        let now = Instant::now();
        let mut state = mk_state("a");
        assert_eq!(state.step(now), Step::Create);
        state.observe(Some(mk_record("", "1")), now);
        assert_eq!(state.step(now), Step::Take);
        state.observe(None, now);
        assert_eq!(state.step(now), Step::Create);
        state.observe(Some(mk_record("b", "1")), now);
        assert_eq!((state.step(now), state.other()), (Step::Wait, Some("b")));
    }

    #[test]
    fn takes_a_lease_that_did_not_change_for_its_duration() {
        let start = Instant::now();
        let mut state = mk_state("a");
        state.observe(Some(mk_record("b", "1")), at(start, 0));
        state.observe(Some(mk_record("b", "1")), at(start, 10));
        assert_eq!(state.step(at(start, 14)), Step::Wait);
        assert_eq!(state.step(at(start, 15)), Step::Take);
        state.observe(Some(mk_record("b", "2")), at(start, 15));
        assert_eq!(state.step(at(start, 29)), Step::Wait);
        // Its holder says how long, and where it does not this replica's own terms hold.
        let mut short = mk_record("b", "3");
        short.duration = Some(Duration::from_secs(1));
        state.observe(Some(short.clone()), at(start, 30));
        assert_eq!(state.step(at(start, 31)), Step::Take);
        short.duration = None;
        state.observe(Some(short), at(start, 40));
        assert_eq!(state.step(at(start, 54)), Step::Wait);
        assert_eq!(state.step(at(start, 55)), Step::Take);
    }

    #[test]
    fn holds_for_less_time_than_others_wait() {
        let start = Instant::now();
        let mut state = mk_state("a");
        state.record_write(mk_record("a", "1"), at(start, 0));
        assert_eq!(state.step(at(start, 1)), Step::Renew);
        assert_eq!(state.held_until(at(start, 9)), Some(at(start, 10)));
        assert_eq!(state.held_until(at(start, 10)), None);
        // It may still renew it, as long as no other replica took it.
        assert_eq!(state.step(at(start, 60)), Step::Renew);
        state.record_write(mk_record("a", "2"), at(start, 60));
        assert_eq!(state.held_until(at(start, 69)), Some(at(start, 70)));
    }

    #[test]
    fn loses_the_lease_when_another_holds_it_or_it_is_gone() {
        let now = Instant::now();
        for seen in [Some(mk_record("b", "2")), Some(mk_record("", "2")), None] {
            let mut state = mk_state("a");
            state.record_write(mk_record("a", "1"), now);
            state.observe(Some(mk_record("a", "1")), now);
            assert!(state.held_until(now).is_some());
            state.observe(seen, now);
            assert_eq!(state.held_until(now), None);
        }
    }

    #[test]
    fn a_released_lease_has_no_holder() {
        let now = Instant::now();
        let mut state = mk_state("a");
        state.record_write(mk_record("a", "1"), now);
        state.record_write(mk_record("", "2"), now);
        assert_eq!((state.held_until(now), state.step(now)), (None, Step::Take));
    }
}
