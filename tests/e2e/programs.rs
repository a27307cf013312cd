//! The programs of the control plane, and the one that is tested.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder with the programs, as envtest names it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Where the control plane's programs are.
#[derive(Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    const NAMES: [&str; 4] = ["etcd", "kube-apiserver", "kube-scheduler", "kubectl"];

    /// Finds them, or says what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let hint = "`make e2e` says where they come from";
        let dir = env::var_os(ASSETS)
            .filter(|dir| !dir.is_empty())
            .ok_or_else(|| format!("{ASSETS} names no folder with {:?}; {hint}", Self::NAMES))?;
        let dir = PathBuf::from(dir);
        for name in Self::NAMES {
            if !dir.join(name).is_file() {
                return Err(format!("{ASSETS}: no {name} in {}; {hint}", dir.display()));
            }
        }
        Ok(Self(dir))
    }

    /// Whether a program is there that only some scenarios need.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.join(name).is_file()
    }

    /// A command of one of them.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.0.join(name))
    }
}

/// The program that is tested, without what the environment says to it.
pub(crate) fn berth() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("BERTH_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command that reads a cluster prints as JSON, whatever its exit code.
pub(crate) fn judged(command: &[&str], kubeconfig: &Path) -> Value {
    let output = berth()
        .args(command)
        .args(["-o", "json"])
        .arg(flag("kubeconfig", kubeconfig))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command:?}: {output:?}"))
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A flag with a file or a folder.
pub(crate) fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
