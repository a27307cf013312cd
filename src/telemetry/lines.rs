//! Lines on their way to standard error: taken at once or dropped, and written by a thread of their
//! own.
//!
//! `tracing-appender` 0.2.5 does nearly this, but bounds lines and not bytes, does not count lines
//! that can't be written, and prints to standard output, which panics, where its thread hangs.

use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait for the writer, besides as many that it is writing.
const CAPACITY: usize = 1 << 20;

/// What a buffer keeps of its memory when it is empty.
const KEPT: usize = 64 << 10;

/// How often the log says how many lines it lacks.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// The writing end; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There are lines to write.
    filled: Condvar,
    /// All of them are written.
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    is_writing: bool,
}

impl Lines {
    /// Begins a thread that writes to `sink`.
    pub(super) fn write_to(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::kept();
        let shared = Arc::clone(&lines.0);
        let writer = Writer {
            sink,
            is_torn: false,
            reported: 0,
            last_report: None,
        };
        thread::Builder::new()
            .name("berth-log".to_owned())
            .spawn(move || writer.run(&shared))?;
        Ok(lines)
    }

    /// Lines that nothing writes.
    pub(super) fn kept() -> Self {
        Self(Arc::default())
    }

    /// Takes a line, or counts it as dropped where too much waits already.
    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.0.lock();
        if queue.lines.len() + line.len() > CAPACITY {
            drop(queue);
            self.0.dropped.fetch_add(1, Relaxed);
            return;
        }
        queue.lines.extend_from_slice(line);
        drop(queue);
        self.0.filled.notify_one();
    }

    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Waits until everything is written, or for so long.
    pub(super) fn flush(&self, patience: Duration) {
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        let emptied = &self.0.emptied;
        drop(emptied.wait_timeout_while(self.0.lock(), patience, is_busy));
    }

    /// The lines that wait.
    pub(super) fn take(&self) -> String {
        let lines = std::mem::take(&mut self.0.lock().lines);
        String::from_utf8_lossy(&lines).into_owned()
    }
}

impl Shared {
    /// Waits for lines and swaps them for the empty buffer.
    fn next_lines(&self, lines: &mut Vec<u8>) {
        let mut queue = self.lock();
        queue.is_writing = false;
        if queue.lines.is_empty() {
            self.emptied.notify_all();
        }
        let is_empty = |queue: &mut Queue| queue.lines.is_empty();
        let queue = self.filled.wait_while(queue, is_empty);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        queue.is_writing = true;
        std::mem::swap(&mut queue.lines, lines);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event is written as a whole, by one call.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The thread's side.
struct Writer<W> {
    sink: W,
    /// The last line was written in part.
    is_torn: bool,
    /// How many dropped lines the log has reported, and when it last did.
    reported: u64,
    last_report: Option<Instant>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, shared: &Shared) {
        let mut lines = Vec::new();
        loop {
            lines.clear();
            lines.shrink_to(KEPT);
            shared.next_lines(&mut lines);
            self.write(shared, &lines);
        }
    }

    fn write(&mut self, shared: &Shared, lines: &[u8]) {
        let mut failed = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if self.write_line(line).is_err() {
                failed += 1;
            }
        }
        let dropped = shared.dropped.fetch_add(failed, Relaxed) + failed;
        // While the queue is still full, the report waits for the next lines.
        if failed == 0 && shared.lock().lines.len() < CAPACITY / 2 {
            self.report(dropped);
        }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.sink.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Logs how many lines were dropped, once lines are written again.
    fn report(&mut self, dropped: u64) {
        let is_soon = self
            .last_report
            .is_some_and(|last| last.elapsed() < REPORT_PERIOD);
        if dropped == self.reported || is_soon {
            return;
        }
        let lines = dropped - self.reported;
        self.reported = dropped;
        self.last_report = Some(Instant::now());
        tracing::warn!(
            lines,
            "log lines were dropped: standard error did not take them, or not fast enough"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Writes as much at a time as the script says, and fails where the script says so.
    struct Script {
        steps: mpsc::Receiver<io::Result<usize>>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Script {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let most = self.steps.recv().unwrap_or(Ok(usize::MAX))?;
            let taken = most.min(text.len());
            let _ = self.written.send(text[..taken].to_vec());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn script() -> (
        Script,
        mpsc::Sender<io::Result<usize>>,
        mpsc::Receiver<Vec<u8>>,
    ) {
        let (script, steps) = mpsc::channel();
        let (written, output) = mpsc::channel();
        (Script { steps, written }, script, output)
    }

    fn text(output: &mpsc::Receiver<Vec<u8>>) -> String {
        String::from_utf8(output.try_iter().flatten().collect()).unwrap()
    }

    #[test]
    fn a_line_that_fails_is_counted_and_the_next_one_begins_on_a_line_of_its_own() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        let (sink, script, output) = script();
        let lines = Lines::write_to(sink).unwrap();
        for step in [Ok(5), Err(io::ErrorKind::Interrupted.into()), Ok(4)] {
            script.send(step).unwrap();
        }
        lines.push(b"one line\n");
        lines.flush(PATIENCE);
        assert_eq!((text(&output).as_str(), lines.dropped()), ("one line\n", 0));

        // Nothing of the second line, and half of the third.
        for step in [full(), Ok(3), full()] {
            script.send(step).unwrap();
        }
        lines.push(b"two\n");
        lines.flush(PATIENCE);
        lines.push(b"three\n");
        lines.flush(PATIENCE);
        assert_eq!((text(&output).as_str(), lines.dropped()), ("thr", 2));

        drop(script);
        lines.push(b"four\n");
        lines.flush(PATIENCE);
        assert_eq!((text(&output).as_str(), lines.dropped()), ("\nfour\n", 2));
    }

    #[test]
    fn where_nothing_is_taken_lines_are_kept_up_to_a_bound_and_then_dropped() {
        let (sink, script, output) = script();
        let lines = Lines::write_to(sink).unwrap();
        // The writer has it, and waits.
        lines.push(b"first\n");
        while !lines.0.lock().lines.is_empty() {
            thread::yield_now();
        }
        let line = [vec![b'x'; CAPACITY / 4 - 1], vec![b'\n']].concat();
        for _ in 0..6 {
            lines.push(&line);
        }
        assert_eq!(lines.dropped(), 2);
        lines.flush(Duration::ZERO);

        drop(script);
        lines.flush(PATIENCE);
        assert_eq!(text(&output).len(), "first\n".len() + CAPACITY);
        assert_eq!(lines.dropped(), 2);
    }
}
