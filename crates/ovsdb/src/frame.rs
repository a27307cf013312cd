//! A stream of bytes to JSON messages. OVSDB puts nothing between them, so the end of one is found
//! by counting braces outside strings; each byte is looked at once, however small the pieces are
//! that it came in.

use bytes::{BufMut, Bytes, BytesMut};

/// How much room there is for one read.
const CHUNK: usize = 64 * 1024;

/// Cuts messages out of the bytes that are put into [`Self::space`].
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    limit: usize,
    /// How much of the buffer was looked at.
    seen: usize,
    depth: usize,
    position: Position,
}

/// Where in a message the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Between messages, or in one and not in a string.
    Plain,
    String,
    /// Right after a backslash in a string.
    Escape,
}

/// Why a stream does not hold messages. Nothing after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message begins with something else than a brace.
    #[error("a message begins with byte {0:#04x}")]
    NotAnObject(u8),
    /// A message is longer than the limit, in bytes.
    #[error("a message is longer than {0} bytes")]
    TooLong(usize),
    /// A message is nested deeper than any that OVSDB has.
    #[error("a message is nested deeper than {DEEPEST} levels")]
    TooDeep,
}

/// A set of ids in a row of an update is at the tenth level, and a schema no deeper.
const DEEPEST: usize = 64;

impl Framer {
    /// No message may be longer than `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            seen: 0,
            depth: 0,
            position: Position::Plain,
        }
    }

    /// Where the next bytes of the stream go.
    pub fn space(&mut self) -> &mut impl BufMut {
        self.buffer.reserve(CHUNK);
        &mut self.buffer
    }

    /// The next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if all of it is there. Its braces match; it may still not be JSON.
    ///
    /// # Errors
    /// The stream does not hold messages, or a message is over a limit.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.depth == 0 {
            self.skip_space()?;
        }
        let Self {
            buffer,
            limit,
            seen,
            depth,
            position,
        } = self;
        let mut end = None;
        for (at, byte) in buffer.iter().enumerate().skip(*seen) {
            match (*position, byte) {
                (Position::Plain, b'{' | b'[') => *depth += 1,
                (Position::Plain, b'}' | b']') => *depth -= 1,
                (Position::String, b'\\') => *position = Position::Escape,
                (Position::String, b'"') => *position = Position::Plain,
                (Position::Plain, b'"') | (Position::Escape, _) => *position = Position::String,
                (Position::Plain | Position::String, _) => continue,
            }
            if *depth > DEEPEST {
                return Err(FrameError::TooDeep);
            }
            if *depth == 0 {
                end = Some(at + 1);
                break;
            }
        }
        *seen = end.unwrap_or(buffer.len());
        if *seen > *limit {
            return Err(FrameError::TooLong(*limit));
        }
        if end.is_none() {
            return Ok(None);
        }
        let message = buffer.split_to(*seen).freeze();
        *seen = 0;
        if message.len() > CHUNK {
            // What follows would keep all of the message's memory for as long as it lasts.
            *buffer = BytesMut::from(buffer.as_ref());
        }
        Ok(Some(message))
    }

    fn skip_space(&mut self) -> Result<(), FrameError> {
        let space = self.buffer.iter().position(|b| !b.is_ascii_whitespace());
        let _ = self.buffer.split_to(space.unwrap_or(self.buffer.len()));
        match self.buffer.first() {
            None | Some(b'{') => Ok(()),
            Some(byte) => Err(FrameError::NotAnObject(*byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(
        pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<String>, FrameError> {
        let mut framer = Framer::new(1024);
        let mut found = Vec::new();
        for piece in pieces {
            framer.push(piece.as_ref());
            while let Some(frame) = framer.next_message()? {
                found.push(String::from_utf8(frame.to_vec()).unwrap());
            }
        }
        Ok(found)
    }

    #[test]
    fn a_long_message_frees_its_memory() {
        let mut framer = Framer::new(16 << 20);
        let long = format!("{{\"{}\"}}", "x".repeat(8 << 20));
        framer.push(long.as_bytes());
        framer.push(b"{\"next\":");
        let message = framer.next_message().unwrap().unwrap();
        assert_eq!(message.len(), long.len());
        assert!(framer.buffer.capacity() < CHUNK);
        framer.push(b"1}");
        let next = framer.next_message().unwrap();
        assert_eq!(next.as_deref(), Some(&b"{\"next\":1}"[..]));
    }

    const MESSAGES: [&str; 6] = [
        "{}",
        r#"{"a":["}",{"\"{":"\\"}]}"#,
        r#"{"\u007d":"\\\"}"}"#,
        r#"{"ß}":"{ünï"}"#,
        r#"{"method":"echo","params":[],"id":"echo"}"#,
        r#"{"a":{"b":{"c":[[[]]]}}}"#,
    ];

    #[test]
    fn messages_are_found_wherever_the_stream_is_cut() {
        for between in ["", " \n\t", "\r\n"] {
            let stream = MESSAGES.join(between);
            let bytes = stream.as_bytes();
            assert_eq!(frames([bytes]).unwrap(), MESSAGES);
            assert_eq!(frames(bytes.chunks(1)).unwrap(), MESSAGES);
            for at in 0..bytes.len() {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(frames([head, tail]).unwrap(), MESSAGES, "cut at {at}");
            }
        }
    }

    #[test]
    fn half_a_message_is_not_returned() {
        for half in ["", "  ", "{", r#"{"a":"}"#, r#"{"a":"\"}"#, "{[}"] {
            assert_eq!(frames([half]).unwrap(), [""; 0], "{half}");
        }
    }

    #[test]
    fn a_stream_that_does_not_begin_as_a_message_is_refused_at_its_first_byte() {
        for (stream, byte) in [
            ("x", b'x'),
            ("[]", b'['),
            ("{}}", b'}'),
            ("{} 1", b'1'),
            ("\0", 0),
        ] {
            assert_eq!(
                frames([stream]),
                Err(FrameError::NotAnObject(byte)),
                "{stream}"
            );
        }
        assert_eq!(
            FrameError::NotAnObject(0x15).to_string(),
            "a message begins with byte 0x15"
        );
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_its_end() {
        let message = |len: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(len - 8));
        assert_eq!(message(1024).len(), 1024);
        assert_eq!(frames([message(1024)]).unwrap().len(), 1);
        let long = message(1025);
        assert_eq!(frames([&long]), Err(FrameError::TooLong(1024)));
        let endless = format!("{{\"a\":\"{}", "x".repeat(1024));
        assert_eq!(
            frames(endless.as_bytes().chunks(100)),
            Err(FrameError::TooLong(1024))
        );
    }

    #[test]
    fn a_message_nested_too_deep_is_refused_before_its_end() {
        let nested = |depth: usize| {
            let depth = depth - 1;
            format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
        };
        assert_eq!(frames([nested(DEEPEST)]).unwrap().len(), 1);
        assert_eq!(frames([nested(DEEPEST + 1)]), Err(FrameError::TooDeep));
    }

    #[test]
    fn each_byte_is_looked_at_once() {
        let count = 100_000;
        let stream = "{\"a\":[]}".repeat(count);
        let mut framer = Framer::new(1024);
        framer.push(stream.as_bytes());
        let mut found = 0;
        while framer.next_message().unwrap().is_some() {
            found += 1;
        }
        assert_eq!(found, count);

        let long = format!("{{\"a\":\"{}\"}}", "}".repeat(1 << 20));
        let mut framer = Framer::new(2 << 20);
        let mut found = 0;
        for byte in long.as_bytes().chunks(1) {
            framer.push(byte);
            found += usize::from(framer.next_message().unwrap().is_some());
        }
        assert_eq!(found, 1);
    }
}
