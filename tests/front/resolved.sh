#!/bin/sh
# Runs systemd-resolved alone: no systemd, no bus, nothing of the machine's own touched.
#
#   unshare --mount --propagation private tests/front/resolved.sh DIR UNPACKED
#
# DIR has resolved.conf, and *.positive and *.negative as of dnssec-trust-anchors.d. UNPACKED has the
# Debian packages systemd-resolved and libsystemd-shared, unpacked and not installed: the former would
# take over /etc/resolv.conf. What is laid over /run and /etc is seen in this mount namespace alone.
set -eu
dir=$1
unpacked=$2

# It gives up root for this user, who need not be there.
user=systemd-resolve
cp /etc/passwd "$dir/passwd"
cp /etc/group "$dir/group"
grep -q "^$user:" "$dir/passwd" || echo "$user:x:994:994::/:/usr/sbin/nologin" >>"$dir/passwd"
grep -q "^$user:" "$dir/group" || echo "$user:x:994:" >>"$dir/group"
mount --bind "$dir/passwd" /etc/passwd
mount --bind "$dir/group" /etc/group

mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/resolve /run/dnssec-trust-anchors.d
chown "$user:$user" /run/systemd/resolve
for anchors in "$dir"/*.positive "$dir"/*.negative; do
    [ ! -e "$anchors" ] || cp "$anchors" /run/dnssec-trust-anchors.d/
done
mount -t tmpfs -o mode=755 none /etc/systemd
cp "$dir/resolved.conf" /etc/systemd/resolved.conf
chmod -R a+rX /etc/systemd /run/dnssec-trust-anchors.d

export LD_LIBRARY_PATH="$unpacked/usr/lib/x86_64-linux-gnu/systemd"
exec "$unpacked/lib/systemd/systemd-resolved"
