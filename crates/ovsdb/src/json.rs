//! JSON of a server that may send anything, read part by part: of a large text, only the text itself
//! and what is kept of it are in memory at a time.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;

/// How many characters of a text that is refused an error message quotes.
const QUOTED: usize = 400;

/// Calls `each` for every entry of an object, in order, until it returns an error. `what` is the object
/// in an error about its JSON.
pub(crate) fn entries<'a>(
    what: &str,
    object: &'a str,
    each: impl FnMut(&str, &'a RawValue) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_str(object);
    let read = json.deserialize_map(Parts(each, &mut failed));
    let read = read.and_then(|()| json.end());
    failed.map_or_else(|| read.map_err(|error| unreadable(what, &error)), Err)
}

/// Calls `each` for every element of an array, in order, until it returns an error. `what` is the array
/// in an error about its JSON.
pub(crate) fn elements<'a>(
    what: &str,
    array: &'a str,
    mut each: impl FnMut(&'a RawValue) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_str(array);
    let read = json.deserialize_seq(Parts(|_: &str, element| each(element), &mut failed));
    let read = read.and_then(|()| json.end());
    failed.map_or_else(|| read.map_err(|error| unreadable(what, &error)), Err)
}

/// What a server sent is not the JSON that it has to be.
pub(crate) fn unreadable(what: &str, error: &serde_json::Error) -> Error {
    let error = error.to_string();
    Error::unreadable(format!("{what} can't be read: {}", quoted(&error)))
}

/// The beginning of a text, for a message about it.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

/// What to call for each part, and where its error goes.
struct Parts<'f, F>(F, &'f mut Option<Error>);

impl<'de, F> Parts<'_, F>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), Error>,
{
    fn take<A: serde::de::Error>(&mut self, key: &str, part: &'de RawValue) -> Result<(), A> {
        (self.0)(key, part).map_err(|error| {
            *self.1 = Some(error);
            A::custom("a part is refused")
        })
    }
}

impl<'de, F> Visitor<'de> for Parts<'_, F>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), Error>,
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

    fn read(json: &str) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        let mut take = |part: String, value: &RawValue| {
            seen.push(part);
            match value.get() {
                "0" => Err(Error::unreadable("zero")),
                _ => Ok(()),
            }
        };
        let read = if json.starts_with('[') {
            elements("x", json, |element| take(element.to_string(), element))
        } else {
            entries("x", json, |key, value| {
                take(format!("{key}={value}"), value)
            })
        };
        match read {
            Ok(()) => Ok(seen),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn parts_come_as_they_are_written_until_one_is_refused() {
        for (json, expect) in [
            ("{}", &[][..]),
            (
                r#"{"a":1,"\u0062":{"c":[2]},"a":3}"#,
                &["a=1", "b={\"c\":[2]}", "a=3"],
            ),
            (r#"[1,["set",[]],"x"]"#, &["1", r#"["set",[]]"#, "\"x\""]),
        ] {
            let expect = expect.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(read(json), Ok(expect), "{json}");
        }
        for json in [r#"{"a":1,"b":0,"c":}"#, "[0,]"] {
            assert_eq!(read(json), Err("zero".to_owned()), "{json}");
        }
        for json in [r#"{"a":1,"b":}"#, "[1,]", "[1] 2", "7"] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with("x can't be read: "), "{error}");
        }
    }

    #[test]
    fn a_long_text_is_quoted_by_its_beginning() {
        assert_eq!(quoted("ß"), "ß");
        let long = "ß".repeat(1 << 20);
        assert_eq!(quoted(&long), format!("{}…", "ß".repeat(QUOTED)));
    }
}
