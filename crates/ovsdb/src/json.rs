//! JSON of a server that may send anything, read part by part: of a large text, only the text itself
//! and what is kept of it are in memory at a time.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many characters of a text that is refused an error message quotes.
const QUOTED: usize = 400;

/// A text is not JSON, or not an object or an array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(quoted(&error.to_string()).into_owned())
    }
}

/// Calls `each` for every entry of an object, in order, until it returns an error.
pub(crate) fn entries<'a, E: From<JsonError>>(
    object: &'a str,
    each: impl FnMut(&str, &'a RawValue) -> Result<(), E>,
) -> Result<(), E> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_str(object);
    let read = json.deserialize_map(Parts(each, &mut failed));
    result(read.and_then(|()| json.end()), failed)
}

/// Calls `each` for every element of an array, in order, until it returns an error.
pub(crate) fn elements<'a, E: From<JsonError>>(
    array: &'a str,
    mut each: impl FnMut(&'a RawValue) -> Result<(), E>,
) -> Result<(), E> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_str(array);
    let read = json.deserialize_seq(Parts(|_: &str, element| each(element), &mut failed));
    result(read.and_then(|()| json.end()), failed)
}

fn result<E: From<JsonError>>(read: serde_json::Result<()>, failed: Option<E>) -> Result<(), E> {
    match failed {
        Some(error) => Err(error),
        None => read.map_err(|error| JsonError::from(error).into()),
    }
}

/// The beginning of a text, for a message about it.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

/// What to call for each part, and where its error goes.
struct Parts<'f, F, E>(F, &'f mut Option<E>);

impl<'de, F, E> Parts<'_, F, E>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), E>,
{
    fn take<A: serde::de::Error>(&mut self, key: &str, part: &'de RawValue) -> Result<(), A> {
        (self.0)(key, part).map_err(|error| {
            *self.1 = Some(error);
            A::custom("a part is refused")
        })
    }
}

impl<'de, F, E> Visitor<'de> for Parts<'_, F, E>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry()? {
            self.take(&key, value)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            self.take("", element)?;
        }
        Ok(())
    }
}

/// A key, borrowed where it is written without escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Refused {
        Zero,
        Json,
    }

    impl From<JsonError> for Refused {
        fn from(_: JsonError) -> Self {
            Self::Json
        }
    }

    fn read(json: &str) -> Result<Vec<String>, Refused> {
        let mut seen = Vec::new();
        let mut take = |part: String, value: &RawValue| {
            seen.push(part);
            match value.get() {
                "0" => Err(Refused::Zero),
                _ => Ok(()),
            }
        };
        if json.starts_with('[') {
            elements(json, |element| take(element.to_string(), element))?;
        } else {
            entries(json, |key, value| take(format!("{key}={value}"), value))?;
        }
        Ok(seen)
    }

    #[test]
    fn parts_come_as_they_are_written_until_one_is_refused() {
        for (json, expect) in [
            ("{}", Ok(&[][..])),
            (
                r#"{"a":1,"\u0062":{"c":[2]},"a":3}"#,
                Ok(&["a=1", "b={\"c\":[2]}", "a=3"]),
            ),
            (
                r#"[1,["set",[]],"x"]"#,
                Ok(&["1", r#"["set",[]]"#, "\"x\""]),
            ),
            (r#"{"a":1,"b":0,"c":}"#, Err(Refused::Zero)),
            (r"[0,]", Err(Refused::Zero)),
            (r#"{"a":1,"b":}"#, Err(Refused::Json)),
            ("[1,]", Err(Refused::Json)),
            ("[1] 2", Err(Refused::Json)),
            ("7", Err(Refused::Json)),
        ] {
            let read = read(json);
            let parts = expect.map(|parts| parts.iter().map(|part| (*part).to_owned()).collect());
            assert_eq!(read, parts, "{json}");
        }
    }

    #[test]
    fn a_long_text_is_quoted_by_its_beginning() {
        assert_eq!(quoted("ß"), "ß");
        let long = "ß".repeat(1 << 20);
        assert_eq!(quoted(&long), format!("{}…", "ß".repeat(QUOTED)));
    }
}
