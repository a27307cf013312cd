//! JSON of a server that may be anything: looked at part by part, so that of a large one no more is
//! in memory at a time than its text and what is kept of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How much of a text that is refused goes into a message.
const QUOTED: usize = 200;

/// Why the parts of a value were not looked at to the end.
#[derive(Debug)]
pub(super) enum PartError<E> {
    /// It is not JSON, or not of this kind.
    Json(String),
    /// What looked at a part has something against it.
    Part(E),
}

/// Shows every entry of an object, in the order in which they are there.
pub(super) fn entries<'a, E>(
    object: &'a str,
    each: impl FnMut(&str, &'a RawValue) -> Result<(), E>,
) -> Result<(), PartError<E>> {
    let mut json = serde_json::Deserializer::from_str(object);
    let mut failed = None;
    let visitor = Entries {
        each,
        failed: &mut failed,
    };
    let shown = json.deserialize_map(visitor).and_then(|()| json.end());
    outcome(shown, failed)
}

/// Shows every element of an array.
pub(super) fn elements<'a, E>(
    array: &'a str,
    each: impl FnMut(&'a RawValue) -> Result<(), E>,
) -> Result<(), PartError<E>> {
    let mut json = serde_json::Deserializer::from_str(array);
    let mut failed = None;
    let visitor = Elements {
        each,
        failed: &mut failed,
    };
    let shown = json.deserialize_seq(visitor).and_then(|()| json.end());
    outcome(shown, failed)
}

/// The beginning of a text, for a message about it.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

fn outcome<E>(shown: Result<(), serde_json::Error>, failed: Option<E>) -> Result<(), PartError<E>> {
    match (shown, failed) {
        (_, Some(error)) => Err(PartError::Part(error)),
        (Err(error), None) => Err(PartError::Json(quoted(&error.to_string()).into_owned())),
        (Ok(()), None) => Ok(()),
    }
}

struct Entries<'f, F, E> {
    each: F,
    failed: &'f mut Option<E>,
}

impl<'de, F, E> Visitor<'de> for Entries<'_, F, E>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key_seed(KeySeed)? {
            let value = map.next_value()?;
            if let Err(error) = (self.each)(&key, value) {
                *self.failed = Some(error);
                return Err(A::Error::custom("a part is refused"));
            }
        }
        Ok(())
    }
}

struct Elements<'f, F, E> {
    each: F,
    failed: &'f mut Option<E>,
}

impl<'de, F, E> Visitor<'de> for Elements<'_, F, E>
where
    F: FnMut(&'de RawValue) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            if let Err(error) = (self.each)(element) {
                *self.failed = Some(error);
                return Err(A::Error::custom("a part is refused"));
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it is written without escapes.
struct Key<'de>(Cow<'de, str>);

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(key.into()))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(key.to_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        let result = if json.starts_with('[') {
            elements(json, |element| {
                seen.push(element.to_string());
                if element.get() == "0" {
                    Err("zero")
                } else {
                    Ok(())
                }
            })
        } else {
            entries(json, |key, value| {
                seen.push(format!("{key}={value}"));
                if value.get() == "0" {
                    Err("zero")
                } else {
                    Ok(())
                }
            })
        };
        match result {
            Ok(()) => Ok(seen),
            Err(PartError::Part(error)) => Err(error.to_owned()),
            Err(PartError::Json(_)) => Err("json".to_owned()),
        }
    }

    #[test]
    fn parts_are_shown_as_they_are_written_until_one_is_refused() {
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
            (r#"{"a":1,"b":0,"c":}"#, Err("zero")),
            (r"[0,]", Err("zero")),
            (r#"{"a":1,"b":}"#, Err("json")),
            ("[1,]", Err("json")),
            ("[1] 2", Err("json")),
            ("7", Err("json")),
        ] {
            let shown = shown(json);
            let shown = shown.as_ref().map(Vec::as_slice).map_err(String::as_str);
            let expect = expect.map(|parts| {
                parts
                    .iter()
                    .map(|part| (*part).to_owned())
                    .collect::<Vec<_>>()
            });
            assert_eq!(shown.map(<[String]>::to_vec), expect, "{json}");
        }
    }

    #[test]
    fn a_long_text_is_quoted_by_its_beginning() {
        assert_eq!(quoted("ß"), "ß");
        let long = "ß".repeat(1 << 20);
        assert_eq!(quoted(&long), format!("{}…", "ß".repeat(QUOTED)));
    }
}
