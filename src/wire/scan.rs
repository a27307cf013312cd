//! Reading in one go what is too long to be read twice: where the parts of a document begin and end,
//! and what is looked for in them.
//!
//! Serde gives either a part's value or its text. Here each part is read by `serde_json` from where
//! it begins, which tells where it ends; all that is left to do is the punctuation between parts.
//! What is not as it should be is `None`: whoever asked reads it another way, for what to say of it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

use crate::wire::Text;

/// A place in a JSON document.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of a document.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        self.at += rest.iter().take_while(|byte| is_space(byte)).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What is left begins with this, which was read.
    pub(super) const fn pass(&mut self, read: &str) {
        self.at += read.len();
    }

    /// What is between here and a later place of the same document.
    pub(super) fn text_until(&self, later: &Self) -> Option<&'a str> {
        self.text.get(self.at..later.at)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let is_there = self.peek()? == byte;
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// A value, and the text of it.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Option<(T, &'a str)> {
        self.peek()?;
        let rest = self.rest();
        let mut values = Deserializer::from_str(rest).into_iter();
        let value = values.next()?.ok()?;
        let length = values.byte_offset();
        self.at += length;
        Some((value, rest.get(..length)?))
    }

    /// Passes over a value, whatever it is.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.value::<IgnoredAny>().map(drop)
    }

    /// An object as a whole, or null. Serde takes an array for a struct as well.
    #[expect(clippy::option_option, reason = "null is read as well as an object is")]
    pub(super) fn object_or_null<T: Deserialize<'a>>(&mut self) -> Option<Option<T>> {
        if self.peek()? == b'[' {
            return None;
        }
        self.value().map(|(value, _)| value)
    }

    /// An object, with what to do when the value of a key comes.
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Option<()>,
    ) -> Option<()> {
        self.parts(b'{', b'}', |cursor| {
            let (key, _) = cursor.value::<Text<'a>>()?;
            cursor.take(b':')?;
            field(cursor, key.as_str())
        })
    }

    /// An array, with what to do when an item comes.
    pub(super) fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.parts(b'[', b']', item)
    }

    fn parts(
        &mut self,
        open: u8,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            part(self)?;
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }
}

/// A field that may come once.
pub(super) fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of an object with the texts of their values, and that nothing comes after it.
    fn fields(text: &str) -> Option<Vec<(String, &str)>> {
        let mut cursor = Cursor::new(text);
        let mut fields = Vec::new();
        cursor.object(|cursor, key| {
            let (_, text) = cursor.value::<IgnoredAny>()?;
            fields.push((key.to_owned(), text));
            Some(())
        })?;
        cursor.is_at_end().then_some(fields)
    }

    fn items(text: &str) -> Option<Vec<&str>> {
        let mut cursor = Cursor::new(text);
        let mut items = Vec::new();
        cursor.array(|cursor| {
            items.push(cursor.value::<IgnoredAny>()?.1);
            Some(())
        })?;
        cursor.is_at_end().then_some(items)
    }

    #[test]
    fn parts_are_told_apart_whatever_is_between_them() {
        for (text, expect) in [
            ("[]", Some(vec![])),
            (" [ ] ", Some(vec![])),
            ("[1,2]", Some(vec!["1", "2"])),
            (
                r#"[ null ,-1.5e3, "]" ,[[]] , {"a":"}"}]"#,
                Some(vec!["null", "-1.5e3", r#""]""#, "[[]]", r#"{"a":"}"}"#]),
            ),
            ("", None),
            ("{}", None),
            ("[", None),
            ("[1", None),
            ("[1,", None),
            ("[1,]", None),
            ("[,1]", None),
            ("[1 2]", None),
            ("[1]]", None),
            ("[01]", None),
            ("[nul]", None),
            ("[1}", None),
        ] {
            assert_eq!(items(text), expect, "{text}");
        }
    }

    #[test]
    fn keys_are_strings_with_a_value_each() {
        let field = |key: &str, value| (key.to_owned(), value);
        for (text, expect) in [
            ("{}", Some(vec![])),
            (
                r#"{"a":1, "\u0062" : {"c":[2]} }"#,
                Some(vec![field("a", "1"), field("b", r#"{"c":[2]}"#)]),
            ),
            ("[]", None),
            (r#"{"a"}"#, None),
            (r#"{"a":}"#, None),
            (r#"{"a" 1}"#, None),
            ("{a:1}", None),
            ("{1:1}", None),
            (r#"{"a":1,}"#, None),
            (r#"{"a":1"b":2}"#, None),
            (r#"{"a":1}}"#, None),
        ] {
            assert_eq!(fields(text), expect, "{text}");
        }
    }
}
