//! An answer of which parts are parts of the request: they are not copied, and go out as the bytes
//! they came as.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;

use crate::wire::Text;

/// A part that is shorter than this is copied: to remember where it is costs as much.
const WORTH_QUOTING: usize = 1024;

/// An answer as JSON.
#[derive(Clone, Debug, Default)]
pub struct Reply<'a> {
    request: &'a str,
    parts: Vec<Cow<'a, [u8]>>,
    /// What comes after the parts.
    tail: Vec<u8>,
}

impl From<Vec<u8>> for Reply<'_> {
    /// An answer that quotes nothing.
    fn from(json: Vec<u8>) -> Self {
        Self {
            tail: json,
            ..Self::default()
        }
    }
}

impl<'a> Reply<'a> {
    /// An answer to this request, with nothing in it yet.
    pub(super) fn to(request: &'a str) -> Self {
        Self {
            request,
            ..Self::default()
        }
    }

    /// All of it.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        [self.parts.concat(), self.tail.clone()].concat()
    }

    /// The answer, ready to be sent. `request` holds the text of the request.
    #[must_use]
    pub fn into_outgoing(self, request: &Bytes) -> Outgoing {
        let mut memory = self.tail.len();
        let mut is_shared = false;
        let mut parts = VecDeque::with_capacity(self.parts.len() + 1);
        for part in self.parts {
            parts.push_back(match part {
                Cow::Borrowed(quoted) => {
                    is_shared = true;
                    request.slice_ref(quoted)
                }
                Cow::Owned(own) => {
                    memory += own.len();
                    own.into()
                }
            });
        }
        if !self.tail.is_empty() {
            parts.push_back(self.tail.into());
        }
        if is_shared {
            memory += request.len();
        }
        Outgoing {
            length: parts.iter().map(Bytes::len).sum(),
            parts,
            memory,
        }
    }

    /// Adds JSON as it stands.
    pub(super) fn json(&mut self, json: &str) {
        self.tail.extend_from_slice(json.as_bytes());
    }

    /// Adds a value. Those of this crate have string keys and nothing in them refuses to serialize, so
    /// that an error can't come up; it would leave JSON that the caller can't read.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        drop(serde_json::to_writer(&mut self.tail, value));
    }

    /// Adds a part of the request.
    pub(super) fn quote(&mut self, text: &'a str) {
        if text.len() < WORTH_QUOTING {
            return self.json(text);
        }
        if self.tail == b","
            && let Some(Cow::Borrowed(last)) = self.parts.last_mut()
            && let Some(both) = neighbours(self.request, last, text)
        {
            *last = both;
            self.tail.clear();
            return;
        }
        if !self.tail.is_empty() {
            self.parts.push(std::mem::take(&mut self.tail).into());
        }
        self.parts.push(text.as_bytes().into());
    }

    /// Adds a string of the request, as it stands there where that is all of it.
    pub(super) fn text(&mut self, text: &Text<'_>) {
        match literal(self.request, text.as_str()) {
            Some(json) => self.json(json),
            None => self.value(text),
        }
    }
}

/// The string in the request, with its quotes, that a text was borrowed from. It has no escapes.
fn literal<'a>(request: &'a str, text: &str) -> Option<&'a str> {
    let start = text.as_ptr().addr().checked_sub(request.as_ptr().addr())?;
    let before = start.checked_sub(1)?;
    let json = request.get(before..start + text.len() + 1)?;
    let bytes = json.as_bytes();
    (bytes.first() == Some(&b'"') && bytes.last() == Some(&b'"')).then_some(json)
}

/// Two parts of a request in one piece, if they have nothing but a comma between them.
fn neighbours<'a>(request: &'a str, one: &[u8], next: &str) -> Option<&'a [u8]> {
    let start = one.as_ptr().addr().checked_sub(request.as_ptr().addr())?;
    let comma = start + one.len();
    let end = comma + 1 + next.len();
    let request = request.as_bytes();
    let is_next = std::ptr::eq(request.get(comma + 1..end)?, next.as_bytes());
    (is_next && request[comma] == b',').then_some(&request[start..end])
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Outgoing {
    parts: VecDeque<Bytes>,
    length: usize,
    memory: usize,
}

impl From<Vec<u8>> for Outgoing {
    fn from(json: Vec<u8>) -> Self {
        Reply::from(json).into_outgoing(&Bytes::new())
    }
}

impl Outgoing {
    /// How many bytes are left to send.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether all of it is sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many bytes of memory it takes until the last of it is sent, the request included where parts
    /// of it are quoted.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// The next bytes, so many at most; `None` after the last.
    pub fn next(&mut self, most: usize) -> Option<Bytes> {
        let part = self.parts.front_mut()?;
        let next = part.split_to(part.len().min(most));
        if part.is_empty() {
            self.parts.pop_front();
        }
        self.length -= next.len();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of four items, and an answer that holds some of them in so many parts.
    fn check(length: usize, separator: &str, chosen: &[usize], parts: usize) {
        let items = ['a', 'b', 'c', 'd'].map(|c| c.to_string().repeat(length));
        let request = Bytes::from(items.join(separator));
        let text = std::str::from_utf8(&request).unwrap();
        let texts: Vec<&str> = text.split(separator).collect();
        let mut reply = Reply::to(text);
        reply.json("[");
        for (place, index) in chosen.iter().enumerate() {
            if place > 0 {
                reply.json(",");
            }
            reply.quote(texts[*index]);
        }
        reply.json(",");
        reply.value("\"\u{1}é");
        let chosen: Vec<&str> = chosen.iter().map(|index| texts[*index]).collect();
        let expect = format!("[{},\"\\\"\\u0001é\"", chosen.join(","));
        assert_eq!(reply.to_vec(), expect.as_bytes());
        assert_eq!(reply.parts.len(), parts);

        for most in [1, 7, 1000, 3 * WORTH_QUOTING + 1, expect.len(), usize::MAX] {
            let mut outgoing = reply.clone().into_outgoing(&request);
            let mut sent = Vec::new();
            while let Some(part) = outgoing.next(most) {
                assert!((1..=most).contains(&part.len()));
                sent.extend(part);
                assert_eq!(outgoing.len(), expect.len() - sent.len());
            }
            assert!(outgoing.is_empty());
            assert_eq!(sent, expect.as_bytes());
        }
        let own: usize = reply
            .parts
            .iter()
            .filter(|part| matches!(part, Cow::Owned(_)))
            .map(|part| part.len())
            .sum();
        let quoted = if parts == 0 { 0 } else { request.len() };
        let memory = reply.tail.len() + own + quoted;
        assert_eq!(reply.into_outgoing(&request).memory(), memory);
    }

    #[test]
    fn long_parts_of_the_request_are_quoted_neighbours_together_and_short_ones_copied() {
        check(WORTH_QUOTING, ",", &[0, 1, 2, 3], 2);
        check(WORTH_QUOTING, ",", &[0, 2, 3], 4);
        check(WORTH_QUOTING, ",", &[3, 0, 1], 4);
        check(WORTH_QUOTING, " ,", &[0, 1], 4);
        check(WORTH_QUOTING, ";", &[0, 1], 4);
        check(WORTH_QUOTING, ",", &[2], 2);
        check(WORTH_QUOTING, ",", &[], 0);
        check(WORTH_QUOTING - 1, ",", &[0, 1], 0);
    }

    #[test]
    fn an_answer_of_nothing_is_sent() {
        let mut outgoing = Outgoing::from(Vec::new());
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.next(1), None);
    }
}
