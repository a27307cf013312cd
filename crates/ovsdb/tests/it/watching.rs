//! Following a real database: over changes, restarts of the server and lost connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ovsdb::{
    ClientEvent, ClientOptions, Condition, Datum, MonitorColumns, MonitorSpec, Transaction,
    Transactor, Uuid, follow,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::{PATIENCE, SHELVES, Server, options};

const SPEC: MonitorSpec = MonitorSpec {
    large_tables: &[MonitorColumns {
        table: "Book",
        columns: &["title", "pages", "author"],
    }],
    ..MonitorSpec::new("Library", &[SHELVES])
};

/// What was told of a database.
#[derive(Debug, Default)]
struct Seen {
    /// The first column of each row, by table and id.
    names: BTreeMap<(&'static str, Uuid), String>,
    missing: Vec<String>,
    syncs: usize,
    failures: usize,
    synced: bool,
}

impl Seen {
    fn take(&mut self, event: &ClientEvent<'_>) {
        let changes = match *event {
            ClientEvent::Synced {
                changes, missing, ..
            } => {
                self.missing = missing.iter().map(ToString::to_string).collect();
                self.syncs += 1;
                self.synced = true;
                changes
            }
            ClientEvent::Changed(changes) => changes,
            ClientEvent::Failed { .. } => {
                self.failures += 1;
                self.synced = false;
                return;
            }
            ClientEvent::Connected(_) | ClientEvent::Answered => return,
        };
        for change in changes {
            let key = (change.table, change.id);
            let name = change.row.as_ref().and_then(|row| row.iter().next());
            match name.and_then(|(_, datum)| datum.text()) {
                Some(name) => self.names.insert(key, name.to_owned()),
                None => self.names.remove(&key),
            };
        }
    }

    fn names(&self, table: &str) -> Vec<&str> {
        let rows = self.names.iter().filter(|((of, _), _)| *of == table);
        let mut names: Vec<_> = rows.map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

/// A database, followed.
struct Following {
    seen: Arc<Mutex<Seen>>,
    changed: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Following {
    fn start(options: ClientOptions) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (send, changed) = watch::channel(());
        let told = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let on_event = move |event: ClientEvent<'_>| {
                told.lock().unwrap().take(&event);
                send.send_replace(());
            };
            match follow(options, SPEC, on_event).await {}
        });
        Self {
            seen,
            changed,
            task,
        }
    }

    async fn until(&mut self, holds: impl Fn(&Seen) -> bool) {
        let waited = timeout(PATIENCE, async {
            while !holds(&self.seen.lock().unwrap()) {
                self.changed.changed().await.unwrap();
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.seen.lock().unwrap());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Puts a book on a shelf of the same name.
async fn insert(server: &Server, name: &str) {
    let mut transaction = Transaction::new("Library");
    let book = transaction.insert("Book", [("title", name.into())]);
    let books = Datum::from(book.reference());
    transaction.insert("Shelf", [("name", name.into()), ("books", books)]);
    let mut transactor = Transactor::new(server.options());
    transactor.transact(&transaction).await.unwrap();
}

#[tokio::test]
async fn a_database_is_followed_over_changes_and_restarts_of_its_server() {
    let Some(mut server) = Server::start() else {
        return;
    };
    insert(&server, "a").await;
    let nowhere = format!("unix:{}", server.path("none.sock").display());
    let both = format!("{nowhere},{}", server.endpoint());
    let mut following = Following::start(options(&both));
    following.until(|seen| seen.synced).await;
    {
        let seen = following.seen.lock().unwrap();
        assert_eq!(
            (seen.names("Shelf"), seen.names("Book")),
            (vec!["a"], vec!["a"])
        );
        assert_eq!(seen.missing, ["Book.author"]);
        assert_eq!((seen.syncs, seen.failures), (1, 1));
    }

    insert(&server, "b").await;
    following
        .until(|seen| seen.names("Shelf") == ["a", "b"] && seen.names("Book") == ["a", "b"])
        .await;

    server.stop();
    following.until(|seen| !seen.synced).await;
    server.restart();
    let mut delete = Transaction::new("Library");
    delete.delete("Shelf", &[Condition::equal("name", "a")]);
    let mut transactor = Transactor::new(server.options());
    transactor.transact(&delete).await.unwrap();
    following
        .until(|seen| seen.synced && seen.names("Shelf") == ["b"] && seen.names("Book") == ["b"])
        .await;
}
