//! A JSON string that is borrowed from the request wherever it has no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// A string of a request. Serde's own `Cow` borrows as a direct field only; this one borrows
/// inside lists and options as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

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

/// A text of at most so many characters, with what is cut off marked by `…`. What a request says is
/// as long as its sender likes; what berth says about it is not.
#[must_use]
pub fn shorten(text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(longest.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_characters_and_only_when_it_is_too_long() {
        for (text, expect) in [("", ""), ("üüü", "üüü"), ("üüüü", "üü…")] {
            assert_eq!(shorten(text, 3), expect);
        }
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        let names: Vec<Text<'_>> = serde_json::from_str(r#"["el9-0", "el9-\u0031"]"#).unwrap();
        assert!(matches!(&names[0].0, Cow::Borrowed("el9-0")));
        assert!(matches!(&names[1].0, Cow::Owned(name) if name == "el9-1"));
    }
}
