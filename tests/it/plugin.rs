//! berth as a plugin of kubectl: what it calls itself, completion, installation and krew's manifest.

mod completion;
mod install;
mod krew;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::without_variables;

/// The program under its three names, in a folder of its own.
pub(super) struct Linked {
    dir: tempfile::TempDir,
}

impl Linked {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["berth", "kubectl-berth", "kubectl_complete-berth"] {
            symlink(env!("CARGO_BIN_EXE_berth"), dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program under one of them.
    pub(super) fn command(&self, name: &str) -> Command {
        without_variables(&self.path().join(name))
    }
}

/// What a command prints, and that it ends well.
#[track_caller]
pub(super) fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn usage_and_errors_name_the_program_as_people_call_it() {
    let linked = Linked::new();
    for (file, name) in [("berth", "berth"), ("kubectl-berth", "kubectl berth")] {
        let help = printed(linked.command(file).arg("--help"));
        assert!(
            help.contains(&format!("\nUsage: {name} <COMMAND>\n")),
            "{help}"
        );
        let help = printed(linked.command(file).args(["check", "--help"]));
        let usage = format!("\nUsage: {name} check [OPTIONS] [VM]...\n");
        assert!(help.contains(&usage), "{help}");
        let version = printed(linked.command(file).arg("--version"));
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        for (args, expect) in [
            (
                &["check", "--nothing"][..],
                format!("error: unknown flag \"--nothing\"; see {name} check --help\n"),
            ),
            (
                &["config", "check"],
                format!("error: missing FILE; see {name} config check --help\n"),
            ),
            (
                &["explain", "x"],
                format!(
                    "error: there is no code \"x\"; `{name} explain` lists all of them, and `{name} explain vm/NAME` explains how a VM is judged\n"
                ),
            ),
            (
                &["help", "nothing", "-h"],
                format!(
                    "error: unknown command \"nothing\"; the commands are {}config, scheduler-config, check, report, drain, annotate, explain, version, cleanup, watch, completion; see {name} --help\n",
                    if file == "berth" { "serve, demo, " } else { "" }
                ),
            ),
            (
                &["check", "--cluster-ip", "10.0.0.1"],
                format!("error: --cluster-ip is for check --pre; see {name} check --help\n"),
            ),
        ] {
            let output = linked.command(file).args(args).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), expect);
            assert_eq!(output.status.code(), Some(3), "{args:?}");
        }
        let snapshot = crate::process::snapshot();
        let output = linked
            .command(file)
            .env("COLUMNS", "1000")
            .args(["check", "-A", "--snapshot"])
            .arg(snapshot)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains(&format!("`{name} annotate -n NAMESPACE VM`")),
            "{text}"
        );
        assert!(
            text.contains(&format!("\n  {name} explain CODE says more\n")),
            "{text}"
        );
        assert_eq!(text.contains("`berth "), file == "berth", "{text}");
    }
}

#[test]
fn the_plugin_hides_the_commands_that_are_not_about_a_cluster() {
    let linked = Linked::new();
    for (file, is_shown) in [("berth", true), ("kubectl-berth", false)] {
        let help = printed(linked.command(file).arg("--help"));
        for command in ["serve", "demo"] {
            assert_eq!(
                help.contains(&format!("\n  {command} ")),
                is_shown,
                "{help}"
            );
        }
        for command in ["check", "drain", "explain", "completion"] {
            assert!(help.contains(&format!("\n  {command} ")), "{help}");
        }
        assert!(!help.contains("\n  man "), "{help}");
        // They are there all the same.
        printed(linked.command(file).args(["serve", "--help"]));
    }
}
