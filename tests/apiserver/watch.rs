//! Watches: each reads the history of its kind at its own pace and writes what its selector sees.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::body::{self, Part};
use super::kinds::Kind;
use super::list::revision;
use super::object::Object;
use super::reply;
use super::request::Request;
use super::selector::Selector;
use super::shared::{Shared, State};
use super::status::Status;
use super::store::{Change, TooOld};

/// How long a watch lasts that names no time: the least of the real one's times.
const TIMEOUT: Duration = Duration::from_mins(30);

/// What all watches have in common.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// The kinds that are being watched, once a watch.
    pub(crate) open: Vec<&'static str>,
    /// Whether they write nothing, though their connections stay.
    pub(crate) stalled: bool,
    /// Whether a watch from too long ago is refused before it begins, instead of ended by an event.
    pub(crate) refuse_expired: bool,
    bookmarks: u64,
    cuts: u64,
    cut: Cut,
}

/// Where a connection is cut.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Cut {
    #[default]
    BetweenLines,
    InALine,
}

impl Watches {
    pub(crate) fn bookmark(&mut self) {
        self.bookmarks += 1;
    }

    pub(crate) fn cut(&mut self, cut: Cut) {
        self.cuts += 1;
        self.cut = cut;
    }
}

/// One watch.
struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    selector: Selector,
    allow_bookmarks: bool,
    /// All up to here is written.
    revision: u64,
    /// How often these had happened when it began, or when it last acted on them.
    removals: usize,
    bookmarks: u64,
    cuts: u64,
    out: mpsc::Sender<Part>,
}

enum Then {
    Wait,
    End,
    Cut,
}

/// Answers a watch.
pub(crate) fn watch(
    shared: &Arc<Shared>,
    kind: &'static Kind,
    request: &Request,
) -> Result<Response, Box<Status>> {
    let selector = Selector::of(kind, request)?;
    let is = |name| request.parameter(name) == Some("true");
    let seconds = request.parameter("timeoutSeconds").map(str::parse::<u64>);
    let timeout = match seconds {
        None | Some(Ok(0)) => TIMEOUT,
        Some(Ok(seconds)) => Duration::from_secs(seconds),
        Some(Err(_)) => return Err(Status::bad_request("timeoutSeconds")),
    };
    let from = request.parameter("resourceVersion").map(revision);
    let from = from.transpose()?.unwrap_or_default();

    let (out, written) = body::channel();
    let response = reply::json(StatusCode::OK, Body::new(written));
    let mut state = shared.lock();
    let table = state.store.table(kind);
    let mut lines = Vec::new();
    let mut begin = from;
    if from == 0 || is("sendInitialEvents") {
        begin = state.store.revision();
        let objects = table.objects().filter(|object| selector.matches(object));
        lines.extend(objects.map(|object| line("ADDED", object.json())));
        if is("sendInitialEvents") {
            lines.push(bookmark(kind, begin, true));
        }
    } else if let Err(TooOld { oldest }) = table.remembers(from) {
        let message = format!("too old resource version: {from} ({})", oldest - 1);
        let status = Status::expired(message);
        if state.watches.refuse_expired {
            return Err(status);
        }
        let sent = out.try_send(Part::Line(line("ERROR", &status.json())));
        sent.unwrap_or_else(|_| panic!("a new channel has room"));
        return Ok(response);
    }
    let watch = Watch {
        shared: Arc::clone(shared),
        kind,
        selector,
        allow_bookmarks: is("allowWatchBookmarks"),
        revision: begin,
        removals: table.removals.len(),
        bookmarks: state.watches.bookmarks,
        cuts: state.watches.cuts,
        out,
    };
    state.watches.open.push(kind.plural);
    drop(state);
    shared.tell();
    tokio::spawn(watch.run(lines, Instant::now() + timeout));
    Ok(response)
}

impl Watch {
    async fn run(mut self, mut lines: Vec<String>, deadline: Instant) {
        let shared = Arc::clone(&self.shared);
        let mut changes = shared.changes();
        let mut over = false;
        loop {
            changes.mark_unchanged();
            let then = self.advance(&shared.lock(), &mut lines, over);
            for line in lines.drain(..) {
                if self.out.send(Part::Line(line)).await.is_err() {
                    return;
                }
            }
            match then {
                Then::Wait => {}
                Then::End => return,
                Then::Cut => {
                    // Whoever reads is gone already, or will be.
                    let _ = self.out.send(Part::Cut).await;
                    return;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep_until(deadline), if !over => over = true,
                () = self.out.closed() => return,
            }
        }
    }

    /// Adds what there is to write, and says what follows.
    fn advance(&mut self, state: &State, lines: &mut Vec<String>, over: bool) -> Then {
        let Watches {
            stalled,
            bookmarks,
            cuts,
            cut,
            ..
        } = state.watches;
        if cuts > self.cuts {
            if matches!(cut, Cut::InALine) {
                lines.push(half_a_line(self.kind));
            }
            return Then::Cut;
        }
        if stalled {
            return Then::Wait;
        }
        let table = state.store.table(self.kind);
        let removal = table.removals.get(self.removals).copied();
        let Some(changes) = table.changes_after(self.revision) else {
            return Then::End;
        };
        for change in changes {
            if removal.is_none_or(|removal| change.revision <= removal) {
                lines.extend(self.line(&change));
            }
        }
        if removal.is_some() {
            return Then::End;
        }
        self.revision = state.store.revision();
        if self.allow_bookmarks && (bookmarks > self.bookmarks || over) {
            self.bookmarks = bookmarks;
            lines.push(bookmark(self.kind, self.revision, false));
        }
        if over { Then::End } else { Then::Wait }
    }

    /// What a change is to this selector: an object that no longer matches is as good as deleted.
    fn line(&self, change: &Change) -> Option<String> {
        let seen = |object: &Option<Arc<Object>>| {
            object
                .clone()
                .filter(|object| self.selector.matches(object))
        };
        match (seen(&change.before), seen(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(line("ADDED", after.json())),
            (Some(_), Some(after)) => Some(line("MODIFIED", after.json())),
            (Some(before), None) => {
                let last = before.at(self.kind, change.revision);
                Some(line("DELETED", last.json()))
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let open = &mut state.watches.open;
        let at = open.iter().position(|plural| *plural == self.kind.plural);
        open.swap_remove(at.unwrap());
        drop(state);
        self.shared.tell();
    }
}

fn line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn half_a_line(kind: &Kind) -> String {
    format!(
        r#"{{"type":"MODIFIED","object":{{"apiVersion":"{}","kind":"{}","metadata":{{"na"#,
        kind.api_version(),
        kind.name
    )
}

/// The revision that has been reached, and whether the initial events end with it.
fn bookmark(kind: &Kind, revision: u64, initial: bool) -> String {
    let annotations = if initial {
        r#","annotations":{"k8s.io/initial-events-end":"true"}"#
    } else {
        ""
    };
    let object = format!(
        r#"{{"kind":"{}","apiVersion":"{}","metadata":{{"resourceVersion":"{revision}"{annotations}}}}}"#,
        kind.name,
        kind.api_version()
    );
    line("BOOKMARK", &object)
}
