//! Replies of 1 MB and of 50 MB, recorded of a real server and made larger, cut wherever it hurts.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use berth::ovn::chassis::{ChassisIndex, WANTED};
use ovsdb::{MonitorPlan, Schema, TableCache, UpdateFormat, Uuid, frame::Framer, rpc::Message};
use serde_json::{Value, json};

use crate::ovn_lab::{Ovn, Server, insert_chassis, judge_at};

/// The bytes of the reply that a real server of so many chassis gives.
fn record(ovn: &Ovn, chassis: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let schema = ovn.schema("OVN_Southbound");
    let server = Server::create(ovn, dir.path(), "OVN_Southbound", &schema, &[]);
    for first in (0..chassis).step_by(100) {
        let rows = (first..first + 100).flat_map(|number| {
            let name = format!("00000000-1111-4222-8333-{number:012}");
            let ip = format!(
                "10.{}.{}.{}",
                number >> 16,
                (number >> 8) & 255,
                number & 255
            );
            let [mut encap, mut chassis, private] =
                insert_chassis(&name, &format!("node-{number}-\"{{ß\\"), &ip);
            let label = format!("e{number}");
            encap["uuid-name"] = json!(label);
            chassis["row"]["encaps"] = json!(["named-uuid", label]);
            chassis["row"]["other_config"] = json!(["map", [["iface-types", "afxdp,dummy,}\"{"]]]);
            [encap, chassis, private]
        });
        server.transact(ovn, &rows.collect::<Vec<_>>());
    }
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    let requests = plan(ovn).requests(|_| true);
    let params = json!([
        "OVN_Southbound",
        "berth",
        requests,
        "00000000-0000-0000-0000-000000000000"
    ]);
    let request = json!({"method": "monitor_cond_since", "params": params, "id": 1});
    stream.write_all(request.to_string().as_bytes()).unwrap();
    let mut framer = Framer::new(1 << 30);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        framer.push(&buffer[..count]);
        if let Some(message) = framer.next_message().unwrap() {
            return message.to_vec();
        }
    }
}

fn plan(ovn: &Ovn) -> MonitorPlan {
    let schema = ovn.schema("OVN_Southbound").to_string();
    MonitorPlan::new(&WANTED, &Schema::parse(&schema).unwrap())
}

/// A reply of the same form, with every row so many times.
fn larger(reply: &[u8], times: usize) -> Vec<u8> {
    let reply: Value = serde_json::from_slice(reply).unwrap();
    let tables = reply["result"][2].as_object().unwrap().iter();
    let tables = tables.map(|(table, rows)| {
        let rows = rows.as_object().unwrap().iter().flat_map(|(id, row)| {
            let row = row.to_string();
            (0..times).map(move |time| {
                let row = row.replacen("00000000-1111", &format!("{time:08}-1111"), 1);
                format!("\"{time:08}{}\":{row}", &id[8..])
            })
        });
        format!("\"{table}\":{{{}}}", rows.collect::<Vec<_>>().join(","))
    });
    let tables = tables.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"id":1,"result":[false,"{}",{{{tables}}}],"error":null}}"#,
        Uuid::ZERO
    )
    .into_bytes()
}

fn message(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut framer = Framer::new(1 << 30);
    let mut found = Vec::new();
    for piece in pieces {
        framer.push(piece.as_ref());
        while let Some(message) = framer.next_message().unwrap() {
            found.push(message);
        }
    }
    assert_eq!(found.len(), 1);
    found[0].to_vec()
}

/// Pieces that end before and after every byte that means something.
fn awkward(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split_inclusive(|byte| b"\"\\{}[],: ".contains(byte) || !byte.is_ascii())
        .flat_map(|piece| {
            let (rest, last) = piece.split_at(piece.len() - 1);
            [rest, last]
        })
}

fn is_whole(reply: &[u8], ovn: &Ovn, chassis: usize) {
    let Ok(Message::Reply {
        outcome: Ok(result),
        ..
    }) = Message::parse(reply)
    else {
        panic!("no reply");
    };
    let (found, _, updates): (bool, Value, &serde_json::value::RawValue) =
        serde_json::from_str(result.get()).unwrap();
    assert!(!found);
    let mut replica = TableCache::with_limit(1 << 30);
    replica.plan(plan(ovn));
    let changes = replica.replace(UpdateFormat::V2, updates.get()).unwrap();
    let mut index = ChassisIndex::new(Duration::ZERO);
    let now = Instant::now();
    index.synced(&changes, &[], now);
    let view = index.view();
    assert_eq!(view.count(), chassis);
    let problems = view.iter().filter(|(name, chassis)| {
        !judge_at(&view, &chassis.hostname, name, now, Duration::ZERO).is_empty()
    });
    // Copies of a row claim one host together.
    let copies = view.on_host("node-0-\"{ß\\").count();
    assert_eq!(problems.count(), if copies > 1 { chassis } else { 0 });
}

#[test]
fn ovn_replies_of_a_megabyte_and_of_fifty_are_whole_however_they_are_cut() {
    let Some(ovn) = Ovn::find() else { return };
    let chassis = 2500;
    let small = record(&ovn, chassis);
    assert!(small.len() > 1_000_000, "{}", small.len());
    assert_eq!(message(small.chunks(1)), small);
    assert_eq!(message(awkward(&small)), small);
    is_whole(&small, &ovn, chassis);

    let times = 50_000_000 / small.len() + 1;
    let large = larger(&small, times);
    assert!(large.len() > 50_000_000, "{}", large.len());
    for size in [1, 65536] {
        assert_eq!(message(large.chunks(size)), large, "{size}");
    }
    is_whole(&large, &ovn, chassis * times);
}
