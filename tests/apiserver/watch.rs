//! Watches: each reads the history of its kind at its own pace and writes what its selector sees.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::body::{self, Part};
use super::event::{bookmark, half_a_line, line};
use super::form::Form;
use super::kinds::Kind;
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
    open: Vec<Open>,
    /// Whether they write nothing, though their connections stay.
    pub(crate) stalled: bool,
    /// Whether a watch from too long ago is refused before it begins, instead of ended by an event.
    pub(crate) refuse_expired: bool,
    bookmarks: u64,
    cuts: u64,
    cut: Cut,
}

/// A watch that is open: what it watches, and how many cuts it came after.
#[derive(Debug, PartialEq)]
struct Open {
    plural: &'static str,
    cuts: u64,
}

/// Where a connection is cut.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Cut {
    #[default]
    BetweenLines,
    InALine,
}

impl Watches {
    /// How many watches are open on a kind.
    pub(crate) fn open(&self, plural: &str) -> usize {
        let open = self.open.iter();
        open.filter(|open| open.plural == plural).count()
    }

    /// Whether all watches are gone that were open at the last cut.
    pub(crate) fn are_cut(&self) -> bool {
        self.open.iter().all(|open| open.cuts == self.cuts)
    }

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
    form: Form,
    bookmarks_allowed: bool,
    /// What comes first.
    initial: Vec<String>,
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

/// What a watch asks for, besides the objects.
struct Asked {
    /// A state to begin at; none is the present.
    from: Option<u64>,
    /// Whether what is there comes first, as if it were added.
    initial: bool,
    bookmarks: bool,
    timeout: Duration,
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Box<Status>> {
        let from = match request.parameter("resourceVersion") {
            None | Some("0") => None,
            Some(from) => Some(
                from.parse()
                    .map_err(|_| Status::not_a_version(from, false))?,
            ),
        };
        let initial = request.parameter("sendInitialEvents");
        let matching = request.parameter("resourceVersionMatch");
        if initial.is_some() && matching != Some("NotOlderThan") {
            return Err(Status::bad_match(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        let timeout = match request.parameter("timeoutSeconds") {
            None | Some("0") => TIMEOUT,
            Some(text) => {
                let seconds = text.parse().map_err(|_| Status::not_a_number(text))?;
                Duration::from_secs(seconds)
            }
        };
        Ok(Self {
            from,
            initial: initial.map_or(from.is_none(), |initial| initial == "true"),
            bookmarks: request.parameter("allowWatchBookmarks") == Some("true"),
            timeout,
        })
    }
}

/// Answers a watch.
pub(crate) fn watch(
    shared: &Arc<Shared>,
    kind: &'static Kind,
    form: Form,
    request: &Request,
) -> Result<Response, Box<Status>> {
    let selector = Selector::of(kind, request)?;
    let asked = Asked::read(request)?;
    let (out, written) = body::channel();
    let response = reply::json(StatusCode::OK, Body::new(written));
    let mut state = shared.lock();
    let table = state.store.table(kind);
    let mut initial = Vec::new();
    if asked.initial {
        let objects = table.objects().filter(|object| selector.matches(object));
        initial.extend(objects.map(|object| line("ADDED", form.of(object))));
        if asked.bookmarks {
            initial.push(bookmark(kind, form, state.store.revision(), true));
        }
    } else if let Some(from) = asked.from
        && let Err(TooOld { oldest }) = table.remembers(from)
    {
        let message = format!("too old resource version: {from} ({})", oldest - 1);
        let status = Status::expired(message);
        if state.watches.refuse_expired {
            return Err(status);
        }
        let sent = out.try_send(Part::Line(line("ERROR", status.json())));
        sent.unwrap_or_else(|_| panic!("a new channel has room"));
        return Ok(response);
    }
    let watch = Watch {
        shared: Arc::clone(shared),
        kind,
        selector,
        form,
        bookmarks_allowed: asked.bookmarks,
        initial,
        revision: match asked.from {
            Some(from) if !asked.initial => from,
            _ => state.store.revision(),
        },
        removals: table.removals.len(),
        bookmarks: state.watches.bookmarks,
        cuts: state.watches.cuts,
        out,
    };
    state.watches.open.push(watch.open());
    drop(state);
    shared.tell();
    tokio::spawn(watch.run(Instant::now() + asked.timeout));
    Ok(response)
}

impl Watch {
    fn open(&self) -> Open {
        Open {
            plural: self.kind.plural,
            cuts: self.cuts,
        }
    }

    async fn run(mut self, deadline: Instant) {
        let mut lines = Vec::new();
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

    /// Adds what there is to write, and says what follows. What came before a cut is written.
    fn advance(&mut self, state: &State, lines: &mut Vec<String>, over: bool) -> Then {
        let Watches { cuts, cut, .. } = state.watches;
        let then = if state.watches.stalled {
            Then::Wait
        } else {
            self.catch_up(state, lines, over)
        };
        if cuts == self.cuts {
            return then;
        }
        if matches!(cut, Cut::InALine) {
            lines.push(half_a_line(self.kind));
        }
        Then::Cut
    }

    fn catch_up(&mut self, state: &State, lines: &mut Vec<String>, over: bool) -> Then {
        lines.append(&mut self.initial);
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
        self.revision = self.revision.max(state.store.revision());
        let bookmarks = state.watches.bookmarks;
        if self.bookmarks_allowed && (bookmarks > self.bookmarks || over) {
            self.bookmarks = bookmarks;
            lines.push(bookmark(self.kind, self.form, self.revision, false));
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
            (None, Some(after)) => Some(line("ADDED", self.form.of(&after))),
            (Some(_), Some(after)) => Some(line("MODIFIED", self.form.of(&after))),
            (Some(before), None) => {
                let last = before.at(self.kind, change.revision);
                Some(line("DELETED", self.form.of(&last)))
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let open = &mut state.watches.open;
        let at = open.iter().position(|open| *open == self.open());
        open.swap_remove(at.unwrap());
        drop(state);
        self.shared.tell();
    }
}
