#!/usr/bin/env bash
# Unpacks the servers that benches/compare.py measures hubdns beside and that tests/setup.sh does not
# install: dnsdist, Knot DNS and NSD, with the libraries that they want and this machine lacks. They
# are unpacked under the target folder and not installed, so nothing of them starts by itself.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
rivals=$target/rivals

[ ! -e "$rivals/.unpacked" ] || exit 0
echo "setup: unpacking $rivals"
mapfile -t packages < <(
    apt-get install --simulate --no-install-recommends dnsdist knot nsd |
        sed -n 's/^Inst \([^ ]*\) .*/\1/p'
)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -q "${packages[@]}")
rm -rf "$rivals"
mkdir -p "$rivals"
for package in "$folder"/*.deb; do dpkg-deb --extract "$package" "$rivals"; done
touch "$rivals/.unpacked"
