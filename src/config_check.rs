//! `berth config check`: whether a configuration would be taken, and the files that it names are there.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::args::ConfigCheck;
use crate::config::{Config, ConfigError, Renamed};
use crate::yaml;

/// Why a configuration would not be taken.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Files that it names can't be read.
    #[error(
        "config {name}: {}; where these files are on another host or in a pod, add --skip-files",
        .problems.join("; ")
    )]
    Files {
        /// The configuration.
        name: String,
        /// Each file with its field, and what is wrong with it.
        problems: Vec<String>,
    },
}

/// Checks a configuration, and says in a line that it is good.
pub fn check(args: &ConfigCheck) -> Result<String, CheckError> {
    let ConfigCheck { file, skip_files } = args;
    let (name, read) = if file.as_os_str() == "-" {
        (Path::new("standard input"), read_stdin())
    } else {
        (file.as_path(), yaml::read(file))
    };
    let text = read.map_err(|source| ConfigError::Unreadable {
        path: name.to_owned(),
        source,
    })?;
    let config = Config::parse(&text).map_err(|source| ConfigError::Refused {
        path: name.to_owned(),
        source,
    })?;
    let name = name.display().to_string();
    if !skip_files {
        let problems: Vec<String> = config.files().into_iter().filter_map(problem).collect();
        if !problems.is_empty() {
            return Err(CheckError::Files { name, problems });
        }
    }
    let note = if Config::is_empty(&text) {
        ", but empty: every field has its default"
    } else {
        ""
    };
    let mut lines = format!("{name}: good{note}\n");
    for Renamed { old, new } in &config.renamed {
        lines.extend(["warning: ", old, " is deprecated: use ", new, "\n"]);
    }
    Ok(lines)
}

fn read_stdin() -> io::Result<String> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    yaml::decode(bytes)
}

/// What is wrong with a file that is named. A directory opens, and can't be read.
fn problem((field, path): (&'static str, &Path)) -> Option<String> {
    let error = File::open(path)
        .and_then(|mut file| file.read(&mut [0]))
        .err()?;
    Some(format!("{field}: {}: {error}", path.display()))
}
