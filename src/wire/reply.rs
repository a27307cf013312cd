//! An answer of which parts are parts of the request: they are not copied, and go out as the bytes
//! they came as.

use std::collections::VecDeque;
use std::ops::Range;

/// An answer as JSON.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    own: Vec<u8>,
    quotes: VecDeque<Quote>,
}

/// A part of the request, and before which of the answer's own bytes it comes.
#[derive(Clone, Debug)]
struct Quote {
    before: usize,
    part: Range<usize>,
}

impl From<Vec<u8>> for Reply {
    /// An answer that quotes nothing.
    fn from(own: Vec<u8>) -> Self {
        Self {
            own,
            quotes: VecDeque::new(),
        }
    }
}

impl Reply {
    /// The answer on its way out, with the request that it quotes.
    #[must_use]
    pub fn send(self, request: String) -> Outgoing {
        let Self { own, quotes } = self;
        let quoted: usize = quotes.iter().map(|quote| quote.part.len()).sum();
        Outgoing {
            left: own.len() + quoted,
            // What is not quoted is not kept.
            request: if quotes.is_empty() {
                String::new()
            } else {
                request
            },
            own,
            sent: 0,
            quotes,
            quoting: 0..0,
        }
    }

    /// All of it.
    #[must_use]
    pub fn to_vec(&self, request: &str) -> Vec<u8> {
        self.clone().send(request.to_owned()).next(usize::MAX)
    }
}

/// What is left of an answer.
#[derive(Debug)]
pub struct Outgoing {
    request: String,
    own: Vec<u8>,
    sent: usize,
    quotes: VecDeque<Quote>,
    /// What is left of the quote that has begun.
    quoting: Range<usize>,
    left: usize,
}

impl Outgoing {
    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// How many bytes of memory it takes until the last of it is sent.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.request.len() + self.own.len()
    }

    /// The next bytes, so many at most.
    pub fn next(&mut self, most: usize) -> Vec<u8> {
        let length = self.left.min(most);
        self.left -= length;
        if length == self.own.len() && self.quotes.is_empty() && self.sent == 0 {
            return std::mem::take(&mut self.own);
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let room = length - bytes.len();
            let (from, range) = if self.quoting.is_empty() {
                let quote = self.quotes.front();
                let own = self.sent..quote.map_or(self.own.len(), |quote| quote.before);
                if own.is_empty() {
                    let Some(quote) = self.quotes.pop_front() else {
                        break;
                    };
                    self.quoting = quote.part;
                    continue;
                }
                let end = own.end.min(own.start + room);
                self.sent = end;
                (self.own.as_slice(), own.start..end)
            } else {
                let start = self.quoting.start;
                let end = self.quoting.end.min(start + room);
                self.quoting.start = end;
                (self.request.as_bytes(), start..end)
            };
            bytes.extend_from_slice(from.get(range).unwrap_or_default());
        }
        bytes
    }
}

/// Writes an answer to a request.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    request: &'a str,
    reply: Reply,
}

/// A part that is shorter is copied, which costs less than to remember where it is.
const WORTH_QUOTING: usize = 1024;

impl<'a> Writer<'a> {
    pub(super) fn new(request: &'a str) -> Self {
        Self {
            request,
            reply: Reply::default(),
        }
    }

    pub(super) fn finish(self) -> Reply {
        self.reply
    }

    /// Room for so many bytes, about, that are not quoted.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.reply.own.reserve(bytes);
    }

    /// JSON as it stands.
    pub(super) fn json(&mut self, json: &str) {
        self.reply.own.extend_from_slice(json.as_bytes());
    }

    /// A string.
    pub(super) fn string(&mut self, text: &str) {
        let own = &mut self.reply.own;
        // Names hardly ever have anything to escape. No early end: so it is done many at a time.
        let escaped = text.bytes().fold(0, |escaped, byte| {
            escaped | u8::from(byte < b' ' || byte == b'"' || byte == b'\\')
        });
        if escaped > 0 {
            own.extend(super::encode(text));
        } else {
            own.push(b'"');
            own.extend_from_slice(text.as_bytes());
            own.push(b'"');
        }
    }

    /// A part of the request.
    pub(super) fn quote(&mut self, text: &str) {
        match self.place(text) {
            Some(part) if part.len() >= WORTH_QUOTING => self.quote_part(part),
            Some(_) | None => self.json(text),
        }
    }

    /// A comma, which may be the request's own.
    pub(super) fn comma(&mut self) {
        let next = self.last_quote().map(|quote| quote.part.end);
        match next.and_then(|next| self.request.as_bytes().get(next)) {
            Some(b',') => {
                if let Some(quote) = self.last_quote() {
                    quote.part.end += 1;
                }
            }
            Some(_) | None => self.json(","),
        }
    }

    fn quote_part(&mut self, part: Range<usize>) {
        match self.last_quote() {
            Some(quote) if quote.part.end == part.start => quote.part.end = part.end,
            Some(_) | None => self.reply.quotes.push_back(Quote {
                before: self.reply.own.len(),
                part,
            }),
        }
    }

    /// The quote that the answer ends with so far.
    fn last_quote(&mut self) -> Option<&mut Quote> {
        let end = self.reply.own.len();
        let last = self.reply.quotes.back_mut();
        last.filter(|quote| quote.before == end)
    }

    /// Where in the request a text is, if it is a part of it.
    fn place(&self, text: &str) -> Option<Range<usize>> {
        let start = text.as_ptr().addr();
        let start = start.checked_sub(self.request.as_ptr().addr())?;
        let place = start..start.checked_add(text.len())?;
        let there = self.request.get(place.clone())?;
        std::ptr::eq(there, text).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of four long items, and what an answer makes of some of them.
    fn mk_request(separator: &str) -> (String, [Range<usize>; 4]) {
        let mut request = String::from("[");
        let items = [b'a', b'b', b'c', b'd'].map(|byte| {
            let start = request.len();
            request.push_str(&format!("\"{}\"", char::from(byte)).repeat(WORTH_QUOTING));
            let end = request.len();
            request.push_str(separator);
            start..end
        });
        (request, items)
    }

    fn quoted(request: &str, items: &[Range<usize>]) -> Reply {
        let mut writer = Writer::new(request);
        writer.json("{");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                writer.comma();
            }
            writer.quote(&request[item.clone()]);
        }
        writer.json("}");
        writer.finish()
    }

    #[test]
    fn neighbours_are_quoted_together_with_the_comma_between_them() {
        let (request, [a, b, c, d]) = mk_request(",");
        for (items, quotes) in [
            (vec![a.clone(), b.clone(), c.clone(), d.clone()], 1),
            (vec![a.clone(), c.clone(), d.clone()], 2),
            (vec![d.clone(), a.clone()], 2),
            (vec![c.clone()], 1),
            (vec![], 0),
        ] {
            let reply = quoted(&request, &items);
            let texts: Vec<&str> = items.iter().map(|item| &request[item.clone()]).collect();
            let expect = format!("{{{}}}", texts.join(","));
            assert_eq!(reply.to_vec(&request), expect.as_bytes());
            assert_eq!(reply.quotes.len(), quotes);
        }
    }

    #[test]
    fn neighbours_with_something_else_between_them_are_quoted_apart() {
        let (request, items) = mk_request(" , ");
        let reply = quoted(&request, &items);
        let texts = items.clone().map(|item| &request[item]);
        let expect = format!("{{{}}}", texts.join(","));
        assert_eq!(reply.to_vec(&request), expect.as_bytes());
        assert_eq!(reply.quotes.len(), 4);
    }

    #[test]
    fn what_is_no_part_of_the_request_is_copied() {
        let (request, _) = mk_request(",");
        let elsewhere = request.clone();
        let mut writer = Writer::new(&request);
        writer.quote(&elsewhere);
        let reply = writer.finish();
        assert_eq!((reply.own.len(), reply.quotes.len()), (elsewhere.len(), 0));
    }

    #[test]
    fn an_answer_is_the_same_in_parts_of_any_length() {
        let (request, [a, b, c, d]) = mk_request(",");
        let reply = quoted(&request, &[a, b, d, c]);
        let whole = reply.to_vec(&request);
        for most in [1, 7, 1000, 3 * WORTH_QUOTING + 1, whole.len(), usize::MAX] {
            let mut outgoing = reply.clone().send(request.clone());
            let mut sent = Vec::new();
            while outgoing.left() > 0 {
                let left = outgoing.left();
                let part = outgoing.next(most);
                assert_eq!(part.len(), left.min(most));
                sent.extend(part);
            }
            assert_eq!(sent, whole);
            assert_eq!(outgoing.next(most), b"");
        }
    }

    #[test]
    fn a_string_is_escaped_where_it_has_to_be() {
        for text in ["", "worker-1", "ü/\u{7f}", "a\"b", "a\\b", "a\nb", "\u{0}"] {
            let mut writer = Writer::new("");
            writer.string(text);
            let json = String::from_utf8(writer.finish().to_vec("")).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
        }
    }
}
