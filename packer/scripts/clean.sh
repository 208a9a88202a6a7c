#!/usr/bin/env bash
# Takes away what is of this machine and not of the image.
set -euo pipefail

dnf clean all
rm -rf /tmp/hubdns.rpm /tmp/hubdns-files /var/cache/dnf /root/.ssh /home/ec2-user/.ssh
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed
find /var/log -type f -exec truncate --size=0 {} +
rm -rf /var/log/journal/*
cloud-init clean --logs --seed
# Each instance makes its own at its first boot.
truncate --size=0 /etc/machine-id
sync
