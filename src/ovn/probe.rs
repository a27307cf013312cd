//! The probe: a question to every chassis, by one more in the northbound database. northd carries
//! it to `SB_Global.nb_cfg`, each ovn-controller answers in its `Chassis_Private`, and one that is
//! dead does not. Nobody else asks in Kube-OVN.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use crate::ovn::connection::Connection;
use crate::ovn::endpoint::{Endpoint, Endpoints};
use crate::ovn::fault::{Cause, Fault};
use crate::ovn::rpc::{self, Message};
use crate::tls::ClientFiles;

/// For one server to do it. One that is cut off from its cluster says nothing.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The longest message of a server that is asked for a number.
const MESSAGE: usize = 64 * 1024;

const ID: u64 = 1;

/// What the probe counts, for the caller to export.
#[derive(Debug, Default)]
pub struct ProbeStats {
    questions: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
}

impl ProbeStats {
    /// Questions asked.
    #[must_use]
    pub fn questions(&self) -> u64 {
        self.questions.load(Relaxed)
    }

    /// Questions that could not be asked, of any server, by what the last one failed by.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> u64 {
        self.failures[cause as usize].load(Relaxed)
    }
}

/// Asks. It connects for each question, as there is nobody to keep a connection alive in between.
#[derive(Debug)]
pub struct Probe {
    endpoints: Endpoints,
    tls: Option<ClientFiles>,
    /// The endpoint that did it last.
    good: usize,
}

impl Probe {
    /// A probe by way of a northbound database.
    #[must_use]
    pub const fn new(endpoints: Endpoints, tls: Option<ClientFiles>) -> Self {
        Self {
            endpoints,
            tls,
            good: 0,
        }
    }

    /// Asks at once and then at every interval, until it is dropped. Two that ask at a time do no
    /// harm: every question is answered. While chassis do not answer by OVN's configuration
    /// (`answers`), it does not ask: each question would still cost northd a round.
    pub async fn run(
        &mut self,
        every: Duration,
        stats: &Arc<ProbeStats>,
        answers: impl Fn() -> bool,
    ) -> Infallible {
        let mut ticks = interval_at(tokio::time::Instant::now(), every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = None;
        let mut pauses = false;
        loop {
            ticks.tick().await;
            let in_vain = !answers();
            match (std::mem::replace(&mut pauses, in_vain), in_vain) {
                (false, true) => tracing::warn!(
                    "the probe pauses: no chassis would answer while NB_Global.options:enable_chassis_nb_cfg_update is false"
                ),
                (true, false) => tracing::info!("the probe goes on: chassis answer again"),
                _ => {}
            }
            if in_vain {
                continue;
            }
            match self.bump().await {
                Ok(nb_cfg) => {
                    stats.questions.fetch_add(1, Relaxed);
                    if failing.take().is_some() {
                        tracing::info!(nb_cfg, "the probe asks again");
                    }
                }
                Err(fault) => {
                    let cause = fault.cause;
                    stats.failures[cause as usize].fetch_add(1, Relaxed);
                    if failing.replace(cause) != Some(cause) {
                        tracing::warn!(
                            cause = cause.name(),
                            "the probe can't ask, and a dead chassis is not seen: {fault}"
                        );
                    }
                }
            }
        }
    }

    /// Asks once, by the first server that does it, and tells the value that chassis answer with.
    pub async fn bump(&mut self) -> Result<i64, Fault> {
        let count = self.endpoints.count();
        let mut result = Err(Fault::new(Cause::Connection, "no endpoint"));
        for number in self.good..self.good + count {
            let endpoint = self.endpoints.at(number);
            let attempt = timeout(ATTEMPT, attempt(endpoint, self.tls.as_ref()));
            result = attempt.await.unwrap_or_else(|_| {
                Err(Fault::new(
                    Cause::Timeout,
                    format!("no answer within {ATTEMPT:?}"),
                ))
            });
            match &result {
                Ok(_) => {
                    self.good = number % count;
                    break;
                }
                Err(fault) => tracing::debug!(%endpoint, "the probe fails: {fault}"),
            }
        }
        result
    }
}

async fn attempt(endpoint: &Endpoint, tls: Option<&ClientFiles>) -> Result<i64, Fault> {
    let mut connection = Connection::open(endpoint, tls, MESSAGE).await?;
    let result = ask(&mut connection).await;
    connection.close().await;
    result
}

async fn ask(connection: &mut Connection) -> Result<i64, Fault> {
    let params = json!([
        "OVN_Northbound",
        {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]},
        {"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]},
    ]);
    let request = rpc::request(ID, "transact", &params);
    connection.write(&request).await?;
    loop {
        while let Some(bytes) = connection.message()? {
            let message = Message::parse(&bytes)
                .map_err(|error| Fault::new(Cause::Unreadable, error.to_string()))?;
            match message {
                Message::Request { method, params, id } if method == "echo" => {
                    connection.write(&rpc::echo_reply(id, params)).await?;
                }
                Message::Reply { id, outcome } if id.get().parse() == Ok(ID) => {
                    return match outcome {
                        Ok(result) => value(result.get()),
                        Err(error) => Err(refused(&rpc::words(error))),
                    };
                }
                _ => {}
            }
        }
        connection.read().await?;
    }
}

/// The value after the mutation, or what the database has against it: an error stands in the place
/// of the operation that failed, or after them all.
fn value(result: &str) -> Result<i64, Fault> {
    let unreadable = || Fault::new(Cause::Unreadable, "the reply to transact can't be read");
    let results: Vec<Option<Value>> = serde_json::from_str(result).map_err(|_| unreadable())?;
    if let Some(error) = results.iter().flatten().find(|r| r.get("error").is_some()) {
        let text = |field| error.get(field).and_then(Value::as_str);
        let words = [text("error"), text("details")];
        return Err(refused(
            &words.into_iter().flatten().collect::<Vec<_>>().join(": "),
        ));
    }
    let [Some(mutated), Some(selected)] = results.as_slice() else {
        return Err(unreadable());
    };
    if mutated.get("count").and_then(Value::as_i64) == Some(0) {
        return Err(refused("NB_Global has no row"));
    }
    let nb_cfg = selected.pointer("/rows/0/nb_cfg").and_then(Value::as_i64);
    nb_cfg.ok_or_else(unreadable)
}

fn refused(words: &str) -> Fault {
    Fault::new(
        Cause::Refused,
        format!("the server refuses transact: {words}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_the_new_value_or_what_is_against_it() {
        for (reply, expect) in [
            (json!([{"count": 1}, {"rows": [{"nb_cfg": 7}]}]), Ok(7)),
            (
                json!([{"count": 0}, {"rows": []}]),
                Err("the server refuses transact: NB_Global has no row"),
            ),
            (
                json!([{"error": "unknown table", "details": "x"}, null]),
                Err("the server refuses transact: unknown table: x"),
            ),
            (
                json!([{"count": 1}, {"rows": [{"nb_cfg": 7}]}, {"error": "not leader"}]),
                Err("the server refuses transact: not leader"),
            ),
            (
                json!([{"count": 1}]),
                Err("the reply to transact can't be read"),
            ),
            (
                json!([{"count": 1}, {"rows": [{}]}]),
                Err("the reply to transact can't be read"),
            ),
            (json!({}), Err("the reply to transact can't be read")),
        ] {
            let value = value(&reply.to_string()).map_err(|fault| fault.to_string());
            assert_eq!(value.as_ref().copied().map_err(String::as_str), expect);
        }
    }
}
