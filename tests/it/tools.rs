//! Outside programs that some tests need.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where `tests/setup.sh` unpacks what it does not install.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin");

/// The program `name`, or `None` once it is said that `test` is left out. In CI nothing is left
/// out, so there a missing program fails the test.
pub(crate) fn find(name: &str, test: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain([PathBuf::from(UNPACKED)])
        .map(|dir| dir.join(name))
        .find(|file| is_program(file));
    if found.is_none() {
        assert!(
            env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{test} needs {name}: run tests/setup.sh"
        );
        tell(&format!("left out: {test} (no {name}; run tests/setup.sh)"));
    }
    found
}

/// Says something of a test that passes. Not by `eprintln`, which the test harness would keep to
/// itself.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
