//! A usage error in one line: what was written, what is expected, and the help to look at. clap's own
//! takes several lines, and names a flag where a variable was set.

use std::env;
use std::error::Error as _;
use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// The line that says what is wrong with the command line `line`, which is without the program's name.
#[must_use]
pub fn one_line(what: &str, root: &mut Command, line: &[String]) -> String {
    root.build();
    let command = named(root, line);
    // How to call it, with the commands that it is in.
    let name = command.get_bin_name().unwrap_or(command.get_name());
    format!("error: {what}; see {name} --help")
}

/// The innermost subcommand that the line names.
fn named<'a>(root: &'a Command, line: &[String]) -> &'a Command {
    line.iter()
        .filter(|word| *word != "help")
        .fold(root, |command, word| {
            command.find_subcommand(word).unwrap_or(command)
        })
}

/// What is wrong with the command line `line`, which `root` refused.
#[must_use]
pub fn what(error: &clap::Error, root: &mut Command, line: &[String]) -> String {
    root.build();
    let command = named(root, line);
    let value = text(error, ContextKind::InvalidValue);
    let arg = text(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let thing = if arg.starts_with('-') {
                "flag"
            } else {
                "argument"
            };
            let close = suggested(error, ContextKind::SuggestedArg);
            format!("unknown {thing} {arg:?}{close}")
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            let close = suggested(error, ContextKind::SuggestedSubcommand);
            let known: Vec<&str> = command
                .get_subcommands()
                .filter(|inner| !inner.is_hide_set())
                .map(Command::get_name)
                .filter(|name| *name != "help")
                .collect();
            format!(
                "unknown command {word:?}{close}; the commands are {}",
                known.join(", ")
            )
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(error, ContextKind::InvalidArg);
            format!("missing {}", plain(&missing.join(" ")))
        }
        ErrorKind::ArgumentConflict => {
            let prior = texts(error, ContextKind::PriorArg).join(" ");
            let [arg, prior] = [&arg, &prior].map(|shown| source(shown, command, line));
            if arg == prior {
                format!("{arg} is there twice")
            } else {
                format!("{arg} and {prior} exclude each other")
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!(
                "{}: the value is missing, as in {}",
                source(&arg, command, line),
                plain(&arg)
            )
        }
        ErrorKind::InvalidValue => {
            let known = texts(error, ContextKind::ValidValue).join(", ");
            let place = plain(&source(&arg, command, line));
            format!("{place}: {value:?} is not one of {known}")
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map_or_else(
                || format!("{value:?} is not a value for it"),
                ToString::to_string,
            );
            format!("{}: {why}", source(&arg, command, line))
        }
        ErrorKind::TooManyValues => format!("{arg}: {value:?} is one value too many"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        // No flag of berth can be refused otherwise.
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

/// The flag, or the variable where the value comes from there.
fn source(shown: &str, command: &Command, line: &[String]) -> String {
    let flag = shown.split(' ').next().unwrap_or_default();
    // A positional argument: `[VM]...`.
    let flag = flag.trim_matches(['[', ']', '.']);
    let is_this = |arg: &&Arg| {
        arg.get_long()
            .is_some_and(|long| flag.strip_prefix("--") == Some(long))
    };
    let variable = command
        .get_arguments()
        .find(is_this)
        .and_then(Arg::get_env)
        .filter(|variable| env::var_os(variable).is_some());
    let is_written = line
        .iter()
        .any(|word| word == flag || word.starts_with(&format!("{flag}=")));
    match variable.map(OsStr::to_string_lossy) {
        Some(variable) if !is_written => variable.into_owned(),
        _ => flag.to_owned(),
    }
}

/// `--flag <VALUE>`, or a choice of such, as berth's own messages write it.
fn plain(shown: &str) -> String {
    shown.replace(['<', '>'], "").replace('|', " or ")
}

fn suggested(error: &clap::Error, kind: ContextKind) -> String {
    // Where there are several, the closest is the last.
    texts(error, kind)
        .last()
        .map_or_else(String::new, |close| format!(" (did you mean {close}?)"))
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    texts(error, kind).join(" ")
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// A switch from the environment, as people set one.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!(
            "{text:?} is not a switch: use 1, true, yes or on, or 0, false, no or off"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_read_as_people_set_one() {
        for (text, expect) in [
            ("1", Some(true)),
            ("true", Some(true)),
            ("YES", Some(true)),
            ("on", Some(true)),
            ("", Some(false)),
            ("0", Some(false)),
            ("False", Some(false)),
            ("no", Some(false)),
            ("off", Some(false)),
            ("2", None),
            ("maybe", None),
        ] {
            assert_eq!(switch(text).ok(), expect, "{text}");
        }
    }
}
