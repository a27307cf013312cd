//! What the observer asks the northbound database, beside its looks: a database that is slow delays none.

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::cluster::object::ObjectKey;
use crate::continuity::Northbound;
use crate::decide::continuity::timeline::Writer;

/// The most questions at once; of more than that, the answers stay unknown.
const MOST: usize = 64;

/// What is asked about the ports of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Who wrote the pair of chassis.
    Writer,
    /// Whether other ports have their addresses.
    Addresses,
}

/// What the database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The migration that it was asked for.
    pub(super) migration: String,
    pub(super) writer: Option<Writer>,
    /// Each port of the VM and the other port that has its address.
    pub(super) twins: Vec<(String, String)>,
}

impl Answer {
    /// What to say of addresses that are there twice, if any is.
    pub(super) fn twice(&self) -> Option<String> {
        let pairs = self.twins.iter();
        let pairs: Vec<_> = pairs
            .map(|(port, twin)| format!("{port} and {twin}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join(", "))
    }
}

/// The questions that are not answered yet.
pub(super) struct Questions {
    northbound: Option<Northbound>,
    pending: FuturesUnordered<BoxFuture<'static, Option<Answer>>>,
}

impl Questions {
    pub(super) fn new(northbound: Option<Northbound>) -> Self {
        Self {
            northbound,
            pending: FuturesUnordered::new(),
        }
    }

    pub(super) fn ask(&self, migration: &str, vm: &ObjectKey, question: Question) {
        let Some(northbound) = self.northbound.clone() else {
            return;
        };
        if self.pending.len() >= MOST {
            return;
        }
        let migration = migration.to_owned();
        let [namespace, vm] = vm.parts().map(str::to_owned);
        let asking = async move {
            let ports = northbound.ports_of(&namespace, &vm).await.ok()?;
            let (writer, twins) = match question {
                Question::Writer => {
                    let records = ports.iter().filter_map(|port| port.record.as_ref());
                    let mut of_migration = records.filter(|record| record.migration == migration);
                    let writer = of_migration.next().map_or(Writer::Other, |_| Writer::Berth);
                    (Some(writer), Vec::new())
                }
                Question::Addresses => (None, northbound.twins_of(&ports).await.ok()?),
            };
            Some(Answer {
                migration,
                writer,
                twins,
            })
        };
        self.pending.push(asking.boxed());
    }

    /// The next answer; waits for ever while nothing is asked.
    pub(super) async fn answered(&mut self) -> Answer {
        loop {
            match self.pending.next().await {
                Some(Some(answer)) => return answer,
                // The database did not answer: it stays unknown.
                Some(None) => {}
                None => std::future::pending().await,
            }
        }
    }
}
