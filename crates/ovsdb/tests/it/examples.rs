//! The examples, run against a real server.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::server::Server;

/// An example, which Cargo builds where it is not there yet.
fn example(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "run",
        "-q",
        "--locked",
        "-p",
        "ovsdb",
        "--example",
        name,
        "--",
    ]);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{out}{err}");
    out
}

#[test]
fn the_examples_do_what_they_say() {
    let Some(server) = Server::start() else {
        return;
    };
    let endpoint = server.endpoint();
    let rename = |from: &str, to: &str| {
        run(example("transact").args([&endpoint, "Library", "Shelf", from, to]))
    };
    assert_eq!(rename("a", "b"), "no row is named a: inserted b\n");
    let mut following = example("follow")
        .args([&endpoint, "Library", "Shelf", "name"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(line(), format!("following {endpoint}"));
    assert!(line().ends_with(" name: \"b\""));
    assert_eq!(rename("b", "c"), "renamed b to c\n");
    assert!(line().ends_with(" name: \"c\""));
    following.kill().unwrap();
    following.wait().unwrap();
}
