#!/usr/bin/env bash
# Makes the packages from what is committed, and installs, upgrades and removes them with dpkg and rpm on a
# machine that runs: hubdns starts by its socket, answers, and an upgrade under load loses no query.
#
#   tests/service/packages.sh [ARGUMENTS OF systemd/package.sh...]
#
# No part of the ordinary tests, since it builds a release. Needs root and what tests/setup.sh installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
clone=$work/clone
trap 'rm -rf "$work"' EXIT

# What is not committed is in no package.
git clone --quiet . "$clone"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
"$clone"/systemd/package.sh --out "$work"/packages "$@"
# The next version: the same with another number.
sed -i 's/^version = "\(.*\)\.[0-9]*"$/version = "\1.99"/' "$clone"/Cargo.toml
(cd "$clone" && cargo update --offline --package hubdns --quiet)
"$clone"/systemd/package.sh --out "$work"/next "$@"

HUBDNS_PACKAGES=$work/packages HUBDNS_PACKAGES_NEXT=$work/next \
    cargo nextest run --no-default-features --test service --run-ignored only --no-capture --retries 0 packages
