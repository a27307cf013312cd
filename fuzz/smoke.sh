#!/usr/bin/env bash
# Runs fuzz targets over their committed corpus, two at a time, and fails on any crash.
#
#   fuzz/smoke.sh [--seconds N] [--grow] [TARGET…]
#
# Without a TARGET: every file in fuzz_targets/. --seconds: how long each runs (10). --grow: adds
# to the committed corpus inputs found that reach new code (hundreds, when it was small); else it
# stays as it is.
# A target's own libFuzzer flags stand in fuzz_targets/TARGET.options, one on a line.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

seconds=10
grow=
targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        seconds=${2:?--seconds needs a number}
        shift
        ;;
    --grow) grow=yes ;;
    -*)
        echo "unknown flag $1" >&2
        exit 2
        ;;
    *) targets+=("$1") ;;
    esac
    shift
done
if [ ${#targets[@]} -eq 0 ]; then
    for file in "$here"/fuzz_targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

bin=$("$here/build.sh" | tail -n 1)
for target in "${targets[@]}"; do
    if [ ! -f "$here/fuzz_targets/$target.rs" ]; then
        echo "fuzz: no target $target in fuzz/fuzz_targets" >&2
        exit 1
    fi
    # A binary left by an entry since removed would be stale, so both are asked for.
    if [ ! -x "$bin/$target" ] || ! grep -qx "name = \"$target\"" "$here/Cargo.toml"; then
        echo "fuzz: $target has no [[bin]] in fuzz/Cargo.toml, so nothing runs it" >&2
        exit 1
    fi
    if ! ls "$here/corpus/$target/"* >/dev/null 2>&1; then
        echo "fuzz: fuzz/corpus/$target is empty: commit at least one input" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run TARGET: writes its log and ends as libFuzzer does.
run() {
    local target=$1 options=()
    local log=$work/$target.log artifacts=$here/artifacts/$target
    mkdir -p "$work/$target" "$artifacts"
    # A copy: libFuzzer writes what it finds into the corpus it is given.
    cp -R "$here/corpus/$target/." "$work/$target/"
    if [ -f "$here/fuzz_targets/$target.options" ]; then
        mapfile -t options < <(grep -Ev '^(#|$)' "$here/fuzz_targets/$target.options")
    fi
    # In fuzz/, so that a dictionary is named relative to it. An option comes after its default
    # and so wins.
    (cd "$here" && "$bin/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 \
        -max_len=4096 -print_final_stats=1 "${options[@]}" -artifact_prefix="$artifacts/" \
        "$work/$target") >"$log" 2>&1
}

# report TARGET STATUS
report() {
    local target=$1 status=$2 log=$work/$1.log kept
    if [ "$status" -eq 0 ]; then
        # One line per target: an empty coverage would mean the instrumentation went missing.
        local runs cov
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        cov=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
        if [ "${cov:-0}" -eq 0 ]; then
            echo "fuzz: $target ran without coverage: see the flags in fuzz/build.sh" >&2
            return 1
        fi
        echo "fuzz: $target ok, $runs runs, coverage $cov"
        return 0
    fi
    tail -n 60 "$log" >&2
    kept=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$kept" ]; then
        echo "fuzz: $target FAILED; the input is $kept; run it again with" >&2
        echo "    $bin/$target $kept" >&2
    else
        echo "fuzz: $target FAILED with status $status and left no input; does it start with" \
            "catch_stack_overflow()?" >&2
    fi
    return 1
}

failed=0
for ((i = 0; i < ${#targets[@]}; i += 2)); do
    pids=()
    pair=("${targets[@]:i:2}")
    for target in "${pair[@]}"; do
        run "$target" &
        pids+=($!)
    done
    for j in "${!pair[@]}"; do
        status=0
        wait "${pids[j]}" || status=$?
        report "${pair[j]}" "$status" || failed=1
    done
done

# Without counters an input is kept for an edge it alone reaches, not for how often it does.
if [ -n "$grow" ] && [ "$failed" -eq 0 ]; then
    for target in "${targets[@]}"; do
        "$bin/$target" -set_cover_merge=1 -use_counters=0 "$here/corpus/$target" "$work/$target" 2>&1 |
            sed -n "s/^MERGE-OUTER: \([0-9]* new files.*\)/fuzz: $target: \1/p"
    done
fi
exit "$failed"
