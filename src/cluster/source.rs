//! The objects of one kind at the API server: a list in pages, then a watch that resumes where it ended.
//! Both are read as a stream, one object at a time.
//!
//! kube's watcher has a whole page in memory, of objects that tenants make as large as they like.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Collected, Limited};
use kube::Client;
use kube::api::{GetParams, ListParams, WatchParams};
use kube::client::Body;
use kube::core::{Request, Status};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::api::fault::sources;
use crate::api::{Cause, Fault};
use crate::cluster::kinds::{Observed, WatchedResource};
use crate::cluster::parts::{Document, LARGEST_OBJECT, NotAnObject, Parsed, Part, Splitter};

/// After how many seconds the server ends a watch, which then goes on where it was. A connection
/// that was lost without a word is noticed after that.
pub const WATCH_SECONDS: u32 = 60;

/// For how long a watch may be silent: the server's end of it may be lost.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

/// Objects in a page of a list, as client-go asks for them.
const PAGE: u32 = 500;

/// The longest answer that is read for what it says of a failure.
const LONGEST_FAILURE: usize = 64 << 10;

/// An event of a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// An object is there, new or changed.
    Applied(Observed),
    /// An object is gone.
    Deleted(Observed),
}

/// Lists and watches the objects of one kind.
pub(super) struct Source {
    client: Client,
    request: Request,
    resource: WatchedResource,
}

impl Source {
    pub(super) fn new(client: Client, resource: WatchedResource) -> Self {
        Self {
            client,
            request: Request::new(resource.path()),
            resource,
        }
    }

    /// Lists all objects, page by page. Returns the version of the list, from which a watch goes on.
    pub(super) async fn list(&self, mut each: impl FnMut(Observed)) -> Result<String, Fault> {
        let selector = self.resource.selector.as_deref();
        let each = |part| each(self.resource.observe(part));
        list(&self.client, &self.request, selector, each).await
    }

    /// Opens a watch of what happens after a version, and keeps the version up to date. Where only a
    /// new list helps after an error, the version is then empty.
    pub(super) async fn watch<'a>(&'a self, version: &'a mut String) -> Result<Watch<'a>, Fault> {
        let parameters = WatchParams {
            label_selector: self.resource.selector.clone(),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let body = send(&self.client, self.request.watch(&parameters, version)).await?;
        Ok(Watch {
            resource: &self.resource,
            parts: Parts::new(body),
            version,
            deadline: Instant::now() + SILENCE,
        })
    }

    /// An object of this name, or `None` where there is none.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Observed>, Fault> {
        let request = self.request.get(name, &GetParams::default());
        let body = match send(&self.client, request).await {
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
}

/// Lists all objects of a kind, page by page. Returns the version of the list.
pub(super) async fn list(
    client: &Client,
    request: &Request,
    selector: Option<&str>,
    mut each: impl FnMut(Part),
) -> Result<String, Fault> {
    let mut parameters = ListParams {
        label_selector: selector.map(str::to_owned),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    loop {
        let mut parts = Parts::new(send(client, request.list(&parameters)).await?);
        let page = loop {
            match parts.next().await? {
                Some(Parsed::Item(part)) => each(part),
                Some(Parsed::Document(page)) => break page,
                None => return Err(Fault::new(Cause::Unreadable, "the list has no end")),
            }
        };
        // Read to its end, so that the connection can be used again.
        while let Ok(Some(_)) = parts.next().await {}
        let ListMeta {
            resource_version,
            next,
        } = serde_json::from_slice(&page.metadata).unwrap_or_default();
        parameters.continue_token = next.filter(|next| !next.is_empty());
        if parameters.continue_token.is_none() {
            let version = resource_version.filter(|version| !version.is_empty());
            return version.ok_or_else(|| no_version("a list"));
        }
    }
}

async fn send(
    client: &Client,
    request: Result<hyper::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Body, Fault> {
    let request = request.map_err(|error| Fault::from(&kube::Error::BuildRequest(error)))?;
    let answer = client.send(request.map(Body::from)).await;
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

/// An open watch.
pub(super) struct Watch<'a> {
    resource: &'a WatchedResource,
    parts: Parts,
    version: &'a mut String,
    /// Until when the server has to say something.
    deadline: Instant,
}

impl Watch<'_> {
    /// The next event; `None` once the server has ended the watch, or is silent for too long. The watch
    /// is of no use after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            let parsed = match timeout_at(self.deadline, self.parts.next()).await {
                Ok(Ok(Some(parsed))) => parsed,
                Ok(Err(broken)) if !broken.is_an_end() => return Err(broken.into()),
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(None),
            };
            self.deadline = Instant::now() + SILENCE;
            let Parsed::Document(document) = parsed else {
                // No event has items.
                continue;
            };
            if let Some(event) = self.event(document)? {
                return Ok(Some(event));
            }
        }
    }

    /// The event in a document; `None` for a bookmark.
    fn event(&mut self, document: Document) -> Result<Option<Event>, Fault> {
        let event: fn(Observed) -> Event = match (document.event.trim_ascii(), &document.object) {
            (br#""ERROR""#, Some(Part::Whole(status))) => {
                let status = serde_json::from_slice::<Status>(status);
                return Err(Fault::from(&status.unwrap_or_default()));
            }
            (br#""BOOKMARK""#, object) => {
                // An object without a name, but with a version.
                if let Some(Part::Whole(object)) = object
                    && let Ok(Bookmark { metadata }) = serde_json::from_slice(object)
                    && let Some(version) = metadata.resource_version
                {
                    *self.version = version;
                }
                return Ok(None);
            }
            (br#""ADDED""# | br#""MODIFIED""#, _) => Event::Applied,
            (br#""DELETED""#, _) => Event::Deleted,
            // Not to be skipped, and a watch from the same version would bring it again.
            _ => {
                self.version.clear();
                return Err(Fault::from(&Status::default()));
            }
        };
        let observed = document.object.map(|object| self.resource.observe(object));
        self.version.clear();
        let observed = observed.filter(|observed| !observed.version.is_empty());
        let observed = observed.ok_or_else(|| no_version("an object"))?;
        self.version.clone_from(&observed.version);
        Ok(Some(event(observed)))
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

fn no_version(what: &str) -> Fault {
    Fault::new(
        Cause::Unreadable,
        format!("{what} came without a resourceVersion"),
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

    async fn next(&mut self) -> Result<Option<Parsed>, Broken> {
        loop {
            if let Some(parsed) = self.parsed.pop_front() {
                return Ok(Some(parsed));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let parsed = &mut self.parsed;
            self.splitter.push(&data, |part| parsed.push_back(part))?;
        }
    }
}

/// An answer that can't be read to its end.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Connection(#[from] kube::Error),
    #[error(transparent)]
    Unreadable(#[from] NotAnObject),
}

impl Broken {
    /// Whether it is the end that a watch may have: a server that ends takes its connections along.
    fn is_an_end(&self) -> bool {
        let Self::Connection(error) = self else {
            return false;
        };
        sources(error).any(|error| {
            let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
            matches!(io, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::TimedOut))
                // hyper's own, of a body in chunks.
                || error.to_string().contains("unexpected EOF during chunk")
        })
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Connection(error) => Self::from(&error),
            Broken::Unreadable(error) => Self::new(Cause::Unreadable, error.to_string()),
        }
    }
}
