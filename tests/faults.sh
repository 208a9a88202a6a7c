#!/usr/bin/env bash
# Runs the fault book: each test that docs/FAULTS.md names, and prints what clients noticed of each fault
# that was injected under load. Its exit status is that of the tests: what cannot be injected on this
# machine fails, and does not pass in silence. A fault that stands twice in the table was tried twice.
#
#   tests/faults.sh            the faults and their table
#   tests/faults.sh --all      and the tests elsewhere that the book names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
    '') what=(--test faults) ;;
    --all)
        # The last cell of a row names them.
        names=$(grep '^| ' docs/FAULTS.md | sed 's/ |$//; s/.*|//' | grep -o '`[a-z0-9_]*`' | tr -d '`' | sort -u)
        what=(-E "test(/(^|::)($(paste -sd '|' <<<"$names"))\$/)")
        ;;
    *)
        echo "usage: tests/faults.sh [--all]" >&2
        exit 2
        ;;
esac

HUBDNS_FAULT_BOOK=$(mktemp)
export HUBDNS_FAULT_BOOK
trap 'rm -f "$HUBDNS_FAULT_BOOK"' EXIT
status=0
cargo nextest run --no-fail-fast "${what[@]}" || status=$?
echo
{
    printf 'fault\tqueries sent\twrong\tfailed\tlost\tseconds to recover\tlongest wait, s\n'
    sort "$HUBDNS_FAULT_BOOK"
} | column -t -s $'\t'
exit "$status"
