//! How an answer is written: as text, or piece by piece as JSON or YAML, which may be much longer than all that it
//! is made of.

use std::io::{self, BufWriter, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde_saphyr::SerializeError;

use crate::args::fleet::{Output, PlanOutput};
use crate::layout::Layout;

/// The bytes that are written at once.
const PIECE: usize = 64 << 10;

/// What a command comes to, where its answer is short.
#[derive(Debug)]
pub struct Answer {
    /// The text for standard output.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

/// Why an answer was not written.
#[derive(Debug, thiserror::Error)]
#[error("standard output: {0}")]
pub struct WriteError(io::Error);

/// Writes a report in its format. `table` gets the layout of the format.
pub(crate) fn write_report(
    report: &impl Serialize,
    output: Output,
    layout: Layout,
    out: &mut dyn Write,
    table: impl FnOnce(Layout) -> String,
    short: impl FnOnce() -> String,
) -> Result<(), WriteError> {
    let wide = Layout {
        is_wide: true,
        ..layout
    };
    match output {
        Output::Table => write_text(&table(layout), out),
        Output::Wide => write_text(&table(wide), out),
        Output::Short => write_text(&short(), out),
        Output::Json => written(json(report, out)),
        Output::Yaml => written(yaml(report, out)),
    }
}

/// Writes the JSON Schema of a report.
pub(crate) fn write_schema<T: JsonSchema>(out: &mut dyn Write) -> Result<(), WriteError> {
    write_text(&format!("{:#}\n", schemars::schema_for!(T).to_value()), out)
}

/// Writes a text.
pub fn write_text(text: &str, out: &mut dyn Write) -> Result<(), WriteError> {
    written(out.write_all(text.as_bytes()))
}

/// Writes a plan or a report that has one text.
pub(crate) fn write_plan(
    plan: &impl Serialize,
    output: PlanOutput,
    out: &mut dyn Write,
    text: impl FnOnce() -> String,
) -> Result<(), WriteError> {
    match output {
        PlanOutput::Table => write_text(&text(), out),
        PlanOutput::Json => written(json(plan, out)),
        PlanOutput::Yaml => written(yaml(plan, out)),
    }
}

/// The same as a text, for an answer that is short.
pub(crate) fn print_plan(
    plan: &impl Serialize,
    output: PlanOutput,
    text: impl FnOnce() -> String,
) -> String {
    let mut out = Vec::new();
    // Strings, numbers and lists of them: nothing in a plan refuses to be written, and memory takes it.
    let _ = write_plan(plan, output, &mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(PIECE, Whole(out));
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn yaml(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(PIECE, Whole(out));
    serde_saphyr::to_io_writer(&mut out, value).map_err(|error| match error {
        SerializeError::IO { error } => error,
        error => io::Error::other(error),
    })?;
    out.flush()
}

/// Writes each piece whole: anstream, which removes styles, loses its place in a piece that is written in part.
struct Whole<'a>(&'a mut dyn Write);

impl Write for Whole<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A reader that has seen enough is no error.
fn written(done: io::Result<()>) -> Result<(), WriteError> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(WriteError(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, as a pipe may.
    #[derive(Default)]
    struct Pipe {
        taken: Vec<u8>,
        largest: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.largest = self.largest.max(bytes.len());
            let count = bytes.len().min(1 << 10);
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_in_pieces_is_what_is_written_at_once() {
        let names: Vec<String> = (0..20_000)
            .map(|at| format!("vm-{at}-ü√\u{1b}\n"))
            .collect();
        let report = serde_json::json!({"items": names, "none": [], "empty": {}});
        for (output, expect) in [
            (
                Output::Json,
                serde_json::to_string_pretty(&report).unwrap() + "\n",
            ),
            (Output::Yaml, serde_saphyr::to_string(&report).unwrap()),
        ] {
            let mut pipe = Pipe::default();
            let layout = Layout::plain("berth");
            let none = String::new;
            write_report(&report, output, layout, &mut pipe, |_| none(), none).unwrap();
            assert!(pipe.taken == expect.as_bytes(), "{output:?}");
            assert!(pipe.largest <= PIECE, "{output:?}: {}", pipe.largest);
            let mut plain = anstream::StripStream::new(Vec::new());
            write_report(&report, output, layout, &mut plain, |_| none(), none).unwrap();
            assert!(plain.into_inner() == expect.as_bytes(), "{output:?}");
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let write = |kind, output| {
            let layout = Layout::plain("berth");
            let none = String::new;
            let text = |_| "text".to_owned();
            write_report(&7, output, layout, &mut Broken(kind), text, none).is_ok()
        };
        for output in [Output::Table, Output::Json, Output::Yaml] {
            assert!(write(io::ErrorKind::BrokenPipe, output), "{output:?}");
            assert!(!write(io::ErrorKind::StorageFull, output), "{output:?}");
        }
    }
}
