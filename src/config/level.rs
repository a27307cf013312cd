//! What is logged: a level, or one for all and others for parts of berth.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};

use crate::config::reader::read_text;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A filter in the notation of `tracing_subscriber::EnvFilter`, less what in it makes a mistyped
/// level a target that logs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
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
        Self("error".to_owned())
    }

    /// The filter.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        for directive in text.split(',') {
            let level = match directive.split_once('=') {
                None => directive,
                Some((target, level)) if is_target(target) => level,
                Some(_) => return Err(LevelError(directive.to_owned())),
            };
            if !LEVELS.contains(&level) {
                return Err(LevelError(level.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }
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
