#!/usr/bin/env bash
# Hardens an Amazon Linux 2023 machine for hubdns. docs/HARDENING.md names the item of the benchmark that
# each step serves, by the name in brackets.
set -euo pipefail
files=/tmp/hubdns-files

step() {
    echo "harden: $1"
}

step '[filesystems] no file systems and protocols that nothing here uses'
install -D -m 644 "$files"/modprobe.conf /etc/modprobe.d/60-hubdns-hardening.conf

step '[kernel] kernel settings'
install -D -m 644 "$files"/sysctl.conf /etc/sysctl.d/61-hubdns-hardening.conf

step '[selinux] SELinux enforces'
sed -i -e 's/^SELINUX=.*/SELINUX=enforcing/' -e 's/^SELINUXTYPE=.*/SELINUXTYPE=targeted/' /etc/selinux/config
grubby --update-kernel=ALL --remove-args='selinux enforcing' --args='selinux=1 enforcing=1 audit=1'

step '[audit] auditd, with rules that cannot be changed while it runs'
# The distribution's own rule that no task is looked at would come before all others.
for rules in /etc/audit/rules.d/*.rules; do
    ! grep -qE '^-a (never,task|task,never)' "$rules" || rm "$rules"
done
install -D -m 640 "$files"/audit.rules /etc/audit/rules.d/60-hubdns.rules
systemctl enable auditd

step '[firewall] firewalld: nothing comes in but DNS'
systemctl enable firewalld
firewall-offline-cmd --set-default-zone=drop
firewall-offline-cmd --zone=drop --add-service=hubdns
# Where the configuration has [server.tls] and [server.https].
firewall-offline-cmd --zone=drop --add-service=dns-over-tls --add-service=https
# Ports that views tell clients apart by.
if [ -n "${VIEW_PORTS:-}" ]; then
    firewall-offline-cmd --zone=drop --add-port="$VIEW_PORTS/udp" --add-port="$VIEW_PORTS/tcp"
    echo "redefine ports = { 53, $VIEW_PORTS }" >/etc/hubdns/notrack.nft
fi
# IPv6 comes by it.
firewall-offline-cmd --zone=drop --add-service=dhcpv6-client
# The path MTU, and what IPv6 cannot do without: these are taken, and no other.
firewall-offline-cmd --zone=drop --add-icmp-block-inversion
firewall-offline-cmd --zone=drop --add-icmp-block=destination-unreachable \
    --add-icmp-block=packet-too-big --add-icmp-block=time-exceeded --add-icmp-block=neighbour-solicitation \
    --add-icmp-block=neighbour-advertisement --add-icmp-block=router-advertisement

step '[ssh] no sshd unless it was asked for'
if [ "${WITH_SSHD:-false}" = true ]; then
    install -D -m 600 "$files"/sshd.conf /etc/ssh/sshd_config.d/10-hubdns.conf
    firewall-offline-cmd --zone=drop --add-service=ssh
else
    # The build itself comes by it: it goes with the next boot.
    systemctl disable sshd
    systemctl mask sshd.service sshd.socket
fi

step '[time] chrony, by the link-local service of AWS'
install -D -m 644 "$files"/chrony.sources /etc/chrony.d/hubdns.sources

step '[logs] logs have limits, and what an attacker would look for is not kept'
install -D -m 644 "$files"/journald.conf /etc/systemd/journald.conf.d/hubdns.conf
install -D -m 644 "$files"/coredump.conf /etc/systemd/coredump.conf.d/hubdns.conf
install -D -m 644 "$files"/limits.conf /etc/security/limits.d/60-hubdns.conf
systemctl mask systemd-coredump.socket

step '[changes] nothing changes by itself: a new image comes each month'
for timer in dnf-automatic.timer dnf-automatic-install.timer update-motd.timer; do
    systemctl mask "$timer"
done
sed -i '/^repo_upgrade:/d' /etc/cloud/cloud.cfg
echo 'repo_upgrade: none' >/etc/cloud/cloud.cfg.d/60-hubdns.cfg

step '[accounts] nobody has a password, and root none but the console'
passwd --lock root
chmod 600 /etc/crontab 2>/dev/null || true
chmod 700 /root

step '[updates] packages are believed by their signatures'
sed -i '/^gpgcheck=/d; /^localpkg_gpgcheck=/d' /etc/dnf/dnf.conf
printf 'gpgcheck=1\nlocalpkg_gpgcheck=1\n' >>/etc/dnf/dnf.conf

step '[mounts] what anybody may write runs nothing'
systemctl enable tmp.mount
install -D -m 644 "$files"/tmp.conf /etc/systemd/system/tmp.mount.d/hubdns.conf
