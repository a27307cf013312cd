#!/usr/bin/env bash
# Builds every fuzz target on the pinned stable toolchain; the last line printed is the directory
# of the binaries.
set -euo pipefail
cd "$(dirname "$0")"

# What cargo-fuzz asks of the compiler, less AddressSanitizer, which needs nightly and which code
# without `unsafe` needs least. Release code keeps debug assertions and overflow checks
# (Cargo.toml), so that an overflow is a crash here.
flags=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    --cfg fuzzing
    -Dwarnings
)
export RUSTFLAGS="${flags[*]}"
unset CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR

# With an explicit target the flags stay off build scripts and proc macros, which do not link
# libFuzzer.
host=$(rustc -vV | sed -n 's/^host: //p')
locked=()
if [ "${CI:-}" = true ]; then
    locked=(--locked)
fi
before=$(cksum <Cargo.lock)
if ! cargo build --release --target "$host" "${locked[@]}" >&2; then
    echo "fuzz: no build; when only fuzz/Cargo.lock is behind, run 'make fuzz-lock' and commit it" >&2
    exit 1
fi
if [ "$before" != "$(cksum <Cargo.lock)" ]; then
    echo "fuzz: fuzz/Cargo.lock changed with this build: commit it" >&2
fi
echo "$PWD/target/$host/release"
