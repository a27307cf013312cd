//! Text from others, made safe to show: what moves a cursor, ends a line or turns the direction of
//! reading around is shown as an escape sequence, so that it can't pass for anything else.

use std::fmt::{self, Display, Formatter, Write};

/// Displays a value with each character that [`is_control`] as Rust writes it in a literal: `\n`,
/// `\u{1b}`. A backslash stays one, so that paths and quoted text read as they are.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(out) = self;
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, c)| is_control(*c)) {
            out.write_str(&rest[..at])?;
            write!(out, "{}", control.escape_default())?;
            rest = &rest[at + control.len_utf8()..];
        }
        out.write_str(rest)
    }
}

/// Whether a character acts on the terminal or the text around it: C0 and C1 controls, DEL, the
/// separators of lines and paragraphs, and what sets the direction of text.
#[must_use]
pub const fn is_control(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}' | '\u{200f}'
        | '\u{2028}' | '\u{2029}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_all_other_text_stays() {
        for (text, expect) in [
            ("", ""),
            ("default/web-1", "default/web-1"),
            ("größe 🛥 \\d", "größe 🛥 \\d"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("\u{1b}[2Jx\u{7f}", "\\u{1b}[2Jx\\u{7f}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            (
                "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}",
                "\\u{61c}\\u{200e}\\u{200f}\\u{202a}\\u{202e}\\u{2066}\\u{2069}",
            ),
        ] {
            assert_eq!(Escaped(text).to_string(), expect);
        }
    }
}
