//! Transactions with a real server: what each operation comes to, and what is told when it fails.

use std::time::Duration;

use ovsdb::{
    Condition, Datum, ErrorKind, Function, Mutation, Mutator, SelectedRow, TransactError,
    Transaction, Transactor, Until,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::server::{Server, options};

fn library() -> Transaction {
    Transaction::new("Library")
}

fn named(name: &str) -> [Condition; 1] {
    [Condition::equal("name", name)]
}

#[tokio::test]
async fn each_operation_takes_effect_and_has_its_result() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut transactor = Transactor::new(server.options());

    let mut insert = library();
    let book = insert.insert(
        "Book",
        [
            ("title", "Ships".into()),
            ("pages", 300.into()),
            ("weight", 0.5.into()),
        ],
    );
    let shelf = insert.insert(
        "Shelf",
        [
            ("name", "harbour".into()),
            ("books", book.reference().into()),
            ("labels", Datum::map([("floor", "2"), ("room", "a")])),
        ],
    );
    insert.comment("the first shelf");
    let reply = transactor.transact(&insert).await.unwrap();
    let (book, shelf) = (reply.id(book).unwrap(), reply.id(shelf).unwrap());

    let mut change = library();
    let mutated = change.mutate(
        "Book",
        &[
            Condition::row(book),
            Condition::new("pages", Function::Less, 400),
        ],
        &[
            Mutation::new("pages", Mutator::Add, 7),
            Mutation::new("weight", Mutator::Multiply, 2.0),
        ],
    );
    change.mutate(
        "Shelf",
        &[Condition::new(
            "labels",
            Function::Includes,
            Datum::map([("floor", "2")]),
        )],
        &[Mutation::new(
            "labels",
            Mutator::Delete,
            Datum::set(["room"]),
        )],
    );
    let updated = change.update("Shelf", &named("harbour"), [("name", "quay".into())]);
    let none = change.update("Shelf", &named("harbour"), [("name", "pier".into())]);
    let books = change.select("Book", &[], &["title", "pages", "weight"]);
    let shelves = change.select("Shelf", &[], &["_uuid", "name", "books", "labels"]);
    let reply = transactor.transact(&change).await.unwrap();
    assert_eq!(reply.count(mutated), Some(1));
    assert_eq!(
        (reply.count(updated), reply.count(none)),
        (Some(1), Some(0))
    );
    let row = |columns: &[(&str, Datum)]| {
        let columns = columns.iter().cloned();
        let row: SelectedRow = columns
            .map(|(name, datum)| (name.to_owned(), datum))
            .collect();
        row
    };
    let expect = row(&[
        ("title", "Ships".into()),
        ("pages", 307.into()),
        ("weight", 1.0.into()),
    ]);
    // A real without a fraction is written as an integer, and its type is not known here.
    let found = &reply.rows(books)[0];
    assert_eq!(found["title"], expect["title"]);
    assert_eq!(found["pages"], expect["pages"]);
    assert!([Datum::from(1.0), Datum::from(1)].contains(&found["weight"]));
    let expect = row(&[
        ("_uuid", shelf.into()),
        ("name", "quay".into()),
        ("books", book.into()),
        ("labels", Datum::map([("floor", "2")])),
    ]);
    assert_eq!(reply.rows(shelves), [expect]);

    let mut delete = library();
    let deleted = delete.delete("Shelf", &[Condition::row(shelf)]);
    let reply = transactor.transact(&delete).await.unwrap();
    assert_eq!(reply.count(deleted), Some(1));
    let mut left = library();
    let left_books = left.select("Book", &[], &["title"]);
    let reply = transactor.transact(&left).await.unwrap();
    assert!(reply.rows(left_books).is_empty(), "no shelf refers to it");
}

#[tokio::test]
async fn a_failed_operation_is_named_and_nothing_takes_effect() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut transactor = Transactor::new(server.options());
    let mut insert = library();
    let shelf = insert.insert("Shelf", [("name", "a".into())]);
    let reply = transactor.transact(&insert).await.unwrap();
    let shelf = reply.id(shelf).unwrap();

    // What was read still holds; then it does not; then the row is gone.
    for (name, holds) in [("a", true), ("b", false)] {
        let mut rename = library();
        let verified = rename.verify("Shelf", shelf, [("name", name.into())]);
        rename.update("Shelf", &[Condition::row(shelf)], [("name", "c".into())]);
        match transactor.transact(&rename).await {
            Ok(_) => assert!(holds),
            Err(TransactError::Failed(error)) => {
                assert!(!holds && error.is_timed_out(), "{error}");
                assert_eq!(error.operation, Some(verified));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let mut gone = library();
    gone.delete("Shelf", &[Condition::row(shelf)]);
    gone.verify("Shelf", shelf, [("name", "c".into())]);
    let error = transactor.transact(&gone).await.unwrap_err();
    assert!(matches!(error, TransactError::Failed(error) if error.operation == Some(1)));

    // A name is taken: each insert is good by itself, and the whole is not.
    let mut twice = library();
    twice.insert("Shelf", [("name", "c".into())]);
    let error = transactor.transact(&twice).await.unwrap_err();
    let TransactError::Failed(failed) = &error else {
        panic!("{error}");
    };
    assert_eq!(failed.operation, None);
    assert_eq!(failed.error, "constraint violation");
    assert!(
        error
            .to_string()
            .starts_with("the server refuses transact: constraint violation: "),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Refused);

    // No such shelf may be there.
    let mut absent = library();
    let timeout = Duration::from_millis(1);
    absent.wait("Shelf", &named("c"), Until::Equal, &["name"], &[], timeout);
    let error = transactor.transact(&absent).await.unwrap_err();
    assert!(matches!(error, TransactError::Failed(error) if error.is_timed_out()));

    let mut other = Transaction::new("Other");
    other.comment("x");
    let error = transactor.transact(&other).await.unwrap_err();
    assert!(matches!(&error, TransactError::NotDone(_)), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("the server refuses transact: unknown database: "),
        "{error}"
    );
}

#[tokio::test]
async fn the_next_server_is_tried_when_one_can_not_be_reached() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let nowhere = format!("unix:{}", server.path("none.sock").display());
    let both = format!("{nowhere},{}", server.endpoint());
    let mut transactor = Transactor::new(options(&both));
    let mut comment = library();
    comment.comment("x");
    transactor.transact(&comment).await.unwrap();
    server.stop();
    let error = transactor.transact(&comment).await.unwrap_err();
    assert!(matches!(&error, TransactError::NotDone(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Connection);
}

/// Stands before a server: passes on what the client sends, and closes the connection in place of the
/// reply to the second request.
async fn lose_the_reply(listener: UnixListener, server: std::path::PathBuf) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = UnixStream::connect(&server).await.unwrap();
        for replies in [true, false] {
            let mut bytes = vec![0; 1 << 16];
            let count = client.read(&mut bytes).await.unwrap();
            server.write_all(&bytes[..count]).await.unwrap();
            let count = server.read(&mut bytes).await.unwrap();
            if replies {
                client.write_all(&bytes[..count]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_lost_reply_is_an_unknown_outcome() {
    let Some(server) = Server::start() else {
        return;
    };
    let listener = UnixListener::bind(server.path("lossy.sock")).unwrap();
    let lossy = tokio::spawn(lose_the_reply(listener, server.path("db.sock")));
    let endpoints = format!(
        "unix:{},{}",
        server.path("lossy.sock").display(),
        server.endpoint()
    );
    let count = async || {
        let mut transactor = Transactor::new(server.options());
        let mut all = library();
        let shelves = all.select("Shelf", &[], &["name"]);
        let reply = transactor.transact(&all).await.unwrap();
        reply.rows(shelves).len()
    };

    let mut once = library();
    once.insert("Shelf", [("name", "once".into())]);
    let mut transactor = Transactor::new(options(&endpoints));
    let error = transactor.transact(&once).await.unwrap_err();
    assert!(matches!(&error, TransactError::Unknown(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        error.to_string(),
        "the transaction may have taken effect or not: the server has closed the connection"
    );
    // It did, and it was not sent to the other server.
    assert_eq!(count().await, 1);

    // A transaction that may be repeated is.
    let mut again = library().repeatable();
    let updated = again.update("Shelf", &named("once"), [("name", "again".into())]);
    let mut transactor = Transactor::new(options(&endpoints));
    let reply = transactor.transact(&again).await.unwrap();
    assert_eq!(reply.count(updated), Some(0), "the first time met the row");
    lossy.abort();
}
