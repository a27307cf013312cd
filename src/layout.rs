//! Text for people: lines that fit the terminal, tables, counts and colours. Styles are written as ANSI
//! sequences; what prints the text removes them where the output is not a terminal.

use std::borrow::Cow;
use std::env;
use std::fmt::{Arguments, Write as _};
use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::text::{LONGEST_NAME, shorten};

/// How texts call the program.
const NAME: &str = "berth";

/// How a command begins in a text.
const COMMAND: &str = "`berth ";

/// The columns of an output that has no width.
const COLUMNS: usize = 100;

/// The fewest columns that text is broken for.
const FEWEST_COLUMNS: usize = 40;

/// The least columns for the text in the last column of a table.
const NARROWEST: usize = 24;

pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const PLAIN: Style = Style::new();

/// How the text is written.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Every node, and no end to a line.
    pub is_wide: bool,
    /// The columns of the terminal.
    pub width: usize,
    /// Whether a table that programs read as well breaks its rows at this width.
    pub breaks_rows: bool,
    /// How the command is called, such as `kubectl berth`.
    pub program: &'static str,
}

impl Layout {
    /// That of standard output.
    #[must_use]
    pub fn current(program: &'static str) -> Self {
        let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let variable = env::var("COLUMNS").ok();
        let variable = columns_of(variable.as_deref());
        let width = terminal.filter(|width| *width > 0).or(variable);
        Self {
            width: width.unwrap_or(COLUMNS).max(FEWEST_COLUMNS),
            breaks_rows: io::stdout().is_terminal() || variable.is_some(),
            ..Self::plain(program)
        }
    }

    /// That of an output of which nothing is known.
    #[must_use]
    pub const fn plain(program: &'static str) -> Self {
        Self {
            is_wide: false,
            width: COLUMNS,
            breaks_rows: false,
            program,
        }
    }

    /// A text that names commands, with the name by which the program was called.
    #[must_use]
    pub fn called<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.program == NAME || !text.contains(COMMAND) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace(COMMAND, &format!("`{} ", self.program)))
    }
}

/// The columns in the variable `COLUMNS`, where it has a number of them.
fn columns_of(variable: Option<&str>) -> Option<usize> {
    let columns = variable?.trim().parse().ok();
    columns.filter(|columns| *columns > 0)
}

/// Writing to a string does not fail.
pub(crate) fn put(out: &mut String, text: Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Ends a line with a text, which goes on in lines with this indentation where it does not fit.
pub(crate) fn put_wrapped(text: &str, indentation: usize, layout: Layout, out: &mut String) {
    let room = layout.width.saturating_sub(indentation);
    let room = if layout.is_wide { usize::MAX } else { room };
    for (number, line) in wrap(&layout.called(text), room).into_iter().enumerate() {
        let indentation = if number == 0 { 0 } else { indentation };
        put(out, format_args!("{:indentation$}{line}\n", ""));
    }
}

/// A text in lines of its own, each with this indentation and in this style.
pub(crate) fn put_paragraph(
    text: &str,
    indentation: usize,
    style: Style,
    layout: Layout,
    out: &mut String,
) {
    let room = layout.width.saturating_sub(indentation);
    for line in wrap(&layout.called(text), room) {
        put(
            out,
            format_args!("{:indentation$}{style}{line}{style:#}\n", ""),
        );
    }
}

/// The lines of a text, broken between words so that they fit where a word does.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
            } else if line.chars().count() + 1 + word.chars().count() <= width {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}

/// Rows under a head, in columns. With a width, the text in the last column is broken so that the rows fit, or
/// put below them where it would be too narrow. The other columns have names, which stay whole.
pub(crate) fn columns(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<usize>,
) -> String {
    let head = (!head.is_empty()).then(|| head.iter().map(|&cell| cell.to_owned()).collect());
    let mut rows: Vec<Vec<String>> = head.into_iter().chain(rows).collect();
    let Some(width) = width else {
        return table(rows);
    };
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    // A row may have fewer cells.
    let last = |row: &mut Vec<String>| (row.len() == count).then(|| row.pop()).flatten();
    let texts: Vec<String> = rows
        .iter_mut()
        .map(|row| last(row).unwrap_or_default())
        .collect();
    let table = table(rows);
    let length = |text: &str| text.chars().count();
    let start = table.lines().map(length).max().unwrap_or_default() + 2;
    let room = width.saturating_sub(start);
    let is_below = room < NARROWEST && texts.iter().any(|text| length(text) > room);
    let mut out = String::new();
    for (line, text) in table.lines().zip(texts) {
        if is_below {
            put(&mut out, format_args!("{line}\n"));
            if !text.is_empty() {
                for text in wrap(&text, width.saturating_sub(4)) {
                    put(&mut out, format_args!("    {text}\n"));
                }
            }
            continue;
        }
        for (number, text) in wrap(&text, room).into_iter().enumerate() {
            let line = if number == 0 { line } else { "" };
            let row = format!("{line:start$}{text}");
            put(&mut out, format_args!("{}\n", row.trim_end()));
        }
    }
    out
}

/// Rows in columns, each in one line.
fn table(rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.add_rows(rows);
    table.load_style(NOTHING);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// A name, which comes from the cluster or from a file.
pub(crate) fn shown_name(name: &str) -> String {
    shorten(name, LONGEST_NAME)
}

/// `: 2 ok, 1 blocked`: the counts that are not zero; empty where all are.
pub(crate) fn counts(parts: &[(usize, &str)]) -> String {
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    }
}

/// A count of things.
#[must_use]
pub fn plural(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_no_number_or_none_are_as_if_they_were_not_set() {
        for (variable, expect) in [
            (None, None),
            (Some(""), None),
            (Some("0"), None),
            (Some("-3"), None),
            (Some("wide"), None),
            (Some("1"), Some(1)),
            (Some(" 60 "), Some(60)),
        ] {
            assert_eq!(columns_of(variable), expect, "{variable:?}");
        }
    }

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_stays_whole() {
        for (text, width, expect) in [
            ("", 5, vec![""]),
            ("a b c", 3, vec!["a b", "c"]),
            ("abcdef gh", 3, vec!["abcdef", "gh"]),
            ("√√ ‼‼", 5, vec!["√√ ‼‼"]),
        ] {
            assert_eq!(wrap(text, width), expect, "{text:?} {width}");
        }
    }

    #[test]
    fn the_last_column_is_broken_or_put_below() {
        let rows = || {
            let row = |row: &[&str]| row.iter().map(|&cell| cell.to_owned()).collect();
            [
                row(&["default/web", "ok", "one two three four five six"]),
                row(&["default/legacy", "blocked", ""]),
                row(&["and 3 more"]),
            ]
        };
        let head = ["VM", "VERDICT", "CODES"];
        let whole = "VM              VERDICT  CODES\n\
                     default/web     ok       one two three four five six\n\
                     default/legacy  blocked\n\
                     and 3 more\n";
        assert_eq!(columns(&head, rows(), None), whole);
        assert_eq!(columns(&head, rows(), Some(60)), whole);
        assert_eq!(
            columns(&head, rows(), Some(50)),
            "VM              VERDICT  CODES\n\
             default/web     ok       one two three four five\n\
             \x20                        six\n\
             default/legacy  blocked\n\
             and 3 more\n"
        );
        assert_eq!(
            columns(&head, rows(), Some(30)),
            "VM              VERDICT\n    CODES\n\
             default/web     ok\n    one two three four five\n    six\n\
             default/legacy  blocked\n\
             and 3 more\n"
        );
        assert_eq!(columns(&[], Vec::new(), Some(30)), "");
    }

    #[test]
    fn a_text_calls_the_program_as_the_person_did() {
        let text = "`berth check` and berth's webhook";
        assert_eq!(Layout::plain("berth").called(text), text);
        let plugin = Layout::plain("kubectl berth");
        let expect = "`kubectl berth check` and berth's webhook";
        assert_eq!(plugin.called(text), expect);
    }

    #[test]
    fn lines_after_the_first_are_indented() {
        let layout = Layout {
            width: 8,
            ..Layout::plain("berth")
        };
        let mut out = "  - ".to_owned();
        put_wrapped("one two", 4, layout, &mut out);
        put_paragraph("one two", 2, PLAIN, layout, &mut out);
        assert_eq!(out, "  - one\n    two\n  one\n  two\n");
        let wide = Layout {
            is_wide: true,
            ..layout
        };
        out.clear();
        put_wrapped("one two", 4, wide, &mut out);
        assert_eq!(out, "one two\n");
    }
}
