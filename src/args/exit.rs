//! The exit codes. 0 is good and 3 is a wrong command line, in every command. 1 and 2 are what the commands
//! that judge found; what they could not judge is 3 as well. In the other commands 1 is a failure.

use super::Command;

/// A wrong command line, or what could not be judged.
pub const WRONG: u8 = 3;

/// A failure of a command that does not judge.
const FAILED: u8 = 1;

/// For the help of berth.
pub(super) const ALL: &str = "Exit codes: 0 where all is well, and 3 for a wrong command line, in every command; the help of a command has its others.";

/// For the help of `berth check`.
pub(super) const CHECK: &str = "\
Exit codes:
  0  every VM can migrate; with --install or --pre, nothing is wrong
  1  there are warnings; 0 with --fail-on error
  2  a VM cannot migrate; with --install or --pre, there is an error
  3  not all could be read or judged, or the command line is wrong";

/// For the help of `berth report`.
pub(super) const REPORT: &str = "\
Exit codes, with --assume those of the nodes as they would be:
  0  every VM can migrate
  1  there are warnings; 0 with --fail-on error
  2  a VM cannot migrate
  3  not all could be read or judged, or the command line is wrong";

/// For the help of `berth drain`.
pub(super) const DRAIN: &str = "\
Exit codes:
  0  every VM on the nodes would move, or there is none
  1  a VM would be shut down, or a migration would end; 0 with --fail-on error
  2  a VM would block the drain
  3  not all could be read, or the command line is wrong";

/// For the help of `berth annotate`.
pub(super) const ANNOTATE: &str = "\
Exit codes:
  0  nothing is to be done, or --apply did it
  1  there is something to do; 0 with --fail-on error
  2  a patch is refused, or would be
  3  not all could be read, the API server was lost, or the command line is wrong";

/// For the help of `berth explain`.
pub(super) const EXPLAIN: &str = "\
Exit codes:
  0  it is explained
  3  there is no such code or VM, not all could be read, or the command line is wrong";

/// For the help of `berth version`.
pub(super) const VERSION: &str = "\
Exit codes:
  0  the versions are printed
  3  no version of the cluster is known, it could not be read, or the command line is wrong";

/// For the help of `berth cleanup`.
pub(super) const CLEANUP: &str = "\
Exit codes:
  0  nothing is left over
  1  there is something to delete; --apply deletes it
  2  something is left after --apply
  3  the cluster or the database could not be read, or the command line is wrong";

/// For the help of `berth watch`.
pub(super) const WATCH: &str = "\
Exit codes:
  0  the migration succeeded, and its network was seen to be right at both ends
  1  it succeeded, and something was wrong or not seen
  2  it failed
  3  the cluster could not be read, the VM does not run, no migration ended in time, or the command line is
     wrong";

/// For the help of the other commands.
pub(super) const OTHERS: &str = "\
Exit codes:
  0  it is done
  1  it failed; standard error says why
  3  the command line is wrong";

impl Command {
    /// The exit code where the command fails.
    #[must_use]
    pub const fn failure_code(&self) -> u8 {
        match self {
            Self::Check(_)
            | Self::Report(_)
            | Self::Drain(_)
            | Self::Annotate(_)
            | Self::Explain(_)
            | Self::Cleanup(_)
            | Self::Watch(_)
            | Self::Version(_) => WRONG,
            _ => FAILED,
        }
    }
}
