//! How log lines are written, and which.

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::notation::notation;

/// Logs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Log {
    /// The log format: `Human`, `JSON`, or `Auto`, which is `Human` on a terminal and `JSON`
    /// elsewhere. Case does not matter.
    pub format: LogFormat,
    /// The log level (`off`, `error`, `warn`, `info`, `debug` or `trace`), or a filter such as
    /// `info,berth::decision=debug`.
    pub level: LogLevel,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, else JSON.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// In any case: the file has it as Kubernetes' enums are written, a flag in lower case.
    fn parse(text: &str) -> Result<Self, &str> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(text),
        }
    }
}

// Editors offer the enum; the pattern has what is read.
notation!(LogFormat, "LogFormat", "a log format: use auto, human or json", Self::parse, {
    "type": "string",
    "description": "Auto (for people on a terminal, else JSON), Human or JSON, in any case",
    "anyOf": [
        { "enum": ["Auto", "Human", "JSON"] },
        { "pattern": "^([Aa][Uu][Tt][Oo]|[Hh][Uu][Mm][Aa][Nn]|[Jj][Ss][Oo][Nn])$" },
    ],
});

/// A filter in the notation of `tracing_subscriber::filter::Targets`, except that a word alone is a
/// level: as the name of a target, a mistyped level would log everything.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel(Targets);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl LogLevel {
    /// Errors alone, for what has its own way to speak to people.
    #[must_use]
    pub fn errors() -> Self {
        Self(Targets::new().with_default(LevelFilter::ERROR))
    }

    /// The filter.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.0
    }

    /// The filter, or the part of it that is wrong.
    fn parse(text: &str) -> Result<Self, &str> {
        let mut targets = Targets::new();
        for directive in text.split(',') {
            targets = match directive.split_once('=') {
                None => targets.with_default(read_level(directive)?),
                Some((target, level)) if is_target(target) => {
                    targets.with_target(target, read_level(level)?)
                }
                Some(_) => return Err(directive),
            };
        }
        Ok(Self(targets))
    }
}

fn read_level(text: &str) -> Result<LevelFilter, &str> {
    Ok(match text {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(text),
    })
}

/// A path of modules, such as `berth::decision`.
fn is_target(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

notation!(
    LogLevel,
    "LogLevel",
    "a level: use off, error, warn, info, debug or trace, or a filter such as info,berth::decision=debug",
    Self::parse,
    {
        "type": "string",
        "description": "A level, or a filter such as info,berth::decision=debug",
        "pattern": "^([A-Za-z0-9_:]+=)?(off|error|warn|info|debug|trace)(,([A-Za-z0-9_:]+=)?(off|error|warn|info|debug|trace))*$",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_in_any_case() {
        for (text, expect) in [
            ("Auto", Some(LogFormat::Auto)),
            ("human", Some(LogFormat::Human)),
            ("JSON", Some(LogFormat::Json)),
            ("json", Some(LogFormat::Json)),
            ("", None),
            ("text", None),
        ] {
            assert_eq!(text.parse::<LogFormat>().ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_filter_enables_what_it_names() {
        use tracing::Level;
        let level: LogLevel = "info,berth::decision=debug,kube_client=off"
            .parse()
            .unwrap();
        for (target, level_of_line, expect) in [
            ("berth::server", Level::INFO, true),
            ("berth::server", Level::DEBUG, false),
            ("berth::decision", Level::DEBUG, true),
            ("berth::decision", Level::TRACE, false),
            ("kube_client::client", Level::ERROR, false),
        ] {
            let is_logged = level.targets().would_enable(target, &level_of_line);
            assert_eq!(is_logged, expect, "{target} {level_of_line}");
        }
    }

    #[test]
    fn names_the_part_of_a_level_that_is_wrong() {
        for (text, wrong) in [
            ("info", None),
            ("off", None),
            ("info,berth::decision=debug", None),
            ("berth=warn,hyper=error", None),
            ("infoo", Some("infoo")),
            ("", Some("")),
            ("info,", Some("")),
            ("berth=loud", Some("loud")),
            ("=debug", Some("=debug")),
            ("a b=debug", Some("a b=debug")),
            ("INFO", Some("INFO")),
        ] {
            assert_eq!(LogLevel::parse(text).err(), wrong, "{text}");
        }
    }
}
