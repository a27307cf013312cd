//! How log lines are written.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};

use crate::config::reader::read_text;

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

const FORM: &str = "a log format: use auto, human or json";

/// A text that is not a log format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {FORM}")]
pub struct LogFormatError(String);

impl FromStr for LogFormat {
    type Err = LogFormatError;

    /// In any case: the file has it as Kubernetes' enums are written, a flag in lower case.
    fn from_str(text: &str) -> Result<Self, LogFormatError> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for LogFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, FORM)
    }
}

impl JsonSchema for LogFormat {
    fn schema_name() -> Cow<'static, str> {
        "LogFormat".into()
    }

    /// Editors offer the enum; the pattern has what is read.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Auto (for people on a terminal, else JSON), Human or JSON, in any case",
            "anyOf": [
                { "enum": ["Auto", "Human", "JSON"] },
                { "pattern": "^([Aa][Uu][Tt][Oo]|[Hh][Uu][Mm][Aa][Nn]|[Jj][Ss][Oo][Nn])$" },
            ],
        })
    }
}

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
            let got = text.parse::<LogFormat>();
            assert_eq!(got, expect.ok_or_else(|| LogFormatError(text.to_owned())));
        }
    }
}
