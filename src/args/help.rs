//! `berth help COMMAND` is `berth COMMAND --help`. clap's own command takes names of commands alone, and
//! refuses `berth help check -h`.

use std::ffi::OsString;

use clap::Command;

/// The command line, with its program, in which `--help` stands for the command `help`.
#[must_use]
pub fn help_as_flag(root: &Command, line: Vec<OsString>) -> Vec<OsString> {
    let mut command = root;
    for (at, word) in line.iter().enumerate().skip(1) {
        if word == "help" && command.has_subcommands() {
            let others = line.iter().enumerate().filter(|(other, _)| *other != at);
            let others = others.map(|(_, word)| word.clone());
            let others = others.filter(|word| word != "help" && word != "--help" && word != "-h");
            return others.chain(["--help".into()]).collect();
        }
        match command.find_subcommand(word) {
            Some(inner) => command = inner,
            None => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Program;

    #[test]
    fn the_command_help_is_the_flag() {
        for (line, expect) in [
            ("berth help", "berth --help"),
            ("berth help help", "berth --help"),
            ("berth help --help", "berth --help"),
            ("berth help check", "berth check --help"),
            ("berth help check -h", "berth check --help"),
            ("berth help nope", "berth nope --help"),
            ("berth help config check", "berth config check --help"),
            ("berth config help check", "berth config check --help"),
            ("berth help -x", "berth -x --help"),
            // A VM or a value may have this name.
            ("berth check help", "berth check help"),
            ("berth check -n help", "berth check -n help"),
            ("berth --help", "berth --help"),
            ("berth", "berth"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let words = help_as_flag(&Program::Berth.command(), words);
            assert_eq!(words.join(" ".as_ref()), expect, "{line}");
        }
    }
}
