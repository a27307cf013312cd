//! Servers of the southbound database that send what no database has: berth stays within the memory
//! of its pod, says why it leaves each of them, and follows the next.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::process::{PATIENCE, Served, get};

/// The size of what is sent where nothing else is said.
const JUNK: usize = 60_000_000;

/// What the Deployment gives to a pod.
const POD: usize = 512 << 20;

const TXN: &str = "00000000-0000-4000-8000-000000000001";

/// What a server sends in the place of what it is asked for.
#[derive(Clone, Copy)]
enum Junk {
    /// A schema of columns without end.
    Schema,
    /// An error that is as long.
    Error,
    /// A request, before any reply.
    Request,
    /// Brackets that open.
    Nesting,
    /// A message that is longer than any may be.
    Long,
    /// Rows of which each is small.
    Rows,
    /// A set of many elements.
    Elements,
    /// A string.
    Text,
    /// One row of keys that are not asked for, in a database that is in order otherwise.
    Keys,
}

/// Serves one kind of junk, and gives the port. It ends with the test.
fn serve(junk: Junk) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // The other side may leave in the middle.
            let _ = answer(stream, junk);
        }
    });
    port
}

fn answer(mut stream: TcpStream, junk: Junk) -> std::io::Result<()> {
    let mut asked = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
        let Ok(question) = serde_json::from_slice::<Value>(&asked) else {
            continue;
        };
        asked.clear();
        let (id, params) = (&question["id"], &question["params"]);
        let result = |result: &str| format!(r#"{{"id":{id},"result":{result},"error":null}}"#);
        let reply = match (question["method"].as_str(), junk) {
            (Some("get_schema"), Junk::Request) => {
                format!(r#"{{"id":1,"method":"echo","params":[{}]}}"#, filled("[],"))
            }
            (Some("get_schema"), Junk::Nesting) => format!(r#"{{"id":{}"#, "[".repeat(JUNK)),
            (Some("get_schema"), Junk::Long) => result(&format!(r#""{}""#, "x".repeat(100 << 20))),
            (Some("get_schema"), _) if params[0] == "_Server" => {
                format!(r#"{{"id":{id},"result":null,"error":"unknown database"}}"#)
            }
            (Some("get_schema"), Junk::Schema) => {
                let columns =
                    numbered(|number| format!(r#""c@@@@@@@@{number}":{{"type":"string"}}"#));
                result(&format!(
                    r#"{{"tables":{{"Chassis":{{"columns":{{{columns}}}}}}}}}"#
                ))
            }
            (Some("get_schema"), Junk::Error) => {
                format!(
                    r#"{{"id":{id},"result":null,"error":["{}"]}}"#,
                    filled("x,")
                )
            }
            (Some("get_schema"), _) => result(&schema().to_string()),
            (Some("monitor_cond_since"), _) if params[1] == "0" => result(&format!(
                r#"[false,"{TXN}",{{"Chassis":{{{}}}}}]"#,
                chassis(junk)
            )),
            (Some("monitor_cond_since"), _) => result(&format!(r#"[false,"{TXN}",{{}}]"#)),
            (Some("echo"), _) => result(&params.to_string()),
            (other, _) => panic!("{other:?}"),
        };
        stream.write_all(reply.as_bytes())?;
    }
}

/// The rows of the table.
fn chassis(junk: Junk) -> String {
    let row = |columns: &str| format!(r#""{TXN}":{{"initial":{{"name":"c1",{columns}}}}}"#);
    match junk {
        Junk::Elements => {
            let element = |number| format!(r#"["uuid","@@@@@@@@-0000-4000-8000-{number:012}"]"#);
            row(&format!(r#""encaps":["set",[{}]]"#, numbered(element)))
        }
        Junk::Text => row(&format!(r#""hostname":"{}""#, "x".repeat(JUNK))),
        Junk::Keys => {
            let keys = numbered(|number| format!(r#""k@@@@@@@@{number}":[{{"a":{number}}}]"#));
            row(&format!(r#"{keys},"hostname":"n1""#))
        }
        _ => numbered(|number| {
            format!(
                r#""@@@@@@@@-0000-4000-8000-{number:012}":{{"initial":{{"name":"@@@@@@@@{number}"}}}}"#
            )
        }),
    }
}

fn schema() -> Value {
    let many = json!({"type": {"key": "uuid", "min": 0, "max": "unlimited"}});
    let text = json!({"type": "string"});
    let columns = json!({"name": text, "hostname": text, "encaps": many});
    json!({"tables": {"Chassis": {"columns": columns}, "Port_Binding": {"columns": {"logical_port": text}}}})
}

/// Parts with commas between them, each with another number, as many as there is room for. In the place
/// of `@@@@@@@@` stands the number of a thousand of them, which takes less time to make.
fn numbered(part: impl Fn(usize) -> String) -> String {
    let thousand = (0..1000).map(part).collect::<Vec<_>>().join(",");
    let thousands = (0..=JUNK / thousand.len())
        .map(|number| thousand.replace("@@@@@@@@", &format!("{number:08}")));
    thousands.collect::<Vec<_>>().join(",")
}

/// The same part again and again, and once without its comma.
fn filled(part: &str) -> String {
    part.repeat(JUNK / part.len()) + part.trim_end_matches(',')
}

#[test]
fn a_southbound_server_that_sends_junk_is_left_for_the_next_and_costs_less_than_the_pod_has() {
    let junk = [
        Junk::Schema,
        Junk::Error,
        Junk::Request,
        Junk::Nesting,
        Junk::Long,
        Junk::Rows,
        Junk::Elements,
        Junk::Text,
        // It is followed, and so the last.
        Junk::Keys,
    ];
    let endpoints = junk.map(|junk| format!("tcp:127.0.0.1:{}", serve(junk)));
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("berth.yaml");
    // Junk is not made in no time.
    let patient = "southbound: {inactivityProbe: 2m, staleAfter: 10m}";
    std::fs::write(&config, patient).unwrap();
    let flags = ["--config", config.to_str().unwrap()];
    let served = Served::start(&[&flags[..], &["--ovn-sb", &endpoints.join(",")]].concat());
    let metric = |series: &str| -> f64 {
        let (_, text) = get(served.admin, "/metrics");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {series} in\n{text}"))
    };
    let start = Instant::now();
    while metric("berth_southbound_connected ") < 1.0 {
        let told = |line: &&str| line.starts_with("berth_southbound_failures");
        assert!(
            start.elapsed() < 20 * PATIENCE,
            "{:#?}",
            get(served.admin, "/metrics")
                .1
                .lines()
                .filter(told)
                .collect::<Vec<_>>()
        );
        thread::sleep(std::time::Duration::from_millis(100));
    }
    let failures = |cause: &str| {
        metric(&format!(
            "berth_southbound_failures_total{{cause=\"{cause}\"}}"
        ))
    };
    assert_eq!((failures("too_large"), failures("refused")), (7.0, 1.0));
    assert_eq!(metric("berth_southbound_chassis "), 1.0);
    let peak = served.memory("VmHWM");
    assert!(peak < POD, "{} MiB", peak >> 20);
    assert_eq!(get(served.admin, "/readyz").0, 200);
}
