//! Splits the API server's byte stream into objects, without I/O: a list into items, a watch into events.
//! It holds one object at a time. Of an object over the limit it keeps only the name.

use memchr::memchr2;

/// The largest object that is read, in bytes. The API server takes none of more than 3 MiB, and
/// writes one as more where it has to escape what is in it.
pub(super) const LARGEST_OBJECT: usize = 8 << 20;

/// The longest of the other fields that is read: the metadata of a list, the type of an event.
const LONGEST_FIELD: usize = 64 << 10;

/// The longest key or name that is kept of an object that is not, in bytes.
const LONGEST_WORD: usize = 256;

/// An object, as far as it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole(Vec<u8>),
    /// It is too large.
    TooLarge(Named),
}

/// What tells an object that is too large from others, as far as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its version.
    pub resource_version: String,
    /// How long it is.
    pub bytes: usize,
}

impl Named {
    /// Why it is not read.
    #[must_use]
    pub fn problem(&self) -> String {
        format!(
            "it has {} bytes, and no object of more than {LARGEST_OBJECT} is read",
            self.bytes
        )
    }
}

/// What the bytes so far came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The next item of a list.
    Item(Part),
    /// A document is over.
    Document(Document),
}

/// What is kept of a document beside the items of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The field `metadata` of a list.
    pub metadata: Vec<u8>,
    /// The field `type` of an event.
    pub event: Vec<u8>,
    /// The field `object` of an event.
    pub object: Option<Part>,
}

/// The bytes are not an answer of an API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON object: it begins with byte {0:#04x}")]
pub struct NotAnObject(u8);

/// A field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Metadata,
    Event,
    Object,
    Items,
    Other,
}

/// Where the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Plain,
    String,
    /// Right after a backslash in a string.
    Escape,
}

/// Takes documents apart.
#[derive(Debug)]
pub struct Splitter {
    position: Position,
    /// How many braces and brackets are open.
    depth: usize,
    /// The next string, if any, is the value of a key.
    is_value: bool,
    field: Field,
    /// The items of a list are being read.
    in_items: bool,
    /// The value that is being taken, and at what depth it stands.
    taken: Option<Taken>,
    /// The string that is being read, where one is looked at.
    word: Vec<u8>,
    document: Document,
    largest: usize,
}

#[derive(Debug)]
struct Taken {
    depth: usize,
    limit: usize,
    text: Vec<u8>,
    named: Named,
    /// The last key of the object, and the last key of its metadata.
    keys: [Vec<u8>; 2],
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(LARGEST_OBJECT)
    }
}

impl Splitter {
    fn new(largest: usize) -> Self {
        Self {
            position: Position::Plain,
            depth: 0,
            is_value: false,
            field: Field::Other,
            in_items: false,
            taken: None,
            word: Vec::new(),
            document: Document::default(),
            largest,
        }
    }

    /// Takes the next bytes, and gives what they complete.
    ///
    /// # Errors
    /// The bytes are not a JSON object.
    pub fn push(&mut self, bytes: &[u8], mut done: impl FnMut(Parsed)) -> Result<(), NotAnObject> {
        // Up to where the value that is taken is copied.
        let (mut at, mut copied) = (0, 0);
        let part = |from, to| bytes.get(from..to).unwrap_or_default();
        while let Some(&byte) = bytes.get(at) {
            let rest = part(at, bytes.len());
            at += match self.position {
                Position::Plain if self.is_deep() => self.skip(rest),
                Position::Plain => {
                    if self.plain(byte, part(copied, at), &mut done)? {
                        copied = at;
                    }
                    1
                }
                Position::Escape => {
                    self.position = Position::String;
                    self.spell(&[byte]);
                    1
                }
                Position::String => self.string(rest),
            };
        }
        self.take(part(copied, bytes.len()));
        Ok(())
    }

    /// Whether the next byte is below everything that is looked at: the keys of a document, those of an
    /// object in it, and those of the object's metadata.
    fn is_deep(&self) -> bool {
        let taken = self.taken.as_ref();
        taken.is_some_and(|taken| self.depth > taken.depth + 2)
    }

    /// Passes over what is deep, up to its end or to the next string; how long that is.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    self.position = Position::String;
                    return at + 1;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if !self.is_deep() {
                        self.is_value = false;
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        bytes.len()
    }

    /// The inside of a string up to what ends or interrupts it; how long that is.
    fn string(&mut self, bytes: &[u8]) -> usize {
        let end = memchr2(b'"', b'\\', bytes);
        let inside = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
        self.spell(inside);
        let Some(end) = end else {
            return bytes.len();
        };
        if bytes.get(end) == Some(&b'\\') {
            self.spell(b"\\");
            self.position = Position::Escape;
        } else {
            self.position = Position::Plain;
            self.spelled();
        }
        end + 1
    }

    /// A byte outside of strings, after those of a taken value that are not copied yet. Returns whether it
    /// begins a value that is taken.
    fn plain(
        &mut self,
        byte: u8,
        uncopied: &[u8],
        done: &mut impl FnMut(Parsed),
    ) -> Result<bool, NotAnObject> {
        if byte.is_ascii_whitespace() {
            return Ok(false);
        }
        if self.depth == 0 {
            if byte != b'{' {
                return Err(NotAnObject(byte));
            }
            self.depth = 1;
            self.is_value = false;
            return Ok(false);
        }
        let is_end = matches!(byte, b',' | b'}' | b']');
        let level = if self.in_items { 2 } else { 1 };
        let begins = if is_end && self.depth == level {
            self.take(uncopied);
            self.finish(done);
            false
        } else {
            self.begin(byte, level)
        };
        match byte {
            b'{' | b'[' => {
                self.in_items |= byte == b'[' && self.depth == 1 && self.field == Field::Items;
                self.depth += 1;
                self.is_value = false;
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.is_value = false;
                if self.depth == 1 {
                    self.in_items = false;
                } else if self.depth == 0 {
                    done(Parsed::Document(std::mem::take(&mut self.document)));
                    self.field = Field::Other;
                }
            }
            b'"' => {
                self.position = Position::String;
                self.word.clear();
            }
            b':' => self.is_value = true,
            b',' => {
                self.is_value = false;
                if self.depth == 1 {
                    self.field = Field::Other;
                }
            }
            _ => {}
        }
        Ok(begins)
    }

    /// Begins to take a value that is wanted; whether it does.
    fn begin(&mut self, byte: u8, level: usize) -> bool {
        if self.taken.is_some() || self.depth != level {
            return false;
        }
        let limit = match (self.in_items, self.field) {
            (true, _) | (false, Field::Object) => self.largest,
            (false, Field::Metadata | Field::Event) => LONGEST_FIELD,
            (false, Field::Items | Field::Other) => return false,
        };
        // The key comes before its colon, and the value after it.
        let begins = self.in_items || (self.is_value && byte != b':');
        if begins {
            self.taken = Some(Taken {
                depth: level,
                limit,
                text: Vec::new(),
                named: Named::default(),
                keys: Default::default(),
            });
        }
        begins
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(taken) = &mut self.taken else { return };
        taken.named.bytes += bytes.len();
        if taken.named.bytes <= taken.limit {
            taken.text.extend_from_slice(bytes);
        } else {
            taken.text = Vec::new();
        }
    }

    /// The value that was taken, if any, is over.
    fn finish(&mut self, done: &mut impl FnMut(Parsed)) {
        let Some(Taken {
            limit,
            mut text,
            named,
            ..
        }) = self.taken.take()
        else {
            return;
        };
        let part = if named.bytes > limit {
            Part::TooLarge(named)
        } else {
            // Without the white space before the next comma.
            text.truncate(text.trim_ascii_end().len());
            Part::Whole(text)
        };
        if self.in_items {
            done(Parsed::Item(part));
            return;
        }
        match (self.field, part) {
            (Field::Object, part) => self.document.object = Some(part),
            (Field::Metadata, Part::Whole(text)) => self.document.metadata = text,
            (Field::Event, Part::Whole(text)) => self.document.event = text,
            _ => {}
        }
    }

    /// More of a string, where it is one that is looked at.
    fn spell(&mut self, bytes: &[u8]) {
        let is_shallow = match &self.taken {
            Some(taken) => self.depth <= taken.depth + 2,
            None => self.depth == 1,
        };
        if is_shallow {
            // Cut off where it is longer than any that is looked for.
            let room = (LONGEST_WORD + 1).saturating_sub(self.word.len());
            let kept = bytes.get(..room).unwrap_or(bytes);
            self.word.extend_from_slice(kept);
        }
    }

    /// A string is over.
    fn spelled(&mut self) {
        let Some(taken) = &mut self.taken else {
            if self.depth == 1 && !self.is_value {
                self.field = match self.word.as_slice() {
                    b"metadata" => Field::Metadata,
                    b"type" => Field::Event,
                    b"object" => Field::Object,
                    b"items" => Field::Items,
                    _ => Field::Other,
                };
            }
            return;
        };
        let Some(within) = self.depth.checked_sub(taken.depth + 1) else {
            return;
        };
        if !self.is_value {
            if let Some(key) = taken.keys.get_mut(within) {
                key.clone_from(&self.word);
            }
            return;
        }
        if within != 1 || taken.keys[0] != b"metadata" {
            return;
        }
        let field = match taken.keys[1].as_slice() {
            b"name" => &mut taken.named.name,
            b"namespace" => &mut taken.named.namespace,
            b"resourceVersion" => &mut taken.named.resource_version,
            _ => return,
        };
        *field = String::from_utf8_lossy(&self.word).into_owned();
    }
}

#[cfg(test)]
mod tests;
