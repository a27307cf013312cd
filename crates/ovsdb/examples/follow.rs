//! Follows one column of a table, and prints every change of it.
//!
//! `cargo run -p ovsdb --example follow tcp:127.0.0.1:6642 OVN_Southbound Chassis hostname`

use std::env;
use std::error::Error;

use ovsdb::{ClientEvent, ClientOptions, Endpoints, MonitorColumns, MonitorSpec, follow};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [endpoints, database, table, column] = args.as_slice() else {
        return Err("use: follow ENDPOINTS DATABASE TABLE COLUMN".into());
    };
    let endpoints = Endpoints::parse("the first argument", endpoints)?;
    // What is followed is constant in most programs. Here it lives as long as the process.
    let columns: &'static [&'static str] = vec![&*column.clone().leak()].leak();
    let table = MonitorColumns {
        table: table.clone().leak(),
        columns,
    };
    let spec = MonitorSpec::new(database.clone().leak(), vec![table].leak());
    let options = ClientOptions::new(endpoints);
    match follow(options, spec, |event| print(&event)).await {}
}

#[allow(clippy::print_stdout, reason = "a program for people")]
fn print(event: &ClientEvent<'_>) {
    let changes = match *event {
        ClientEvent::Synced {
            endpoint,
            changes,
            missing,
            ..
        } => {
            println!("following {endpoint}");
            for column in missing {
                println!("the database has no {column}");
            }
            changes
        }
        ClientEvent::Changed(changes) => changes,
        ClientEvent::Failed {
            endpoint, error, ..
        } => {
            println!("{endpoint}: {}", error.to_string().escape_debug());
            return;
        }
        ClientEvent::Connected(_) | ClientEvent::Answered => return,
    };
    for change in changes {
        let Some(row) = &change.row else {
            println!("{} is gone", change.id);
            continue;
        };
        for (column, datum) in row.iter() {
            let value = serde_json::Value::from(datum);
            println!("{} {column}: {value}", change.id);
        }
    }
}
