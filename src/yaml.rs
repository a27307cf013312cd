//! Text files that people write: reading one, and what is wrong with its YAML in words for its author.

use std::fs;
use std::io;
use std::path::Path;

use serde_saphyr::Error;

/// What Windows puts before UTF-8, and JSON has no place for.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a text file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    fs::read(path).and_then(decode)
}

/// Text from bytes, with a reason that helps where they are not UTF-8.
pub(crate) fn decode(bytes: Vec<u8>) -> io::Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "not UTF-8 text (> in Windows PowerShell writes UTF-16)",
        )
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

/// What is wrong with a text that is not YAML, and where. The parser's own words describe its state, not
/// the mistake.
pub(crate) fn fault(text: &str, error: &Error) -> String {
    let error = error.without_snippet();
    let position = error.location().map(|at| (at.line(), at.column()));
    let what = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {key:?} is there twice")
        }
        Error::DuplicateMappingKey { key: None, .. } => "a key is there twice".to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second document begins, and one is expected".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "an alias (*NAME) has no anchor (&NAME) before it".to_owned()
        }
        Error::UnsupportedTag { tag, .. } => format!("the tag {tag:?} means nothing here"),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "it is too large or too deeply nested".to_owned()
        }
        Error::Unexpected { expected, .. } if expected.contains("sequence") => {
            "a list is expected".to_owned()
        }
        Error::Unexpected { expected, .. } if expected.contains("mapping") => {
            "a map of fields is expected".to_owned()
        }
        Error::Unexpected { expected, .. } if expected.contains("scalar") => {
            "a single value is expected".to_owned()
        }
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => format!("{unexpected} stands where {expected} is expected"),
        Error::SerdeUnknownField { field, .. } => format!("unknown field {field:?}"),
        Error::SerdeMissingField { field, .. } => format!("the field {field:?} is missing"),
        _ if position.is_some_and(|(line, _)| is_indented_by_tab(text, line)) => {
            "a tab is in the indentation, where YAML takes spaces alone".to_owned()
        }
        _ => "check indentation, quotes, brackets and colons there and just before".to_owned(),
    };
    match position {
        Some((line, column)) => format!("line {line}, column {column}: {what}"),
        None => what,
    }
}

fn is_indented_by_tab(text: &str, line: u64) -> bool {
    let number = usize::try_from(line).unwrap_or(usize::MAX);
    // The parser may be past the line that it can't read.
    text.lines()
        .take(number)
        .skip(number.saturating_sub(2))
        .any(|line| line.trim_start_matches(' ').starts_with('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_windows_is_read_or_refused_in_words() {
        assert_eq!(decode(b"\xef\xbb\xbf{}".to_vec()).unwrap(), "{}");
        assert_eq!(decode(b"{}".to_vec()).unwrap(), "{}");
        let error = decode(b"\xff\xfe{\0}\0".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not UTF-8 text (> in Windows PowerShell writes UTF-16)"
        );
    }
}
