//! kubectl, as people run it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::programs::Programs;

/// kubectl with a kubeconfig.
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Kubectl {
    pub(crate) fn new(programs: &Programs, kubeconfig: &Path, dir: &Path) -> Self {
        let home = dir.join("kubectl");
        fs::create_dir(&home).unwrap();
        Self {
            program: programs.command("kubectl").get_program().into(),
            kubeconfig: kubeconfig.to_owned(),
            home,
        }
    }

    /// Runs it with a text as its standard input.
    pub(crate) fn try_run(&self, args: &[&str], input: &str) -> Said {
        let mut child = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            // Where its caches go.
            .env("HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // It may end without reading all of it.
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            success: output.status.success(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    pub(crate) fn run(&self, args: &[&str], input: &str) -> Said {
        let said = self.try_run(args, input);
        assert!(said.success, "kubectl {args:?}: {}", said.err);
        said
    }

    /// Applies objects, as the only one who has a say in them.
    pub(crate) fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.run(&args, &list.to_string());
    }
}
