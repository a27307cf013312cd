//! The names of a call, of which there may be thousands: they stay where they came, and what is kept of
//! each is where it ends.

use std::fmt;
use std::ops::Range;

use memchr::{memchr, memchr_iter};
use serde_json::Error;

use crate::wire::Text;
use crate::wire::extender::MOST_NODES;
use crate::wire::gather::AtMost;
use crate::wire::reply::Writer;
use crate::wire::scan::Cursor;

/// A list of names.
pub struct Names<'a>(List<'a>);

enum List<'a> {
    /// As a machine writes it: no name has anything to decode, and between two of them is a comma
    /// and nothing else. `ends` has the place of each closing quotation mark.
    Plain { json: &'a str, ends: Vec<u32> },
    /// As anybody may write it.
    Decoded(Vec<Text<'a>>),
}

/// How many bytes of a list there are for each name, at a guess.
const USUAL_LENGTH: usize = 24;

impl<'a> Names<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// It is not a list of strings, or a longer one than any cluster has nodes.
    pub(super) fn read(json: &'a str) -> Result<Self, Error> {
        let AtMost::<MOST_NODES, _>(names) = serde_json::from_str(json)?;
        Ok(Self(List::Decoded(names)))
    }

    /// Reads a list where there is one.
    pub(super) fn scan(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.peek()?;
        if let Some((json, ends)) = scan_plain(cursor.rest()) {
            cursor.pass(json);
            return Some(Self(List::Plain { json, ends }));
        }
        let (AtMost::<MOST_NODES, _>(names), _) = cursor.value()?;
        Some(Self(List::Decoded(names)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.0 {
            List::Plain { ends, .. } => ends.len(),
            List::Decoded(names) => names.len(),
        }
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count()).map(|index| self.name(index))
    }

    #[inline]
    fn name(&self, index: usize) -> &str {
        match &self.0 {
            List::Plain { json, ends } => plain(json, ends, index),
            List::Decoded(names) => names.get(index).map_or("", Text::as_str),
        }
    }

    /// The names in order, each of which can be kept.
    #[must_use]
    pub fn into_texts(self) -> Vec<Text<'a>> {
        match self.0 {
            List::Plain { json, ends } => (0..ends.len())
                .map(|index| Text(plain(json, &ends, index).into()))
                .collect(),
            List::Decoded(names) => names,
        }
    }

    /// Writes those of them that are chosen, with commas between them.
    pub(super) fn write(&self, chosen: &[bool], out: &mut Writer<'_>) {
        let mut at = 0;
        let mut is_first = true;
        for run in chosen.chunk_by(|one, next| one == next) {
            let indices = at..at + run.len();
            at = indices.end;
            if run.first() != Some(&true) {
                continue;
            }
            if !is_first {
                out.json(",");
            }
            is_first = false;
            match &self.0 {
                // Neighbours in one go.
                List::Plain { json, ends } => {
                    out.json(json.get(place(ends, indices)).unwrap_or_default());
                }
                List::Decoded(names) => {
                    let names = names.get(indices).unwrap_or_default();
                    for (index, name) in names.iter().enumerate() {
                        if index > 0 {
                            out.json(",");
                        }
                        out.string(name.as_str());
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A name of a plain list.
fn plain<'a>(json: &'a str, ends: &[u32], index: usize) -> &'a str {
    let Range { start, end } = place(ends, index..index + 1);
    json.get(start + 1..end - 1).unwrap_or_default()
}

/// Where some names are in a plain list, with their quotation marks.
fn place(ends: &[u32], indices: Range<usize>) -> Range<usize> {
    // A list is no longer than `u32` counts, and memory has room for more.
    let end = |index: usize| ends.get(index).map_or(0, |end| *end as usize);
    let start = indices
        .start
        .checked_sub(1)
        .map_or(1, |before| end(before) + 2);
    start..end(indices.end - 1) + 1
}

/// The plain list that a text begins with, and where each of its names ends.
fn scan_plain(text: &str) -> Option<(&str, Vec<u32>)> {
    let bytes = text.as_bytes();
    let mut ends = Vec::with_capacity((bytes.len() / USUAL_LENGTH).min(MOST_NODES));
    if bytes.first() != Some(&b'[') {
        return None;
    }
    let mut at = 1;
    let mut length = 1;
    loop {
        if bytes.get(at) != Some(&b'"') || ends.len() == MOST_NODES {
            return None;
        }
        // Most names are as long as the one before.
        let guess = at + length;
        let end = match bytes.get(guess..guess + 2) {
            Some(br#"","# | br#""]"#) => guess,
            _ => at + 1 + memchr(b'"', bytes.get(at + 1..)?)?,
        };
        ends.push(u32::try_from(end).ok()?);
        length = end - at;
        at = end + 2;
        match bytes.get(end + 1)? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    let list = text.get(..at)?;
    // Of all names at once, and without an early end: so it is done many bytes at a time.
    let is_to_decode = |byte| byte < b' ' || byte == b'\\';
    let any = list
        .bytes()
        .fold(false, |any, byte| any | is_to_decode(byte));
    // No guess went past the end of a name.
    let quotes = memchr_iter(b'"', list.as_bytes()).count();
    (!any && quotes == 2 * ends.len()).then_some((list, ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_plain_with_nothing_to_decode_in_it_and_nothing_between_the_names() {
        for (text, expect) in [
            (r#"["a"]"#, Some(r#"["a"]"#)),
            (r#"["a","","b/ü"],"x""#, Some(r#"["a","","b/ü"]"#)),
            (r#"["a\u0062"]"#, None),
            (r#"["a\\"]"#, None),
            (r#"["a\\",""]"#, None),
            (r#"["a\",\"b"]"#, None),
            ("[\"a\n\"]", None),
            (r#"[ "a"]"#, None),
            (r#"["a" ]"#, None),
            (r#"["a", "b"]"#, None),
            (r#"["a","b""#, None),
            (r#"["a","b"#, None),
            (r#"["a","#, None),
            (r#"["a",]"#, None),
            (r#"["a""b"]"#, None),
            (r#"["a"ü"b"]"#, None),
            (r#"["a",7]"#, None),
            ("[]", None),
            ("[", None),
            ("null", None),
            ("", None),
        ] {
            let found = scan_plain(text).map(|(json, _)| json);
            assert_eq!(found, expect, "{text}");
        }
    }

    /// Lists that are the same, of which the first is plain.
    const ALIKE: [&str; 3] = [
        r#"["a","","ü","b/c"]"#,
        r#"[ "a","" ,"ü","b/c"]"#,
        r#"["\u0061","","ü","b\/c"]"#,
    ];

    fn scan(text: &str) -> Names<'_> {
        let mut cursor = Cursor::new(text);
        let names = Names::scan(&mut cursor).unwrap();
        assert!(cursor.is_at_end());
        names
    }

    /// Places that look like the end of a name, where a name as long as the one before would end.
    #[test]
    fn names_are_themselves_whatever_they_are_after() {
        for names in [
            vec!["abc", "a", "b"],
            vec!["abc", "a", ",x"],
            vec!["abc", "a", ",", "b"],
            vec!["abc", "a", ",", "bcd"],
            vec!["abc", "a", "]"],
            vec!["", "", "a", ""],
            vec![",", ",", "]", ","],
            vec!["a,b", ",", ",,,"],
        ] {
            let text = serde_json::to_string(&names).unwrap();
            assert_eq!(scan(&text).iter().collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn names_are_the_same_however_they_are_written() {
        for text in ALIKE {
            for names in [scan(text), Names::read(text).unwrap()] {
                assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "", "ü", "b/c"]);
                assert_eq!(format!("{names:?}"), r#"["a", "", "ü", "b/c"]"#);
            }
        }
        assert_eq!(scan("[]").count(), 0);
    }

    #[test]
    fn chosen_names_are_written_as_a_list_of_them() {
        for chosen in 0..16_u8 {
            let chosen: [bool; 4] = std::array::from_fn(|index| chosen & 1 << index != 0);
            for text in ALIKE {
                let names = scan(text);
                let mut out = Writer::new(text);
                names.write(&chosen, &mut out);
                let written = String::from_utf8(out.finish().to_vec(text)).unwrap();
                let written: Vec<String> = serde_json::from_str(&format!("[{written}]")).unwrap();
                let expect = names.iter().zip(chosen).filter(|(_, chosen)| *chosen);
                assert!(
                    written.iter().eq(expect.map(|(name, _)| name)),
                    "{chosen:?}"
                );
            }
        }
    }
}
