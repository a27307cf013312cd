//! The limit of open files, each connection being one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Files that are open beside connections: the runtime's own, standard streams, a file being read.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit to the hard one, as Go's runtime does for every Go server, and warns when
/// so many connections can't be open all the same.
pub fn allow_connections(connections: usize) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    // What could not be raised shows in the limit that is read again.
    let _ = setrlimit(Resource::Nofile, raised);
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    if limit < needed {
        warn!(
            limit,
            needed, "limits.connections needs more open files than the system allows"
        );
    }
}
