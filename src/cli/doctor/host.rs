//! What of this host a hub needs: buffers, descriptors, no connection tracking, a right clock, disk.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use tokio::{process::Command, time::timeout};

use super::{CheckList, daemon::Running};
use crate::{
    app::{DESCRIPTORS_WANTED, RECEIVE_BUFFER_BYTES},
    config::Config,
};

/// What a gigabyte of endpoints would not take: the state file of 5,000 is some 5 MB, and it is
/// written beside the one before.
const DISK_WANTED_BYTES: u64 = 64 << 20;
/// Of the entries that connection tracking has room for, from this part on it is told.
const TRACKED_PART: u64 = 2;
/// For a local program to answer.
const TELLS_WITHIN: Duration = Duration::from_secs(5);

const RMEM_MAX: &str = "/proc/sys/net/core/rmem_max";
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const TRACKED_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const CONNECTIONS: &str = "/proc/net/nf_conntrack";

pub(super) async fn look(list: &mut CheckList, config: &Config, running: Option<&Running>) {
    look_at_buffers(list, running);
    look_at_descriptors(list, running);
    let ports = config.serve.entries().map(|entry| entry.listen.port()).collect::<Vec<_>>();
    look_at_tracking(list, &ports);
    look_at_clock(list).await;
    if let Some(folder) = config.refresh.state_file.as_deref().and_then(Path::parent) {
        look_at_disk(list, folder);
    }
}

/// What waits while no thread reads: in the running daemon, or as the system would grant it.
fn look_at_buffers(list: &mut CheckList, running: Option<&Running>) {
    let wanted = RECEIVE_BUFFER_BYTES as f64;
    let granted = running.and_then(|it| it.metric("hubdns_udp_receive_buffer_bytes"));
    // The kernel tells twice what was asked for: it counts its own part in.
    let (is, what) = match granted {
        Some(bytes) => (bytes / 2.0, "of the running daemon's sockets"),
        None => match number(RMEM_MAX) {
            Some(most) => (most as f64, "that net.core.rmem_max grants"),
            None => return,
        },
    };
    let what = format!("{:.0} kB {what}", is / 1_000.0);
    match wanted <= is {
        true => list.passed("receive buffer", what),
        false => list.warned(
            "receive buffer",
            format!("{what}: a stall of some 100 ms at 20,000 questions a second loses some"),
            "let hubdns.socket open the ports, or `sysctl -w net.core.rmem_max=8388608`",
        ),
    }
}

fn look_at_descriptors(list: &mut CheckList, running: Option<&Running>) {
    let Some(most) = running.and_then(|it| it.metric("process_max_fds")) else { return };
    let what = format!("the daemon may open {most:.0}");
    match DESCRIPTORS_WANTED as f64 <= most {
        true => list.passed("descriptors", what),
        false => list.warned(
            "descriptors",
            format!("{what}: it takes fewer connections than its own limits allow"),
            &format!("LimitNOFILE={DESCRIPTORS_WANTED} or more in the unit"),
        ),
    }
}

/// Connection tracking keeps each question for 30 s and drops new ones when its table is full.
fn look_at_tracking(list: &mut CheckList, ports: &[u16]) {
    let (Some(tracked), Some(most)) = (number(TRACKED), number(TRACKED_MAX)) else {
        return list.passed("tracking", "connections are not tracked on this host".to_owned());
    };
    // For root alone, or not there.
    let connections = fs::read_to_string(CONNECTIONS).unwrap_or_default();
    let of_ours = tracked_to(&connections, ports, &is_of_this_host);
    let what = format!("{tracked} connections are tracked, of {most}");
    let next = "do not track port 53: the rule is in docs/OPERATIONS.md";
    match (of_ours, most / TRACKED_PART <= tracked) {
        (0, false) => list.passed("tracking", what),
        (0, true) => list.warned("tracking", what, next),
        (of_ours, _) => {
            list.warned("tracking", format!("{what}, {of_ours} of them to ports of ours"), next);
        }
    }
}

/// How many of the connections come to one of the ports here. Each line has both directions; the first
/// is that of who asked, so that our own questions to upstreams are not among them.
fn tracked_to(connections: &str, ports: &[u16], is_here: &dyn Fn(&IpAddr) -> bool) -> usize {
    let mut known: BTreeMap<IpAddr, bool> = BTreeMap::new();
    let mut is_to_us = |line: &str| {
        let first = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key));
        let port = first("dport=").and_then(|port| port.parse().ok());
        let ip: Option<IpAddr> = first("dst=").and_then(|ip| ip.parse().ok());
        port.is_some_and(|port| ports.contains(&port))
            && ip.is_some_and(|ip| *known.entry(ip).or_insert_with(|| is_here(&ip)))
    };
    connections.lines().filter(|line| is_to_us(line)).count()
}

/// Whether it is an address of this host: no other can be bound.
pub(super) fn is_of_this_host(ip: &IpAddr) -> bool {
    UdpSocket::bind((*ip, 0)).is_ok()
}

/// AWS refuses what is signed five minutes off, and certificates are judged by it.
async fn look_at_clock(list: &mut CheckList) {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .kill_on_drop(true)
        .output();
    let told = timeout(TELLS_WITHIN, asked).await.ok().and_then(Result::ok);
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match told.as_deref() {
        Some("yes") => list.passed("clock", "is synchronized".to_owned()),
        Some("no") => list.warned(
            "clock",
            "is not synchronized: AWS refuses calls that are five minutes off".to_owned(),
            "`chronyc tracking` tells why; 169.254.169.123 is AWS's time server",
        ),
        Some(_) | None => list.warned(
            "clock",
            "timedatectl does not tell whether it is synchronized".to_owned(),
            "compare `date -u` with another machine's",
        ),
    }
}

fn look_at_disk(list: &mut CheckList, folder: &Path) {
    let place = folder.display();
    match statvfs(folder) {
        Ok(disk) if disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) => list.failed(
            "disk",
            format!("{place} cannot be written: the last good inventory is lost in a restart"),
            "mount it for writing, or name another `refresh.state_file`",
        ),
        Ok(_) if !folder.is_dir() => list.failed(
            "disk",
            format!("{place} is no folder: the last good inventory is lost in a restart"),
            "name a file in a folder in `refresh.state_file`",
        ),
        Ok(disk) => {
            let free = disk.blocks_available() * disk.fragment_size();
            let what = format!("{} MB are free at {place}", free / 1_000_000);
            match DISK_WANTED_BYTES <= free {
                true => list.passed("disk", what),
                false => list.warned("disk", what, "make room for the last good inventory"),
            }
        }
        Err(error) => {
            let next = "StateDirectory=hubdns in the unit makes it, or `refresh.state_file` names \
                        another";
            list.warned("disk", format!("{place} cannot be looked at: {error}"), next);
        }
    }
}

/// The number that a file of /proc is.
fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::tracked_to;

    #[test]
    fn clients_connections_are_counted_and_our_own_questions_are_not() {
        let asked = "ipv4     2 udp      17 29 src=10.0.7.7 dst=10.0.0.10 sport=40000 dport=53 \
                     [UNREPLIED] src=10.0.0.10 dst=10.0.7.7 sport=53 dport=40000 mark=0 use=2";
        let asking = "ipv4     2 udp      17 29 src=10.0.0.10 dst=169.254.169.253 sport=40000 \
                      dport=53 src=169.254.169.253 dst=10.0.0.10 sport=53 dport=40000 mark=0 use=2";
        // A client's port of the way back is a port of ours.
        let back = asked.replace("dport=53 ", "dport=443 ").replace("dport=40000", "dport=53");
        let text = [asked, asking, &back].join("\n");
        let is_here = |ip: &std::net::IpAddr| ip.to_string() == "10.0.0.10";
        assert_eq!(tracked_to(&text, &[53, 853], &is_here), 1);
        assert_eq!(tracked_to("", &[53], &is_here), 0);
    }
}
