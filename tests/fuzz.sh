#!/usr/bin/env bash
# Runs every fuzz target for a while, from the corpus that it has: `tests/fuzz.sh [SECONDS]`, 15
# without. A crash fails, and its input stays in fuzz/artifacts. New inputs go nowhere: to let the
# corpus grow, run `cargo fuzz run -s none TARGET` and then `cargo fuzz cmin -s none TARGET`.
#
# Without sanitizers, as a stable compiler has none; overflow checks and debug assertions are on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-15}

found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
cargo fuzz build -s none
for target in $(cargo fuzz list); do
    mkdir "$found/$target"
    cargo fuzz run -s none "$target" "$found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 2>&1 |
        grep -vE '^#[0-9]+\s+(NEW|REDUCE|pulse)' | tail -n 25
done
