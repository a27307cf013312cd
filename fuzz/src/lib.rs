//! What fuzz targets have in common.

use std::ptr;
use std::sync::OnceLock;

use berth::cluster::{ClusterView, file};
use berth::domain::Network;
use berth::snapshot::Snapshot;

/// Makes a stack overflow a crash whose input libFuzzer keeps, as it keeps that of a panic.
///
/// Without a stack of its own the signal handler cannot run and the process dies leaving no
/// input. libFuzzer sets up no such stack, but keeps the flag that asks for one where it is set
/// before; AddressSanitizer would do both, and stable Rust has none.
///
/// # Panics
///
/// If the system refuses the alternate stack or the signal's disposition.
pub fn catch_stack_overflow() {
    const SIZE: usize = 256 * 1024;
    let stack = libc::stack_t {
        // Never freed: the handler may run until the process ends.
        ss_sp: Box::leak(vec![0u8; SIZE].into_boxed_slice())
            .as_mut_ptr()
            .cast(),
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the stack is valid for the life of the process, and nothing else changes the
    // alternate stack or the signals' dispositions: this runs first, before libFuzzer's handlers.
    unsafe {
        assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0);
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = libc::SA_ONSTACK;
            assert_eq!(
                libc::sigaction(signal, &raw const action, ptr::null_mut()),
                0
            );
        }
    }
}

/// The captured cluster, read once.
///
/// # Panics
///
/// If the capture is not readable.
pub fn captured_cluster() -> Snapshot {
    static VIEW: OnceLock<ClusterView> = OnceLock::new();
    let text = include_str!("../../tests/data/captures/cluster.json");
    let view = || file::parse(text, &Network::default()).expect("the captured cluster is good");
    Snapshot::from(VIEW.get_or_init(view))
}
