//! What is logged: a level, or one for all and others for parts of berth.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::reader::read_text;

/// A filter in the notation of `tracing_subscriber::filter::Targets`, except that a word alone is a
/// level: as the name of a target, a mistyped level would log everything.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel(Targets);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

const FORM: &str = "a level: use off, error, warn, info, debug or trace, or a filter such as info,berth::decision=debug";

/// A text that is not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {FORM}")]
pub struct LevelError(String);

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
}

impl FromStr for LogLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let mut targets = Targets::new();
        for directive in text.split(',') {
            targets = match directive.split_once('=') {
                None => targets.with_default(read_level(directive)?),
                Some((target, level)) if is_target(target) => {
                    targets.with_target(target, read_level(level)?)
                }
                Some(_) => return Err(LevelError(directive.to_owned())),
            };
        }
        Ok(Self(targets))
    }
}

fn read_level(text: &str) -> Result<LevelFilter, LevelError> {
    Ok(match text {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(LevelError(text.to_owned())),
    })
}

/// A path of modules, such as `berth::decision`.
fn is_target(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, FORM)
    }
}

impl JsonSchema for LogLevel {
    fn schema_name() -> Cow<'static, str> {
        "LogLevel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A level, or a filter such as info,berth::decision=debug",
            "pattern": "^([A-Za-z0-9_:]+=)?(off|error|warn|info|debug|trace)(,([A-Za-z0-9_:]+=)?(off|error|warn|info|debug|trace))*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_level_that_is_none_is_refused_by_name() {
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
            let got = text.parse::<LogLevel>().err();
            assert_eq!(
                got,
                wrong.map(|wrong| LevelError(wrong.to_owned())),
                "{text}"
            );
        }
    }
}
