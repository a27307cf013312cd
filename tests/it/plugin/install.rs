//! `make install` and `make uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;

use super::{printed, root};
use crate::process::without_variables;
use crate::tools;

/// The man pages, one for each command that is shown.
fn pages(command: &clap::Command, name: &str) -> Vec<String> {
    let shown = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set());
    let inner = shown.flat_map(|inner| pages(inner, &format!("{name}-{}", inner.get_name())));
    [format!("share/man/man1/{name}.1")]
        .into_iter()
        .chain(inner)
        .collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn what_make_install_installs_runs_and_make_uninstall_removes_it() {
    let Some(make) = tools::find("make", "installation") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("opt/a b");
    let run = |task: &str| {
        let mut command = Command::new(&make);
        // Where the tests are run by make.
        command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        command
            .arg("-C")
            .arg(root())
            .args([task, "PREFIX=/opt/a b"]);
        command.arg(format!("DESTDIR={}", dir.path().display()));
        command.arg(concat!("BERTH_BIN=", env!("CARGO_BIN_EXE_berth")));
        printed(&mut command);
    };
    run("install");
    let installed: BTreeSet<String> = files(&prefix)
        .iter()
        .map(|path| {
            path.strip_prefix(&prefix)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut expect = BTreeSet::from_iter(pages(&berth::args::Cli::command(), "berth"));
    expect.extend(
        [
            "bin/berth",
            "bin/kubectl-berth",
            "bin/kubectl_complete-berth",
            "share/bash-completion/completions/berth",
            "share/fish/vendor_completions.d/berth.fish",
            "share/man/man1/kubectl-berth.1",
            "share/zsh/site-functions/_berth",
        ]
        .map(str::to_owned),
    );
    assert_eq!(installed, expect);

    let text =
        printed(without_variables(&prefix.join("bin/kubectl-berth")).args(["explain", "BRT0102"]));
    assert!(text.starts_with("BRT0102 MachineType (error)\n"), "{text}");
    let completer = prefix.join("bin/kubectl_complete-berth");
    let text = printed(without_variables(&completer).args(["explain", "BRT0109"]));
    assert!(
        text.starts_with("BRT0109\t") && text.ends_with("\n:4\n"),
        "{text}"
    );
    let page = fs::read_to_string(prefix.join("share/man/man1/kubectl-berth.1")).unwrap();
    assert!(page.contains("berth\\-check(1)"), "{page}");
    let page = fs::read_to_string(prefix.join("share/man/man1/berth-check.1")).unwrap();
    assert!(page.contains("BERTH_SNAPSHOT"), "{page}");

    run("install");
    run("uninstall");
    assert_eq!(files(&prefix), Vec::<PathBuf>::new());
}
