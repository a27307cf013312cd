//! Flags on the command line that have no effect beside the others. They are refused, because the person who
//! wrote them expects one. A variable is set for all commands, and may have no effect in some.

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::check::named_vm;

/// What selects a kubeconfig.
const KUBECONFIG: &[&str] = &["kubeconfig", "context"];

/// What says how a cluster is read.
const READING: &[&str] = &["config", "network_provider", "ovn_sb"];

/// What says which VM is explained.
const OF_VM: &[&str] = &[
    "namespace",
    "snapshot",
    "kubeconfig",
    "context",
    "config",
    "network_provider",
    "ovn_sb",
];

/// The first flag of a command line that has no effect, and why: `--cluster-ip is for --pre`.
#[must_use]
pub fn idle_flag(matches: &ArgMatches) -> Option<String> {
    let (command, matches) = matches.subcommand()?;
    let source = |flag: &str| {
        let is_known = matches.try_contains_id(flag).is_ok();
        is_known.then(|| matches.value_source(flag)).flatten()
    };
    let is_written = |flag: &str| source(flag) == Some(ValueSource::CommandLine);
    let is_set = |flag: &str| {
        let is_off = || matches!(matches.try_get_one(flag), Ok(Some(false)));
        is_written(flag) || (source(flag) == Some(ValueSource::EnvVariable) && !is_off())
    };
    let explains_vm = || {
        let what = matches.get_one::<String>("what");
        what.is_some_and(|what| matches!(named_vm(what), Some((Some(_), _))))
    };
    let reads_cluster = || {
        let flags = ["cluster", "snapshot", "kubeconfig", "context"];
        flags.into_iter().any(is_set)
    };
    let rules = [
        (
            command == "check" && !is_set("pre"),
            &["cluster_ip"][..],
            "is for check --pre",
        ),
        (
            command == "check" && (is_set("pre") || is_set("install")),
            &["ovn_sb"],
            "has no effect with --install and --pre",
        ),
        (
            command == "version" && !reads_cluster(),
            READING,
            "has no effect without --cluster",
        ),
        (
            command == "explain" && !explains_vm(),
            OF_VM,
            "is for a VM, as in explain vm/NAME",
        ),
        (
            command == "watch",
            &["snapshot"],
            "has one moment, and watch follows a cluster",
        ),
        (
            is_written("snapshot"),
            KUBECONFIG,
            "and --snapshot exclude each other",
        ),
    ];
    rules.into_iter().find_map(|(applies, flags, why)| {
        let idle = |flag: &&&str| applies && is_written(flag);
        let flag = flags.iter().find(idle)?;
        Some(format!("--{} {why}", flag.replace('_', "-")))
    })
}
