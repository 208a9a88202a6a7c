#!/usr/bin/env bash
# Makes the packages of hubdns, a deb and an RPM, from this clone:
#
#   systemd/package.sh [--target TRIPLE] [--sign KEY] [--out FOLDER] [-- ARGUMENTS OF CARGO BUILD...]
#
# TRIPLE is for another processor, as aarch64-unknown-linux-gnu (rustup target add it; on Debian with
# gcc-aarch64-linux-gnu and libc6-dev-arm64-cross). KEY is the name of a key of gpg that signs the RPM.
# FOLDER is target/packages if nothing is said.
#
# In the binary is a list of all crates in it, which `cargo audit bin` and scanners read (cargo-auditable).
# What packs is installed below the target folder: cargo-deb, cargo-generate-rpm, cargo-auditable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Amazon Linux 2023 has this version of the C library: what wants a later one does not start there.
glibc_max=2.34

target=${CARGO_TARGET_DIR:-target}
out=$target/packages
triple='' key=''
while [ $# -gt 0 ]; do
    case $1 in
    --target) triple=$2 && shift 2 ;;
    --sign) key=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    --) shift && break ;;
    *) echo "package: what is $1? See the head of $0." >&2 && exit 2 ;;
    esac
done
release=$target${triple:+/$triple}/release
export PATH=$target/tools/bin:$PATH
export CARGO_TARGET_DIR=$target

install_tools() {
    local tool
    for tool in cargo-auditable cargo-deb cargo-generate-rpm; do
        command -v "$tool" >/dev/null || cargo install --locked --root "$target/tools" "$tool"
    done
}

build() {
    case $triple in
    aarch64-unknown-linux-gnu)
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
        ;;
    esac
    cargo auditable build --release --locked ${triple:+--target "$triple"} "$@"
    local wants
    wants=$(readelf --wide --version-info "$release/hubdns" | grep -o 'GLIBC_[0-9.]*' |
        cut -d_ -f2 | sort --version-sort | tail -1)
    if [ "$(printf '%s\n' "$wants" "$glibc_max" | sort --version-sort | tail -1)" != "$glibc_max" ]; then
        echo "package: hubdns wants version $wants of the C library, and $glibc_max is the latest that" \
            "it may want: build on an older system" >&2
        exit 1
    fi
}

# What is made from the program itself. For another processor that of this one says it.
describe() {
    local hubdns=$release/hubdns
    if [ -n "$triple" ] && ! "$hubdns" --version >/dev/null 2>&1; then
        cargo build --locked "$@"
        hubdns=$target/debug/hubdns
    fi
    local made=$release/package
    rm -rf "$made"
    mkdir -p "$made/man"
    "$hubdns" man --dir "$made/man"
    gzip -9n "$made"/man/*
    "$hubdns" completions bash >"$made/hubdns.bash"
    "$hubdns" completions zsh >"$made/_hubdns"
    "$hubdns" completions fish >"$made/hubdns.fish"
    cargo metadata --format-version 1 --locked --filter-platform "${triple:-$(host)}" |
        python3 -c '
import json, sys
for it in sorted(json.load(sys.stdin)["packages"], key=lambda it: it["name"]):
    if it["source"]:
        print(it["name"], it["version"], it["license"] or it["license_file"], it["repository"] or "")
' >"$made/THIRD-PARTY"
}

host() {
    rustc --version --verbose | sed -n 's/^host: //p'
}

pack() {
    mkdir -p "$out"
    cargo deb --no-build --no-strip ${triple:+--target "$triple"} --output "$out"
    cargo generate-rpm ${triple:+--target "$triple"} --target-dir "$target" --output "$out"
    # Debian's rpm knows gpg by no path.
    [ -z "$key" ] || rpmsign --define "_gpg_name $key" --define "__gpg $(command -v gpg)" --addsign "$out"/*.rpm
}

install_tools
build "$@"
describe "$@"
pack
ls -l "$out"
