//! A JSON string that is borrowed from the request wherever it has no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// A string of a request. Serde's own `Cow` borrows as a direct field only; this one borrows
/// inside lists and options as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

/// The longest text that is copied, in bytes, because it has escapes. The texts that berth reads are
/// shorter, and most are names.
const LONGEST_COPY: usize = 64 << 10;

impl Text<'_> {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
                if v.len() > LONGEST_COPY {
                    return Err(E::custom(format_args!(
                        "a text with escapes in it is longer than {LONGEST_COPY} bytes"
                    )));
                }
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_read_where_it_stands_and_not_copied() {
        let long = "x".repeat(LONGEST_COPY);
        let read = |json: String| {
            let text = serde_json::from_str::<Text<'_>>(&json);
            text.map(|text| text.as_str().len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(format!(r#""{long}x""#)), Ok(LONGEST_COPY + 1));
        assert_eq!(read(format!(r#""{}\n""#, &long[1..])), Ok(LONGEST_COPY));
        let error = read(format!(r#""{long}\n""#)).unwrap_err();
        assert!(
            error.starts_with("a text with escapes in it is longer than 65536 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        let names: Vec<Text<'_>> = serde_json::from_str(r#"["el9-0", "el9-\u0031"]"#).unwrap();
        assert!(matches!(&names[0].0, Cow::Borrowed("el9-0")));
        assert!(matches!(&names[1].0, Cow::Owned(name) if name == "el9-1"));
    }
}
