#!/usr/bin/env bash
# Makes the packages from what is committed, looks at them, and installs, upgrades and removes them with dpkg and
# rpm on a machine that runs: hubdns starts by its socket, answers, and an upgrade under load loses no query. The
# scripts of packer/ then make an image of the RPM.
#
#   tests/service/packages.sh [ARGUMENTS OF systemd/package.sh...]
#
# No part of the ordinary tests, since it builds a release, twice. Needs root and what tests/setup.sh installs, and
# installs what signs and reads packages.
# `-- --no-default-features` leaves the EC2 part out, which most of the time is for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
clone=$work/clone
image_root=$CARGO_TARGET_DIR/image-root
# Of the programs that packer/scripts/ call on Amazon Linux, those that Debian has.
image_packages=auditd,ca-certificates,chrony,cloud-init,curl,dbus,ethtool,firewalld,netbase,nftables,openssh-server,python3,rpm,sudo,systemd,systemd-sysv
trap 'rm -rf "$work"' EXIT

fail() {
    echo "packages: $1" >&2
    exit 1
}

install_tools() {
    local tools=(binutils gnupg rpm)
    dpkg --status "${tools[@]}" >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends "${tools[@]}"
}

make_key() {
    export GNUPGHOME=$work/gnupg
    install -d -m 700 "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --quick-generate-key 'hubdns test <test@localhost>' rsa3072 sign never
    gpg --armor --export 'hubdns test' >"$work"/key.asc
}

# The RPM is believed by who has the key, and by nobody else.
verify_signature() {
    local rpm=$1
    rpmkeys --dbpath "$work"/nobody --checksig "$rpm" && fail 'an RPM is believed without its key'
    rpmkeys --dbpath "$work"/somebody --import "$work"/key.asc
    rpmkeys --dbpath "$work"/somebody --checksig --verbose "$rpm" | tee "$work"/signature
    grep -q 'Signature, key ID .*: OK' "$work"/signature || fail 'the RPM is not signed'
}

# Which crates are in it, as `cargo audit bin` reads it.
verify_crates() {
    dpkg-deb --extract "$1" "$work"/deb
    objcopy --dump-section .dep-v0="$work"/crates "$work"/deb/usr/bin/hubdns
    python3 -c '
import json, sys, zlib
crates = {it["name"] for it in json.loads(zlib.decompress(open(sys.argv[1], "rb").read()))["packages"]}
assert {"hubdns", "rustls", "tokio"} <= crates, crates
print(f"{len(crates)} crates are listed in the binary")
' "$work"/crates
}

make_image_root() {
    [ "$(cat "$image_root/.stamp" 2>/dev/null)" != "$image_packages" ] || return 0
    rm -rf "$image_root"
    mmdebstrap --variant=minbase --include="$image_packages" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' bookworm "$image_root"
    echo "$image_packages" >"$image_root/.stamp"
}

install_tools
make_key
# What is not committed is in no package.
git clone --quiet . "$clone"
"$clone"/systemd/package.sh --out "$work"/packages --sign 'hubdns test' "$@"
verify_signature "$work"/packages/*.rpm
verify_crates "$work"/packages/*.deb
# The next version: the same with another number.
sed -i 's/^version = "\(.*\)\.[0-9]*"$/version = "\1.99"/' "$clone"/Cargo.toml
(cd "$clone" && cargo update --offline --package hubdns --quiet)
"$clone"/systemd/package.sh --out "$work"/next "$@"
make_image_root

# None that is run is an error of nextest.
HUBDNS_PACKAGES=$work/packages HUBDNS_PACKAGES_NEXT=$work/next HUBDNS_IMAGE_ROOT=$image_root \
    cargo nextest run --no-default-features --test service --run-ignored only --no-capture --retries 0 \
    --no-tests fail packages:: provision::
