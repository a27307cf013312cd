//! Completion of the command line: the scripts that `berth completion` prints for shells, and what kubectl
//! is told for the words after `kubectl berth`.

mod names;

use std::env;
use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::{Shell, engine};

use crate::args::Program;
use crate::decide::codes::Code;
use crate::escape::is_control;
use names::{NameKind, NameSource};

/// Of cobra's `ShellCompDirective`: write no space after the word.
const NO_SPACE: u8 = 2;

/// Of the same: do not complete names of files where there is no candidate.
const NO_FILES: u8 = 4;

/// The script with which a shell completes the words of this program.
#[must_use]
pub fn script(shell: Shell, program: Program) -> Vec<u8> {
    let file = match program {
        Program::Berth => "berth",
        Program::Plugin | Program::PluginCompletion => "kubectl-berth",
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(program), file, &mut script);
    script
}

/// The command line without hidden commands, which the scripts would offer.
fn shown(program: Program) -> Command {
    let whole = program.command();
    let inner = whole.get_subcommands().filter(|inner| !inner.is_hide_set());
    Command::new(program.name())
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(inner.cloned())
}

/// The candidates for the last of the words after `kubectl berth`, which is being written: one a line, with
/// a tab before its description, and a line `:N` with cobra's directive. That is what kubectl expects of
/// `kubectl_complete-berth` (Kubernetes `kubectl/pkg/cmd/plugin/plugin_completion.go`).
#[must_use]
pub fn answer(words: &[OsString]) -> String {
    let program = Program::PluginCompletion;
    let (current, before) = match words.split_last() {
        Some((current, before)) => (current.as_os_str(), before),
        None => (OsStr::new(""), words),
    };
    let mut command = with_names(program.command(), &NameSource::of(before));
    let line = [OsStr::new(program.name())]
        .into_iter()
        .chain(before.iter().map(OsString::as_os_str))
        .chain([current])
        .map(OsStr::to_owned);
    let directory = env::current_dir().ok();
    let at = before.len() + 1;
    let candidates = engine::complete(&mut command, line.collect(), at, directory.as_deref());
    let is_flag = |text: &OsStr| text.as_encoded_bytes().starts_with(b"-");
    let mut directive = NO_FILES;
    let mut out = String::new();
    for candidate in candidates.unwrap_or_default() {
        let value = candidate.get_value().to_string_lossy();
        // Like kubectl's own, flags are for a word that begins as one.
        let is_unasked = is_flag(candidate.get_value()) && !is_flag(current);
        if is_unasked || value.contains(is_control) {
            continue;
        }
        // A directory goes on.
        if value.ends_with('/') {
            directive |= NO_SPACE;
        }
        out.push_str(&value);
        let help = candidate.get_help().map(ToString::to_string);
        if let Some(line) = help.as_ref().and_then(|help| help.lines().next()) {
            out.extend(["\t", line]);
        }
        out.push('\n');
    }
    out.extend([":", &directive.to_string(), "\n"]);
    out
}

/// The command line with what completes the values of its flags.
fn with_names(command: Command, source: &NameSource) -> Command {
    command
        .mut_args(|arg| match completer(&arg, source.clone()) {
            Some(completer) => arg.add(completer),
            None => arg,
        })
        .mut_subcommands(|inner| with_names(inner, source))
}

/// What completes the values of a flag or an argument. A value is known by its name.
fn completer(arg: &Arg, source: NameSource) -> Option<ArgValueCompleter> {
    let value = arg.get_value_names()?.first()?;
    let kind = match (arg.get_id().as_str(), value.as_str()) {
        ("namespace", _) => NameKind::Namespace,
        ("context", _) => NameKind::Context,
        (_, "NODE") => NameKind::Node,
        (_, "VM") => NameKind::Vm,
        (_, "CODE") => {
            // `berth explain` takes `vm/NAME` as well.
            let takes_vms = arg.is_positional();
            let complete = move |current: &str| {
                if takes_vms && current.contains('/') {
                    names(&source, NameKind::Vm, current)
                } else {
                    codes(current)
                }
            };
            return Some(text_completer(complete));
        }
        _ => return None,
    };
    Some(text_completer(move |current| names(&source, kind, current)))
}

/// A completer of words, which are text.
fn text_completer(
    complete: impl Fn(&str) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        current.to_str().map(&complete).unwrap_or_default()
    })
}

/// The names that begin so. VMs are `vm/NAME` and `vmi/NAME` as well.
fn names(source: &NameSource, kind: NameKind, current: &str) -> Vec<CompletionCandidate> {
    let prefix = ["vm/", "vmi/"]
        .into_iter()
        .find(|prefix| kind == NameKind::Vm && current.starts_with(prefix))
        .unwrap_or_default();
    let names = source.read(kind).into_iter();
    let words = names.map(|name| format!("{prefix}{name}"));
    words
        .filter(|word| word.starts_with(current))
        .map(CompletionCandidate::new)
        .collect()
}

/// The codes that begin so, with what each means.
fn codes(current: &str) -> Vec<CompletionCandidate> {
    let current = current.to_uppercase();
    Code::all()
        .filter(|code| code.id().starts_with(&current))
        .map(|code| {
            let text = format!("{}: {}", code.name(), code.text(Some("TYPE")));
            CompletionCandidate::new(code.id()).help(Some(text.into()))
        })
        .collect()
}
