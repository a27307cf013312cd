//! Logs: to standard error, for people or as JSON. A line never fails or holds up the code that
//! logs it, and text of others in it can't pass for another line.

mod format;
mod lines;

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};
use crate::escape::Escaped;
use crate::metrics::Registry;
use crate::telemetry::format::{HumanFields, JsonLine};
use crate::telemetry::lines::Lines;

/// What fails in kube comes to berth, which says it once and in its own words.
const QUIET: &str = "kube_client";

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log of the process, which has one standard error.
static BEGUN: OnceLock<Begun> = OnceLock::new();

#[derive(Debug)]
struct Begun {
    lines: Lines,
    format: LogFormat,
}

/// Begins to log. A second call changes nothing.
///
/// # Errors
/// The system refuses a thread, or a second handle of standard error.
pub fn init(log: &Log) -> io::Result<()> {
    if BEGUN.get().is_some() {
        return Ok(());
    }
    let lines = Lines::write_to(stderr()?)?;
    let Log { format, level } = log;
    let begun = Begun {
        lines: lines.clone(),
        format: *format,
    };
    if BEGUN.set(begun).is_err() {
        return Ok(());
    }
    // A level for the same target in the configuration replaces this one.
    let targets = Targets::new()
        .with_target(QUIET, LevelFilter::OFF)
        .with_targets(level.targets().iter())
        .with_default(level.targets().default_level().unwrap_or(LevelFilter::OFF));
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .log_internal_errors(false)
        .with_writer(lines);
    let is_terminal = io::stderr().is_terminal();
    let for_people = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let begun = if for_people {
        let [no_color, term] = ["NO_COLOR", "TERM"].map(env::var_os);
        builder
            .with_ansi(has_colours(
                is_terminal,
                no_color.as_deref(),
                term.as_deref(),
            ))
            .fmt_fields(HumanFields)
            .finish()
            .with(targets)
            .try_init()
    } else {
        builder
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine::default())
            .finish()
            .with(targets)
            .try_init()
    };
    // The only error is that something logs already, as in a test.
    drop(begun);
    Ok(())
}

/// Logs panics. The standard hook writes to standard error itself, and blocks where nothing reads it.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked: {message}");
    }));
}

/// Registers the metrics of the log.
///
/// # Errors
/// As the methods of [`Registry`].
pub fn register_metrics(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.counter_fn(
        "berth_log_lines_dropped_total",
        "Log lines that standard error did not take, or not fast enough.",
        || BEGUN.get().map_or(0, |begun| begun.lines.dropped()),
    )
}

/// Writes why the process ends, at any log level: as an object where the log, or else the
/// caller, wants JSON by name, and in a line of text otherwise. Returns once it is written, or soon.
pub fn fatal(message: &str, format: Option<LogFormat>) {
    let begun = BEGUN.get();
    let message = one_line(message);
    let line = match begun.map(|begun| begun.format).or(format) {
        Some(LogFormat::Json) => json_error(message.strip_prefix("error: ").unwrap_or(&message)),
        _ => format!("{message}\n"),
    };
    last(&line);
}

/// Writes a line about something that is not as it should be, for a person who runs a command.
pub fn warn(message: &str) {
    last(&format!("warning: {}\n", one_line(message)));
}

/// Writes to standard error at once.
fn last(line: &str) {
    let lines = match BEGUN.get() {
        Some(begun) => Ok(begun.lines.clone()),
        None => stderr().and_then(Lines::write_to),
    };
    // Without a way to standard error there is no other place to say it.
    if let Ok(lines) = lines {
        lines.push(line.as_bytes());
        lines.flush(LAST_LINES);
    }
}

/// Waits until the last lines are written, but not for long where nothing reads them.
pub fn finish() {
    if let Some(begun) = BEGUN.get() {
        begun.lines.flush(LAST_LINES);
    }
}

/// Standard error without the lock of Rust's own handle, on which a blocked writer would hold up
/// others.
fn stderr() -> io::Result<fs::File> {
    use std::os::fd::AsFd as _;
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    Ok(fs::File::from(stderr))
}

/// <https://no-color.org>, and terminals that know no escape sequences.
fn has_colours(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    Escaped(words.join(" ")).to_string()
}

/// An error as the log has it, through the same formatter.
fn json_error(message: &str) -> String {
    let lines = Lines::kept();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::ERROR)
        .log_internal_errors(false)
        .with_writer(lines.clone())
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine::default())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(target: "berth", "{message}");
    });
    lines.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_that_has_them_and_a_user_who_wants_them() {
        for (is_terminal, no_color, term, expect) in [
            (true, None, Some("xterm-256color"), true),
            (true, None, None, true),
            (true, Some(""), Some("xterm"), true),
            (true, Some("1"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm"), false),
        ] {
            let [no_color, term] = [no_color, term].map(|text| text.map(OsStr::new));
            let colours = has_colours(is_terminal, no_color, term);
            assert_eq!(colours, expect, "{is_terminal} {no_color:?} {term:?}");
        }
    }

    #[test]
    fn a_fatal_error_in_json_is_one_object_with_the_fields_of_every_line() {
        let line = json_error("--config a\u{9b}b: no such \"file\"");
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["target"], "berth");
        assert_eq!(line["message"], "--config a\u{9b}b: no such \"file\"");
        assert!(line["timestamp"].is_string());
    }
}
