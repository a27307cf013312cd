//! The objects of one kind at the API server: a list in pages, then a watch that resumes where it ended.
//! Both are read as a stream, one object at a time.
//!
//! kube's watcher has a whole page in memory, of objects that tenants make as large as they like.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::time::Duration;

use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Collected, Limited};
use kube::Client;
use kube::api::{GetParams, ListParams, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};
use serde::Deserialize;
use tokio::time::timeout;

use crate::api::{Cause, Fault};
use crate::cluster::kinds::{Observed, WatchedResource};
use crate::cluster::parts::{Document, LARGEST_OBJECT, Parsed, Part, Splitter};

/// After how many seconds the server ends a watch, which then goes on where it was. A connection
/// that was lost without a word is noticed after that.
pub const WATCH_SECONDS: u32 = 60;

/// For how long a watch may be silent: the server's end of it may be lost.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

/// Objects in a page of a list, as client-go asks for them.
const PAGE: u32 = 500;

/// The longest answer that is read for what it says of a failure.
const LONGEST_FAILURE: usize = 64 << 10;

/// What happens to the objects of a kind.
#[derive(Debug)]
pub(super) enum Event {
    /// A list begins; what an earlier one brought without an end counts for nothing.
    ListBegins,
    /// An object of the list.
    Listed(Observed),
    /// The list is whole.
    ListEnds,
    /// A watch is about to be asked for.
    WatchBegins,
    /// The server has said yes to it.
    WatchOpens,
    /// An object is there, new or changed.
    Applied(Observed),
    /// An object is gone.
    Deleted(Observed),
}

/// Where the objects of a kind come from.
pub(super) struct Source {
    client: Client,
    request: Request,
    resource: WatchedResource,
}

/// How far it has come.
enum State {
    /// Nothing is known.
    Empty,
    /// The next page of a list is to be asked for.
    Page(Option<String>),
    /// A page is being read.
    Items(Parts),
    /// All that was at this version is known.
    Listed(String),
    /// A watch from this version is to be asked for.
    Asking(String),
    /// What happens after this version is being read.
    Watching(String, Parts),
}

impl Source {
    pub(super) fn new(client: Client, resource: WatchedResource) -> Self {
        Self {
            client,
            request: Request::new(resource.path()),
            resource,
        }
    }

    /// What happens to them. After an error it goes on: where it was if that can be, else with a new
    /// list.
    pub(super) fn events(&self) -> impl Stream<Item = Result<Event, Fault>> {
        stream::unfold(State::Empty, move |mut state| async move {
            loop {
                let event;
                (event, state) = self.step(state).await;
                if let Some(event) = event {
                    return Some((event, state));
                }
            }
        })
    }

    /// An object of this name, or `None` where there is none.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Observed>, Fault> {
        let request = self.request.get(name, &GetParams::default());
        let body = match self.send(request).await {
            Ok(body) => body,
            // As without the CRD.
            Err(fault) if fault.cause == Cause::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let read = Limited::new(body, LARGEST_OBJECT).collect().await;
        let read = read.map_err(|error| match error.downcast::<kube::Error>() {
            Ok(error) => Fault::from(&*error),
            Err(_) => Fault::new(
                Cause::Unreadable,
                format!("it is larger than the {LARGEST_OBJECT} bytes that are read of an object"),
            ),
        })?;
        Ok(Some(
            self.resource.observe(Part::Whole(read.to_bytes().into())),
        ))
    }

    async fn step(&self, state: State) -> (Option<Result<Event, Fault>>, State) {
        match state {
            State::Empty => (Some(Ok(Event::ListBegins)), State::Page(None)),
            State::Page(next) => match self.list(next).await {
                Ok(body) => (None, State::Items(Parts::new(body))),
                Err(fault) => (Some(Err(fault)), State::Empty),
            },
            State::Items(mut parts) => match parts.next().await {
                Ok(Some(Parsed::Item(part))) => (
                    Some(Ok(Event::Listed(self.resource.observe(part)))),
                    State::Items(parts),
                ),
                Ok(Some(Parsed::Document(list))) => {
                    parts.end().await;
                    page_ends(&list)
                }
                Ok(None) => (
                    Some(Err(Fault::new(Cause::Unreadable, "the list has no end"))),
                    State::Empty,
                ),
                Err(fault) => (Some(Err(fault.into_fault())), State::Empty),
            },
            State::Listed(version) => (Some(Ok(Event::WatchBegins)), State::Asking(version)),
            State::Asking(version) => match self.watch(&version).await {
                Ok(body) => (
                    Some(Ok(Event::WatchOpens)),
                    State::Watching(version, Parts::new(body)),
                ),
                Err(fault) => (Some(Err(fault)), State::Listed(version)),
            },
            State::Watching(version, mut parts) => {
                match timeout(SILENCE, parts.next()).await {
                    Ok(Ok(Some(Parsed::Document(event)))) => self.happened(event, version, parts),
                    // No event has items.
                    Ok(Ok(Some(Parsed::Item(_)))) => (None, State::Watching(version, parts)),
                    Ok(Err(fault)) if !fault.is_an_end() => {
                        (Some(Err(fault.into_fault())), State::Listed(version))
                    }
                    // It is over, or as good as over.
                    Ok(Ok(None) | Err(_)) | Err(_) => (None, State::Listed(version)),
                }
            }
        }
    }

    /// An event of a watch.
    fn happened(
        &self,
        event: Document,
        version: String,
        parts: Parts,
    ) -> (Option<Result<Event, Fault>>, State) {
        let watching = |version| State::Watching(version, parts);
        let kind: &[u8] = event.event.trim_ascii();
        let object = event.object;
        if kind == br#""ERROR""# {
            let Some(Part::Whole(status)) = object else {
                return (Some(Err(no_event())), watching(version));
            };
            let status = serde_json::from_slice::<Status>(&status).unwrap_or_default();
            // What happened since this version is not known any more.
            let state = if status.code == 410 {
                State::Empty
            } else {
                watching(version)
            };
            return (Some(Err(Fault::from(&status))), state);
        }
        if kind == br#""BOOKMARK""# {
            // An object of no name, but for its version.
            let next = match object {
                Some(Part::Whole(object)) => serde_json::from_slice::<Bookmark>(&object).ok(),
                Some(Part::TooLarge(_)) | None => None,
            };
            let next = next.and_then(|Bookmark { metadata }| metadata.resource_version);
            return (None, watching(next.unwrap_or(version)));
        }
        let event: fn(Observed) -> Event = match kind {
            br#""ADDED""# | br#""MODIFIED""# => Event::Applied,
            br#""DELETED""# => Event::Deleted,
            _ => return (Some(Err(no_event())), watching(version)),
        };
        let Some(observed) = object.map(|object| self.resource.observe(object)) else {
            return (Some(Err(no_version("an object"))), State::Empty);
        };
        if observed.version.is_empty() {
            return (Some(Err(no_version("an object"))), State::Empty);
        }
        let version = observed.version.clone();
        (Some(Ok(event(observed))), watching(version))
    }

    async fn list(&self, next: Option<String>) -> Result<Body, Fault> {
        let parameters = ListParams {
            label_selector: self.resource.selector.clone(),
            limit: Some(PAGE),
            continue_token: next,
            ..ListParams::default()
        };
        self.send(self.request.list(&parameters)).await
    }

    async fn watch(&self, version: &str) -> Result<Body, Fault> {
        let parameters = WatchParams {
            label_selector: self.resource.selector.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        self.send(self.request.watch(&parameters, version)).await
    }

    async fn send(
        &self,
        request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Body, Fault> {
        let request = request.map_err(|error| Fault::from(&kube::Error::BuildRequest(error)))?;
        let answer = self.client.send(request.map(Body::from)).await;
        let answer = answer.map_err(|error| Fault::from(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let said = Limited::new(answer.into_body(), LONGEST_FAILURE)
            .collect()
            .await;
        let said = said.map(Collected::to_bytes).unwrap_or_default();
        // A proxy in between says something else than the API server would.
        let said = serde_json::from_slice::<Status>(&said).unwrap_or_else(|_| {
            Status::failure(&String::from_utf8_lossy(&said), "").with_code(status.as_u16())
        });
        Err(Fault::from(&said))
    }
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ListMeta,
}

/// The metadata of a list, or of a bookmark.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

fn page_ends(list: &Document) -> (Option<Result<Event, Fault>>, State) {
    let ListMeta {
        resource_version,
        next,
    } = serde_json::from_slice(&list.metadata).unwrap_or_default();
    let filled = |text: &String| !text.is_empty();
    match (next.filter(filled), resource_version.filter(filled)) {
        (Some(next), _) => (None, State::Page(Some(next))),
        (None, Some(version)) => (Some(Ok(Event::ListEnds)), State::Listed(version)),
        (None, None) => (Some(Err(no_version("a list"))), State::Empty),
    }
}

fn no_version(what: &str) -> Fault {
    Fault::new(
        Cause::Unreadable,
        format!("{what} came without a resourceVersion"),
    )
}

fn no_event() -> Fault {
    Fault::new(
        Cause::Unreadable,
        "an event of a watch is no Kubernetes object",
    )
}

/// An answer, read as it comes.
struct Parts {
    body: Body,
    splitter: Splitter,
    parsed: VecDeque<Parsed>,
}

impl Parts {
    fn new(body: Body) -> Self {
        Self {
            body,
            splitter: Splitter::default(),
            parsed: VecDeque::new(),
        }
    }

    /// Reads to the end, so that the connection can be used again.
    async fn end(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    async fn next(&mut self) -> Result<Option<Parsed>, Broken> {
        loop {
            if let Some(parsed) = self.parsed.pop_front() {
                return Ok(Some(parsed));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let Ok(data) = frame.map_err(Broken::Connection)?.into_data() else {
                continue;
            };
            let parsed = &mut self.parsed;
            let pushed = self.splitter.push(&data, |part| parsed.push_back(part));
            pushed.map_err(|error| {
                Broken::Unreadable(Fault::new(Cause::Unreadable, error.to_string()))
            })?;
        }
    }
}

/// An answer that can't be read to its end.
enum Broken {
    Connection(kube::Error),
    Unreadable(Fault),
}

impl Broken {
    /// Whether it is the end that a watch may have: a server that ends takes its connections along.
    fn is_an_end(&self) -> bool {
        let Self::Connection(error) = self else {
            return false;
        };
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = source {
            let ended = error.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::TimedOut
                )
            });
            // hyper's own, of a body in chunks.
            if ended || error.to_string().contains("unexpected EOF during chunk") {
                return true;
            }
            source = error.source();
        }
        false
    }

    fn into_fault(self) -> Fault {
        match self {
            Self::Connection(error) => Fault::from(&error),
            Self::Unreadable(fault) => fault,
        }
    }
}
