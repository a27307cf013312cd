//! How an event becomes a line: controls in any text of it are escaped here, whatever the code that
//! logs it does.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::escape::{Escaped, is_control};

/// Message and fields for people, as tracing-subscriber writes them, but for the escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct HumanFields;

impl<'w> FormatFields<'w> for HumanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = HumanVisitor {
            writer,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct HumanVisitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl HumanVisitor<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        let value = Escaped(format_args!("{value:?}"));
        if name == "message" {
            return write!(self.writer, "{value}");
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.writer.has_ansi_escapes() {
            write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}")
        } else {
            write!(self.writer, "{name}={value}")
        }
    }
}

impl Visit for HumanVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // What `log` says of a record is in the line already.
        if self.result.is_ok() && !field.name().starts_with("log.") {
            self.result = self.write(field.name(), value);
        }
    }
}

/// An object a line. Its encoder escapes C0 controls, and leaves the others as they are.
#[derive(Debug)]
pub(super) struct JsonLine(Format<Json>);

impl Default for JsonLine {
    fn default() -> Self {
        Self(Format::default().json().flatten_event(true))
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut escaping = JsonEscaping(writer);
        self.0
            .format_event(context, Writer::new(&mut escaping), event)
    }
}

/// Text of JSON in which controls other than C0 are escaped: they are only ever part of a string.
struct JsonEscaping<'w>(Writer<'w>);

impl Write for JsonEscaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(out) = self;
        let mut rest = text;
        let is_escaped = |(_, c): &(usize, char)| *c > '\x1f' && is_control(*c);
        while let Some((at, control)) = rest.char_indices().find(is_escaped) {
            out.write_str(&rest[..at])?;
            write!(out, "\\u{:04x}", u32::from(control))?;
            rest = &rest[at + control.len_utf8()..];
        }
        out.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt;

    use super::*;
    use crate::telemetry::lines::Lines;

    /// Ends a line, begins one that looks like another, clears a terminal, turns text around.
    const FORGED: &str = "a\n2026-01-01T00:00:00Z ERROR berth: down\r\u{1b}[2J\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}";

    fn log_all(name: &str) {
        let error = std::io::Error::other(name.to_owned());
        let _span = tracing::error_span!("span", plain = name, display = %name).entered();
        tracing::error!(
            plain = name,
            debug = ?name,
            display = %name,
            %error,
            source = &error as &dyn std::error::Error,
            "the message {name}"
        );
    }

    fn human(is_ansi: bool) -> String {
        let lines = Lines::kept();
        let subscriber = fmt()
            .with_ansi(is_ansi)
            .with_writer(lines.clone())
            .fmt_fields(HumanFields)
            .finish();
        tracing::subscriber::with_default(subscriber, || log_all(FORGED));
        lines.take()
    }

    #[test]
    fn no_value_makes_a_line_or_an_escape_sequence_of_its_own_for_people() {
        let text = human(false);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(is_control), "{line:?}");
        let escaped = "a\\n2026-01-01T00:00:00Z ERROR berth: down\\r\\u{1b}[2J\\u{7f}\\u{85}\\u{9b}31m\\u{2028}\\u{2029}\\u{202e}\\u{2066}";
        for part in [
            format!("span{{plain=\"{escaped}\" display={escaped}}}: "),
            format!(": the message {escaped} plain=\"{escaped}\" debug=\"{escaped}\""),
            format!(" display={escaped} error={escaped} source={escaped}"),
        ] {
            assert!(line.contains(&part), "{part}\n{line}");
        }

        // Colours are berth's own.
        let text = human(true);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains("\u{1b}[2J"), "{text:?}");
        assert!(text.contains("\u{1b}[3mplain\u{1b}[0m"), "{text:?}");
    }

    #[test]
    fn no_value_makes_a_line_or_an_escape_sequence_of_its_own_in_json() {
        let lines = Lines::kept();
        let subscriber = fmt()
            .with_writer(lines.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine::default())
            .finish();
        tracing::subscriber::with_default(subscriber, || log_all(FORGED));
        let text = lines.take();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(is_control), "{line:?}");
        // What is decoded is what was logged.
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], format!("the message {FORGED}"));
        assert_eq!(line["plain"], FORGED);
        assert_eq!(line["display"], FORGED);
    }
}
