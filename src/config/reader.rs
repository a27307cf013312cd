//! From the values of a document to typed fields, with refusals for the person who wrote it: the way to
//! the field, the value that stands there, and what is expected instead.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde_json::{Map, Value};

use crate::config::Refusal;
use crate::text::did_you_mean;

/// Reads a value.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Reader(value)).map_err(|error| Refusal::Field {
        path: error.path().to_string(),
        message: error.into_inner().0,
    })
}

/// Why a value is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct FieldError(String);

impl de::Error for FieldError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!(
            "{} is not {}",
            shown(unexpected),
            described(expected)
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self(format!(
            "unknown field{}; the fields here are {}",
            did_you_mean(name, known),
            known.join(", ")
        ))
    }
}

/// A value as it may be written in the document.
fn shown(value: Unexpected<'_>) -> String {
    match value {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(value) => format!("{value:?}"),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map of fields".to_owned(),
        other => other.to_string(),
    }
}

/// What is expected. serde's own words name types of Rust.
fn described(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a boolean" => "true or false".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "a string" => "a text".to_owned(),
        "path string" => "the path of a file".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map of fields".to_owned(),
        text if text.starts_with("struct ") => "a map of fields".to_owned(),
        _ => expected,
    }
}

/// A value that is being read. A field that is `null` counts as left out, as in Kubernetes: a section
/// whose fields are all comments is `null` in YAML.
struct Reader(Value);

impl IntoDeserializer<'_, FieldError> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Reader {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Reader)))
            }
            Value::Object(fields) => visit_fields(fields, visitor),
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::String(text) => visitor.visit_string(text),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let expected = match variants {
            [only] => (*only).to_owned(),
            _ => format!("one of {}", variants.join(", ")),
        };
        let close = match &self.0 {
            Value::String(text) if variants.contains(&text.as_str()) => {
                return visitor.visit_enum(text.as_str().into_deserializer());
            }
            Value::String(text) if variants.len() > 1 => did_you_mean(text, variants),
            _ => String::new(),
        };
        let shown = shown(self.unexpected());
        Err(FieldError(format!("{shown} is not {expected}{close}")))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let mut fields = match self.0 {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            // serde would take a list for the fields in their order.
            _ => return Err(de::Error::invalid_type(self.unexpected(), &"a map")),
        };
        fields.retain(|name, value| !value.is_null() || !known.contains(&name.as_str()));
        visit_fields(fields, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl Reader {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (_, Some(number)) => Unexpected::Signed(number),
                _ => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

fn visit_fields<'de, V: Visitor<'de>>(
    fields: Map<String, Value>,
    visitor: V,
) -> Result<V::Value, FieldError> {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name, Reader(value)));
    visitor.visit_map(MapDeserializer::new(fields))
}
