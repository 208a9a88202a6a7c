#!/usr/bin/env bash
# Runs the soak for so many seconds, half an hour without an argument and prints
# how many answers were checked, wrong and lost, and what memory and descriptors did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export HUBDNS_SOAK_SECS=${1:-1800}
exec cargo nextest run --test soak --no-capture --retries 0
