//! The text that Prometheus scrapes: made once a second at most, away from the threads that serve,
//! and shared by all requests that come meanwhile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use crate::metrics::Registry;

/// How long a text may be served, and from the making of one to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// How many requests of one address get the same text. A client that asks more often waits for the
/// next one, so that its requests cost one answer a second each, and it never reads old figures twice.
const SHARE: u32 = 8;

/// Of how many addresses that is counted for one text; the others wait for the next one.
const ADDRESSES: usize = 1024;

/// How long a request waits for its text.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a scrape gets no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScrapeError {
    /// Too many requests of the same address wait.
    #[error("too many requests for /metrics from this address: each gets {SHARE} answers a second")]
    TooOften,
    /// A metric is not valid, or a collector panicked: a defect.
    #[error("metrics can't be encoded: {0}")]
    Encode(String),
}

/// The current text, and how often each address got it.
#[derive(Debug)]
pub(super) struct Scrapes {
    registry: Registry,
    encoded: IntCounter,
    refused: IntCounter,
    state: Mutex<State>,
    made: Notify,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    /// How many texts were made.
    count: u64,
    is_making: bool,
    taken: HashMap<Option<IpAddr>, u32>,
}

#[derive(Clone, Debug)]
struct Current {
    text: Result<Bytes, ScrapeError>,
    /// When its making began: no figure is older.
    since: Instant,
}

enum Next {
    Text(Result<Bytes, ScrapeError>),
    /// The current text is not for this request: wait until another may be made.
    Later(Instant),
    /// A text is being made.
    Soon,
}

impl Scrapes {
    pub(super) fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            encoded: registry.counter(
                "berth_metrics_encoded_total",
                "Times that the text of /metrics was made; all who ask within a second share it.",
            )?,
            refused: registry.counter(
                "berth_scrapes_refused_total",
                "Requests for /metrics refused, because too many from one address wait already.",
            )?,
            registry,
            state: Mutex::default(),
            made: Notify::new(),
        })
    }

    /// The text for a request of this address, with figures of at most a second ago.
    pub(super) async fn text(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Bytes, ScrapeError> {
        let waited = timeout(PATIENCE, self.wait(peer)).await;
        waited.unwrap_or_else(|_| {
            self.refused.inc();
            Err(ScrapeError::TooOften)
        })
    }

    async fn wait(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Bytes, ScrapeError> {
        let asked = self.lock().count;
        loop {
            // From here on no text is missed.
            let mut made = pin!(self.made.notified());
            made.as_mut().enable();
            match self.next(peer, asked) {
                Next::Text(text) => return text,
                Next::Later(at) => sleep_until(at).await,
                Next::Soon => made.await,
            }
        }
    }

    fn next(self: &Arc<Self>, peer: Option<IpAddr>, asked: u64) -> Next {
        let now = Instant::now();
        let mut state = self.lock();
        let State {
            current,
            count,
            is_making,
            taken,
        } = &mut *state;
        if let Some(Current { text, since }) = current {
            let is_new = now - *since < PERIOD;
            let has_waited = *count > asked;
            let share = if has_waited { SHARE } else { 1 };
            let is_counted = taken.len() < ADDRESSES || taken.contains_key(&peer);
            if (is_new || has_waited) && is_counted {
                let taken = taken.entry(peer).or_default();
                if *taken < share {
                    *taken += 1;
                    return Next::Text(text.clone());
                }
            }
            if is_new {
                return Next::Later(*since + PERIOD);
            }
        }
        if !std::mem::replace(is_making, true) {
            self.make(now);
        }
        Next::Soon
    }

    /// Makes a text in a task of its own, as the request that began it may go away.
    fn make(self: &Arc<Self>, since: Instant) {
        let scrapes = Arc::clone(self);
        tokio::spawn(async move {
            let registry = scrapes.registry.clone();
            scrapes.encoded.inc();
            let text = match spawn_blocking(move || registry.encode()).await {
                Ok(Ok(text)) => Ok(Bytes::from(text)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let text = text.map_err(ScrapeError::Encode);
            if let Err(error) = &text {
                tracing::error!("{error}");
            }
            let mut state = scrapes.lock();
            state.current = Some(Current { text, since });
            state.count += 1;
            state.is_making = false;
            state.taken.clear();
            drop(state);
            scrapes.made.notify_waiters();
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn scrapes() -> Arc<Scrapes> {
        Arc::new(Scrapes::new(Registry::default()).unwrap())
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    fn value(text: &Bytes, series: &str) -> u64 {
        let text = std::str::from_utf8(text).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap().trim().parse().unwrap()
    }

    fn encoded(text: &Bytes) -> u64 {
        value(text, "berth_metrics_encoded_total")
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_within_a_second_share_one_text_and_the_next_second_has_another() {
        let scrapes = scrapes();
        let texts = join_all((0..100).map(|peer| scrapes.text(Some(address(peer))))).await;
        for text in texts {
            assert_eq!(encoded(&text.unwrap()), 1);
        }
        tokio::time::advance(PERIOD / 2).await;
        let text = scrapes.text(Some(address(200))).await.unwrap();
        assert_eq!(encoded(&text), 1);
        tokio::time::advance(PERIOD / 2).await;
        let text = scrapes.text(Some(address(0))).await.unwrap();
        assert_eq!(encoded(&text), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_never_gets_the_same_figures_twice_in_a_row() {
        let scrapes = scrapes();
        let asked = scrapes.registry.counter("asked_total", "Asked.").unwrap();
        for number in 0..5 {
            let text = scrapes.text(Some(address(1))).await.unwrap();
            assert_eq!(value(&text, "asked_total"), number);
            asked.inc();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn scrapers_in_a_loop_get_one_text_a_second_and_those_over_their_share_are_refused() {
        let scrapes = scrapes();
        let begun = Instant::now();
        let loops = (0..128).map(|_| async {
            let mut got = [0, 0];
            while begun.elapsed() < Duration::from_secs(30) {
                match scrapes.text(Some(address(1))).await {
                    Ok(_) => got[0] += 1,
                    Err(ScrapeError::TooOften) => got[1] += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            got
        });
        let got = join_all(loops).await;
        let [texts, refused] = got
            .iter()
            .fold([0, 0], |sum, got| [sum[0] + got[0], sum[1] + got[1]]);
        let seconds = begun.elapsed().as_secs();
        let text = scrapes.text(Some(address(2))).await.unwrap();
        assert!(encoded(&text) <= seconds + 1, "{seconds} s");
        assert!(texts <= u64::from(SHARE) * (seconds + 1), "{texts}");
        assert!(refused > 0);
        // Another address is served at once meanwhile.
        assert_eq!(value(&text, "berth_scrapes_refused_total"), refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_is_made_though_the_request_that_began_it_goes_away() {
        let scrapes = scrapes();
        assert!(scrapes.text(Some(address(1))).now_or_never().is_none());
        let text = scrapes.text(Some(address(2))).await.unwrap();
        assert_eq!(encoded(&text), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_beyond_those_that_are_counted_wait_for_the_next_text() {
        let scrapes = scrapes();
        let most = u32::try_from(ADDRESSES).unwrap();
        join_all((0..most).map(|peer| scrapes.text(Some(address(peer))))).await;
        assert_eq!(
            encoded(&scrapes.text(Some(address(most))).await.unwrap()),
            2
        );
    }
}
