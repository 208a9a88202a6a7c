#!/usr/bin/env bash
# Installs hubdns and what it needs, and what hardening needs, on Amazon Linux 2023. Nothing else comes.
set -euo pipefail

dnf --assumeyes upgrade --releasever=latest
# ethtool and nftables are what hubdns recommends; awscli fetches a configuration and tells that the hub is
# ready. The agent is the way in.
dnf --assumeyes install --setopt=install_weak_deps=False \
    amazon-ssm-agent audit awscli-2 chrony ethtool firewalld nftables policycoreutils
dnf --assumeyes install --setopt=install_weak_deps=False /tmp/hubdns.rpm

cd /tmp/hubdns-files
install -m 755 hubdns-boot hubdns-ready hubdns-refused /usr/lib/hubdns/
install -m 644 hubdns-boot.service hubdns-ready.service /usr/lib/systemd/system/
install -D -m 644 boot.conf /etc/systemd/system/hubdns.service.d/boot.conf
install -D -m 644 refused.conf /etc/systemd/system/hubdns-refused.service.d/refused.conf
# A site's configuration may name any address and port: hubdns opens them itself.
install -m 644 /usr/share/hubdns/drop-ins/without-socket.conf /etc/systemd/system/hubdns.service.d/
# It comes at boot, and a hub without it must not start.
rm /etc/hubdns/hubdns.toml
systemctl enable hubdns.service hubdns-boot.service hubdns-ready.service hubdns-notrack.service \
    amazon-ssm-agent chronyd
systemctl disable hubdns.socket
systemctl mask hubdns.socket
