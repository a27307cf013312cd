//! Shortens and escapes untrusted text for people, so that it fits on one line and a terminal or a
//! log does not interpret it.

use std::fmt::{self, Display, Write};

use crate::escape::is_control;

/// The longest quotation of untrusted text in an answer or a log line, in characters.
pub const LONGEST_TEXT: usize = 400;

/// The longest name that Kubernetes gives an object, in characters.
pub const LONGEST_NAME: usize = 253;

/// A text with its control characters escaped, of at most so many characters; what is cut off is
/// marked by `…`. No more of the text is written than is kept.
#[must_use]
pub fn shorten(text: impl Display, longest: usize) -> String {
    let mut shortened = Shortened {
        text: String::new(),
        length: 0,
        room: longest,
        cut: 0,
    };
    if write!(shortened, "{text}").is_err() {
        shortened.text.truncate(shortened.cut);
        shortened.text.push('…');
    }
    shortened.text
}

/// From 0 to 1. A little more than clap asks of a flag: short names resemble each other.
const ALIKE: f64 = 0.8;

/// The known word that is closest to this one, where one is close.
#[must_use]
pub fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let likeness = |known: &str| strsim::jaro(&word, &known.to_lowercase());
    let closest = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(closest) > ALIKE).then_some(*closest)
}

/// ` (did you mean …?)` where one of the known words is close to this one, else nothing.
#[must_use]
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    closest(word, known).map_or_else(String::new, |word| format!(" (did you mean {word}?)"))
}

struct Shortened {
    text: String,
    length: usize,
    room: usize,
    /// Where to cut: the last place that leaves room for the mark.
    cut: usize,
}

impl Shortened {
    fn push(&mut self, shown: impl ExactSizeIterator<Item = char>) -> fmt::Result {
        self.length += shown.len();
        if self.length > self.room {
            return Err(fmt::Error);
        }
        self.text.extend(shown);
        if self.length < self.room {
            self.cut = self.text.len();
        }
        Ok(())
    }
}

impl Write for Shortened {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if is_control(c) {
                self.push(c.escape_default())
            } else {
                self.push(std::iter::once(c))
            }
        })
    }
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
    fn a_control_character_is_escaped_whole_or_cut_off() {
        for (text, longest, expect) in [
            ("a\nb", 4, "a\\nb"),
            ("a\nb", 3, "a…"),
            ("ab\u{1b}[2J", 12, "ab\\u{1b}[2J"),
            ("ab\u{1b}[2J", 8, "ab…"),
            ("\u{202e}\u{2028}\u{85}", 30, "\\u{202e}\\u{2028}\\u{85}"),
        ] {
            assert_eq!(shorten(text, longest), expect, "{text:?} {longest}");
        }
    }

    #[test]
    fn what_is_cut_off_is_not_even_written() {
        struct Endless;

        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("x")?;
                }
            }
        }

        assert_eq!(shorten(Endless, 3), "xx…");
    }
}
