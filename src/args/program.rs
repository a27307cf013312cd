//! The names that the program is installed under, and the command line of each.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

use clap::{Command, CommandFactory};

use super::Cli;

/// The commands that a person with a kubeconfig has no use for.
const HIDDEN_IN_PLUGIN: [&str; 2] = ["serve", "demo"];

/// How the program was called, by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `berth`.
    Berth,
    /// `kubectl-berth`, which kubectl runs for `kubectl berth`.
    Plugin,
    /// `kubectl_complete-berth`, which kubectl runs to complete the words after `kubectl berth`.
    PluginCompletion,
}

impl Program {
    /// The program that runs.
    #[must_use]
    pub fn current() -> Self {
        env::args_os()
            .next()
            .map_or(Self::Berth, |path| Self::of(Path::new(&path)))
    }

    fn of(path: &Path) -> Self {
        match path.file_stem().and_then(OsStr::to_str) {
            Some("kubectl-berth") => Self::Plugin,
            Some("kubectl_complete-berth") => Self::PluginCompletion,
            _ => Self::Berth,
        }
    }

    /// What people write to call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Plugin | Self::PluginCompletion => "kubectl berth",
        }
    }

    /// Its command line.
    #[must_use]
    pub fn command(self) -> Command {
        let command = Cli::command().bin_name(self.name());
        if self == Self::Berth {
            return command;
        }
        let hidden = HIDDEN_IN_PLUGIN.iter();
        hidden.fold(command.display_name(self.name()), |command, name| {
            command.mut_subcommand(name, |inner| inner.hide(true))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_says_how_the_program_is_called() {
        for (path, expect) in [
            ("berth", Program::Berth),
            ("/usr/bin/berth", Program::Berth),
            ("/usr/bin/berth-0.1.0", Program::Berth),
            ("kubectl-berth", Program::Plugin),
            ("/home/a/.krew/bin/kubectl-berth", Program::Plugin),
            ("/usr/bin/kubectl_complete-berth", Program::PluginCompletion),
        ] {
            assert_eq!(Program::of(Path::new(path)), expect, "{path}");
        }
    }
}
