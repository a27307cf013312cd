//! What the requests of a surface may hold together, bytes or turns, and the share of one peer.
//!
//! One rule: a request gets more while what its connection and its address hold already, added up, is
//! not more than what is left for the others. So no peer takes everything, a peer that is alone gets
//! much, and the more peers there are the less each of them gets:
//!
//! | a peer that asks for all it can get | holds at most |
//! | --- | --- |
//! | one connection | a third |
//! | one address, over many connections | half |
//! | many connections of each of *n* addresses | *n* parts of *n* + 1, together |
//!
//! What is left over is the room of a peer that has not asked yet.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

/// How many times the largest request a budget has to be, so that a connection can make it.
pub(super) const CONNECTION_PART: usize = 3;

/// An amount that requests share.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_address: Amounts<IpAddr>,
    by_connection: Amounts<SocketAddr>,
}

/// Amounts above zero.
type Amounts<K> = HashMap<K, usize, RandomState>;

/// Why a request gets no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Exhausted {
    /// There is not so much left.
    Budget,
    /// What is left is for other peers.
    Share,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: Mutex::default(),
        })
    }

    /// A guard of a peer's request that holds nothing yet.
    pub(super) fn guard(self: &Arc<Self>, peer: SocketAddr) -> BudgetGuard {
        BudgetGuard {
            budget: Arc::clone(self),
            peer,
            amount: 0,
        }
    }

    fn take(&self, peer: SocketAddr, amount: usize) -> Result<(), Exhausted> {
        let mut held = self.lock();
        let left = (self.limit - held.total)
            .checked_sub(amount)
            .ok_or(Exhausted::Budget)?;
        let by_address = held.by_address.get(&peer.ip()).copied().unwrap_or(0);
        let by_connection = held.by_connection.get(&peer).copied().unwrap_or(0);
        if by_address + by_connection > left {
            return Err(Exhausted::Share);
        }
        held.total += amount;
        *held.by_address.entry(peer.ip()).or_default() += amount;
        *held.by_connection.entry(peer).or_default() += amount;
        Ok(())
    }

    fn give_back(&self, peer: SocketAddr, amount: usize) {
        let mut held = self.lock();
        held.total -= amount;
        subtract(&mut held.by_address, &peer.ip(), amount);
        subtract(&mut held.by_connection, &peer, amount);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subtract<K: Eq + Hash>(amounts: &mut Amounts<K>, key: &K, amount: usize) {
    if let Some(held) = amounts.get_mut(key) {
        *held -= amount;
        if *held == 0 {
            amounts.remove(key);
        }
    }
}

/// The part of a budget that one request holds, until it is dropped.
#[derive(Debug)]
pub(super) struct BudgetGuard {
    budget: Arc<Budget>,
    peer: SocketAddr,
    amount: usize,
}

impl BudgetGuard {
    /// Takes so much more.
    pub(super) fn grow(&mut self, amount: usize) -> Result<(), Exhausted> {
        if amount > 0 {
            self.budget.take(self.peer, amount)?;
            self.amount += amount;
        }
        Ok(())
    }

    /// Gives back what is over this amount, or takes what is missing.
    pub(super) fn resize(&mut self, amount: usize) -> Result<(), Exhausted> {
        match self.amount.checked_sub(amount) {
            Some(0) => Ok(()),
            Some(over) => {
                self.budget.give_back(self.peer, over);
                self.amount = amount;
                Ok(())
            }
            None => self.grow(amount - self.amount),
        }
    }
}

impl Drop for BudgetGuard {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.budget.give_back(self.peer, self.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_peer(address: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, address], port))
    }

    /// Takes one at a time for these peers in turn until each was refused, and says what each holds.
    fn take_all(budget: &Arc<Budget>, peers: &[SocketAddr]) -> (Vec<usize>, Vec<BudgetGuard>) {
        let mut guards: Vec<_> = peers.iter().map(|peer| budget.guard(*peer)).collect();
        let mut is_refused = vec![false; peers.len()];
        while is_refused.contains(&false) {
            for (guard, is_refused) in guards.iter_mut().zip(&mut is_refused) {
                *is_refused = guard.grow(1).is_err();
            }
        }
        (guards.iter().map(|guard| guard.amount).collect(), guards)
    }

    #[test]
    fn a_peer_leaves_room_for_the_next() {
        let connections = |address, count| (1..=count).map(move |port| mk_peer(address, port));
        for (name, peers, holds, next) in [
            ("one connection", connections(1, 1).collect(), 334, 222),
            ("one address", connections(1, 100).collect(), 498, 168),
            (
                "two addresses",
                connections(1, 100).chain(connections(2, 100)).collect(),
                673,
                109,
            ),
            (
                "nine addresses",
                (1..=9)
                    .flat_map(|address| connections(address, 10))
                    .collect(),
                896,
                35,
            ),
        ] {
            let peers: Vec<SocketAddr> = peers;
            let budget = Budget::new(1000);
            let (held, _guards) = take_all(&budget, &peers);
            let (held_by_next, _) = take_all(&budget, &[mk_peer(200, 1)]);
            assert_eq!(
                (held.iter().sum::<usize>(), held_by_next),
                (holds, vec![next]),
                "{name}"
            );
        }
    }

    #[test]
    fn the_smallest_budget_admits_one_request_of_each_of_two_peers() {
        for limit in 1..=3 {
            let budget = Budget::new(limit);
            let mut first = budget.guard(mk_peer(1, 1));
            first.grow(1).unwrap();
            let mut second = budget.guard(mk_peer(1, 1));
            let refused = second.grow(1).unwrap_err();
            let expect = match limit {
                1 => Exhausted::Budget,
                _ => Exhausted::Share,
            };
            assert_eq!(refused, expect, "{limit}");
            let mut other = budget.guard(mk_peer(2, 1));
            assert_eq!(other.grow(1).is_ok(), limit > 1, "{limit}");
            drop(first);
            second.grow(1).unwrap();
        }
    }

    #[test]
    fn everything_is_given_back() {
        let budget = Budget::new(100);
        let mut guard = budget.guard(mk_peer(1, 1));
        guard.grow(30).unwrap();
        guard.grow(0).unwrap();
        guard.resize(10).unwrap();
        assert_eq!(budget.lock().total, 10);
        guard.resize(33).unwrap();
        guard.resize(33).unwrap();
        assert_eq!(budget.lock().total, 33);
        assert_eq!(guard.resize(70).unwrap_err(), Exhausted::Share);
        assert_eq!(guard.resize(101).unwrap_err(), Exhausted::Budget);
        assert_eq!((guard.amount, budget.lock().total), (33, 33));
        drop(guard);
        let held = budget.lock();
        assert_eq!(held.total, 0);
        assert!(held.by_address.is_empty() && held.by_connection.is_empty());
    }
}
