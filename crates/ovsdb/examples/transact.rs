//! Renames a row, in one transaction that takes effect only while the row is as it was read.
//!
//! `cargo run -p ovsdb --example transact unix:/run/ovn/ovnnb_db.sock OVN_Northbound Logical_Switch old new`

use std::env;
use std::error::Error;

use ovsdb::{
    ClientOptions, Condition, Datum, Endpoints, TransactError, Transaction, Transactor, Until,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [endpoints, database, table, from, to] = args.as_slice() else {
        return Err("use: transact ENDPOINTS DATABASE TABLE OLD_NAME NEW_NAME".into());
    };
    let endpoints = Endpoints::parse("the first argument", endpoints)?;
    let mut transactor = Transactor::new(ClientOptions::new(endpoints));
    loop {
        match rename(&mut transactor, database, table, from, to).await {
            Ok(()) => return Ok(()),
            // Another client changed the row in between.
            Err(TransactError::Failed(error)) if error.is_timed_out() => {}
            // `Unknown` may have taken effect: reading again would show it.
            Err(error) => return Err(error.into()),
        }
    }
}

#[allow(clippy::print_stdout, reason = "a program for people")]
async fn rename(
    transactor: &mut Transactor,
    database: &str,
    table: &str,
    from: &str,
    to: &str,
) -> Result<(), TransactError> {
    let named = [Condition::equal("name", from)];
    let mut read = Transaction::new(database);
    let select = read.select(table, &named, &["_uuid", "name"]);
    let reply = transactor.transact(&read).await?;
    let found = reply.rows(select).first();
    let id = found.and_then(|row| row.get("_uuid")?.uuids().next());

    let mut write = Transaction::new(database);
    if let Some(id) = id {
        write.verify(table, id, [("name", Datum::from(from))]);
        write.update(table, &[Condition::row(id)], [("name", to.into())]);
        transactor.transact(&write).await?;
        println!("renamed {from} to {to}");
    } else {
        let none = std::time::Duration::ZERO;
        write.wait(table, &named, Until::Equal, &["name"], &[], none);
        write.insert(table, [("name", to.into())]);
        transactor.transact(&write).await?;
        println!("no row is named {from}: inserted {to}");
    }
    Ok(())
}
