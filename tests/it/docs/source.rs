//! A small reader of Rust source: the string literals and log macros of what runs in production.

use std::collections::BTreeMap;
use std::fs;

use super::files;

/// A piece of source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// A message that the log can have, with `…` where the program puts in a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogLine {
    pub(super) level: String,
    pub(super) message: String,
    pub(super) file: String,
}

/// The tokens of every file of the program and its crates, by file, without their tests.
pub(super) fn production() -> BTreeMap<String, Vec<Token>> {
    let mut all = BTreeMap::new();
    for folder in ["src", "crates"] {
        for file in files(folder, ".rs") {
            let path = file.strip_prefix(super::root()).unwrap();
            let is_test = path.components().any(|part| {
                ["tests", "tests.rs", "examples", "benches"]
                    .iter()
                    .any(|name| part.as_os_str() == *name)
            });
            if !is_test {
                let tokens = without_tests(&tokens(&fs::read_to_string(&file).unwrap()));
                all.insert(path.display().to_string(), tokens);
            }
        }
    }
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// Every message at info, warn and error.
pub(super) fn log_lines(files: &BTreeMap<String, Vec<Token>>) -> Vec<LogLine> {
    let constants = constants(files);
    let mut lines = Vec::new();
    for (file, tokens) in files {
        for (at, window) in tokens.windows(3).enumerate() {
            let [Token::Word(name), Token::Sign('!'), Token::Sign('(')] = window else {
                continue;
            };
            if ["info", "warn", "error"].contains(&name.as_str())
                && let Some(message) = message(&tokens[at + 3..])
            {
                lines.push(LogLine {
                    level: name.clone(),
                    message: with_holes(message, &constants),
                    file: file.clone(),
                });
            }
        }
    }
    assert!(lines.len() > 30, "{lines:?}");
    lines
}

/// Every string literal, with `…` where a format has a hole.
pub(super) fn texts(files: &BTreeMap<String, Vec<Token>>) -> Vec<String> {
    let constants = constants(files);
    files
        .values()
        .flatten()
        .filter_map(|token| match token {
            Token::Text(text) => Some(with_holes(text, &constants)),
            _ => None,
        })
        .collect()
}

/// The format of a log macro: the first of its arguments that is a text.
fn message(tokens: &[Token]) -> Option<&str> {
    let mut depth = 0;
    let mut is_first = true;
    for token in tokens {
        match token {
            Token::Text(text) if depth == 0 && is_first => return Some(text),
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') if depth == 0 => return None,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        is_first = depth == 0 && *token == Token::Sign(',');
    }
    None
}

/// The values of `const NAME: &str = "…";`.
fn constants(files: &BTreeMap<String, Vec<Token>>) -> BTreeMap<String, String> {
    let mut constants = BTreeMap::new();
    for tokens in files.values() {
        for window in tokens.windows(7) {
            if let [
                Token::Word(keyword),
                Token::Word(name),
                Token::Sign(':'),
                Token::Sign('&'),
                Token::Word(_),
                Token::Sign('='),
                Token::Text(value),
            ] = window
                && keyword == "const"
            {
                constants.insert(name.clone(), value.clone());
            }
        }
    }
    constants
}

fn with_holes(format: &str, constants: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
        } else if let Some((name, after)) = rest.split_once('}') {
            let name = name.split(':').next().unwrap_or_default();
            text.push_str(constants.get(name).map_or("…", String::as_str));
            rest = after;
        }
    }
    text + rest
}

/// Leaves out `#[cfg(test)]` with the item after it.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let sign = Token::Sign;
    let word = |text: &str| Token::Word(text.to_owned());
    let marker = [
        sign('#'),
        sign('['),
        word("cfg"),
        sign('('),
        word("test"),
        sign(')'),
        sign(']'),
    ];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        if rest.starts_with(&marker) {
            let mut depth = 0;
            let end = rest.iter().position(|token| {
                match token {
                    Token::Sign('{') => depth += 1,
                    Token::Sign('}') => depth -= 1,
                    _ => {}
                }
                depth == 0 && matches!(token, Token::Sign(';' | '}'))
            });
            rest = end.map_or(&[], |end| &rest[end + 1..]);
        } else {
            kept.push(first.clone());
            rest = after;
        }
    }
    kept
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        if c == '/' && next == Some('/') {
            while chars.get(at).is_some_and(|c| *c != '\n') {
                at += 1;
            }
        } else if c == '"' {
            let (text, end) = text(&chars, at + 1);
            tokens.push(Token::Text(text));
            at = end;
        } else if c == 'r' && raw_hashes(&chars, at + 1).is_some() {
            let hashes = raw_hashes(&chars, at + 1).unwrap_or_default();
            let begin = at + 2 + hashes;
            let close: Vec<char> = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            let length = chars[begin..]
                .windows(close.len())
                .position(|window| window == close)
                .unwrap();
            tokens.push(Token::Text(chars[begin..begin + length].iter().collect()));
            at = begin + length + close.len();
        } else if c == '\'' {
            // A character, or a lifetime.
            at += match (next, chars.get(at + 2)) {
                (Some('\\'), _) => {
                    let close = chars[at + 3..].iter().position(|c| *c == '\'').unwrap();
                    close + 4
                }
                (_, Some('\'')) => 3,
                _ => 1,
            };
        } else if c.is_alphabetic() || c == '_' {
            let word: String = chars[at..]
                .iter()
                .take_while(|c| c.is_alphanumeric() || **c == '_')
                .collect();
            at += word.chars().count();
            tokens.push(Token::Word(word));
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Sign(c));
            }
            at += 1;
        }
    }
    tokens
}

/// A string literal from after its first quote, and where it ends.
fn text(chars: &[char], mut at: usize) -> (String, usize) {
    let mut text = String::new();
    while chars[at] != '"' {
        if chars[at] != '\\' {
            text.push(chars[at]);
            at += 1;
            continue;
        }
        at += 1;
        match chars[at] {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            // A line that goes on.
            '\n' => {
                while chars[at + 1].is_whitespace() {
                    at += 1;
                }
            }
            other => text.push(other),
        }
        at += 1;
    }
    (text, at + 1)
}

/// How many hashes a raw string that begins here has before its quote.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + hashes) == Some(&'"')).then_some(hashes)
}

#[test]
fn log_macros_and_their_messages_are_found() {
    let source = r#"
        const NAME: &str = "OVNChassisReady"; // "no"
        fn f<'a>(x: &'a str) { let c = '"'; let d = '\''; tracing::warn!(x, "{NAME}: {} {{y}}", 1); }
        fn g() { error!(target: "berth", a = f("no"), "last {x:?}") }
        #[cfg(test)]
        mod tests { fn h() { info!("no"); } }
        fn i() { info!(%x, "after"); }
    "#;
    let files = BTreeMap::from([("a.rs".to_owned(), without_tests(&tokens(source)))]);
    let constants = constants(&files);
    let found: Vec<String> = files["a.rs"]
        .windows(2)
        .enumerate()
        .filter(|(_, window)| window == &[Token::Sign('!'), Token::Sign('(')])
        .filter_map(|(at, _)| message(&files["a.rs"][at + 2..]))
        .map(|text| with_holes(text, &constants))
        .collect();
    assert_eq!(found, ["OVNChassisReady: … {y}", "last …", "after"]);
}
