//! A process of a program, held by its process id and ended with its holder, and its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Log,
}

impl Process {
    /// Starts a program whose output goes to the end of a log in `logs`.
    pub(crate) fn start(name: &str, mut command: Command, logs: &Path) -> Self {
        let path = logs.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        let begin = file.metadata().unwrap().len();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        Self {
            name: name.to_owned(),
            child,
            log: Log { path, begin },
        }
    }

    /// What this process has written.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Fails when it has ended by itself.
    pub(crate) fn check(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} has ended: {status}\n{}", self.name, self.log.tail(10));
        }
    }

    /// Ends it as a crash does.
    pub(crate) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for it to end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait::until(&what, || {
            let status = self.child.try_wait().unwrap();
            status.ok_or_else(|| "it still runs".to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a process writes.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    begin: u64,
}

impl Log {
    /// All of it until now.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap();
        let begin = usize::try_from(self.begin).unwrap();
        String::from_utf8_lossy(&bytes[begin..]).into_owned()
    }

    /// The last lines.
    pub(crate) fn tail(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// The lines that contain `text`.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }
}
