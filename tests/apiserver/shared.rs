//! What the connections and the handle share, and the word that goes round when it changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use super::faults::Faults;
use super::request::Request;
use super::store::Store;
use super::watch::Watches;

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) watches: Watches,
    pub(crate) faults: Faults,
    /// Every request that has come, in order.
    pub(crate) log: Vec<Request>,
    /// The bearer token to ask for.
    pub(crate) token: Option<String>,
    /// The release of Kubernetes.
    pub(crate) release: String,
    /// Whether the webhooks that are stored answer.
    pub(crate) webhooks_answer: bool,
    /// Where the ports of pods lead, by `namespace/name`.
    pub(crate) forwards: BTreeMap<String, SocketAddr>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                store: Store::new(),
                watches: Watches::default(),
                faults: Faults::default(),
                log: Vec::new(),
                token: None,
                release: "v1.36.2".to_owned(),
                webhooks_answer: true,
                forwards: BTreeMap::new(),
            }),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes something, and tells whoever waits for it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.tell();
        result
    }

    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until something is so.
    pub(crate) async fn wait_until(&self, mut so: impl FnMut(&State) -> bool) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if so(&self.lock()) {
                return;
            }
            changes.changed().await.unwrap();
        }
    }
}
