//! What the network interface says was dropped for exceeding AWS's limit on link-local packets.
//!
//! The ENA driver has it as `linklocal_allowance_exceeded`, among statistics of its own that the
//! kernel gives by one ioctl alone. That ioctl wants `unsafe`; the crates that wrap it size their
//! buffer by an earlier answer, and the kernel writes as much as there is by then. So ethtool asks,
//! as a child that can hurt nobody but itself. Where there is none, or a hardened service may not
//! run it, nothing is known, and that is all.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

/// Where systems have it. Not by `PATH`: a service's says little, and the program must be root's.
const PROGRAMS: &[&str] = &["/usr/sbin/ethtool", "/sbin/ethtool", "/usr/bin/ethtool"];
/// It answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of its answer that are looked at: an interface of 32 queues has some 40,000.
const OUTPUT_MAX: u64 = 1 << 20;
/// Interfaces asked; instances have 15 at most.
const INTERFACES_MAX: usize = 16;
/// The driver's name for it.
const COUNTER: &str = "linklocal_allowance_exceeded";

/// Reads the interfaces' counters.
pub struct Allowance {
    program: PathBuf,
    /// What each interface said before.
    before: BTreeMap<String, u64>,
}

// === impl Allowance ===

impl Allowance {
    /// A reader, if this host has ethtool.
    pub fn find() -> Option<Allowance> {
        let program = PROGRAMS.iter().map(Path::new).find(|program| program.is_file())?;
        Some(Allowance::new(program.to_owned()))
    }

    fn new(program: PathBuf) -> Self {
        Self { program, before: BTreeMap::new() }
    }

    /// How many packets each interface has dropped since the last time, 0 the first time. Those
    /// whose driver does not count are left out.
    pub async fn read(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut read = Vec::new();
        for interface in interfaces()? {
            let text = output(&self.program, &interface, TIMEOUT).await?;
            if let Some(count) = counter(&text) {
                read.push((interface.clone(), self.since(interface, count)));
            }
        }
        Ok(read)
    }

    fn since(&mut self, interface: String, count: u64) -> u64 {
        match self.before.insert(interface, count) {
            None => 0,
            // A driver that was loaded anew begins at 0.
            Some(before) if count < before => count,
            Some(before) => count - before,
        }
    }
}

/// The count in what `ethtool -S` prints.
fn counter(text: &str) -> Option<u64> {
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix(COUNTER));
    values.find_map(|rest| rest.strip_prefix(':'))?.trim().parse().ok()
}

/// The interfaces that are up, but for the loopback.
fn interfaces() -> io::Result<Vec<String>> {
    let mut names: Vec<String> = getifaddrs()?
        .filter(|it| it.flags.contains(InterfaceFlags::IFF_UP))
        .filter(|it| !it.flags.contains(InterfaceFlags::IFF_LOOPBACK))
        .map(|it| it.interface_name)
        .collect();
    names.sort();
    names.dedup();
    names.truncate(INTERFACES_MAX);
    Ok(names)
}

/// What the program prints of an interface; nothing for one that has no statistics.
async fn output(program: &Path, interface: &str, time: Duration) -> io::Result<String> {
    // Dropped with the future when its time is up, which ends it.
    let mut child = Command::new(program)
        .env_clear()
        .args(["-S", interface])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let reading = async {
        let mut text = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            pipe.take(OUTPUT_MAX).read_to_end(&mut text).await?;
        }
        child.wait().await?;
        Ok::<_, io::Error>(text)
    };
    let text = timeout(time, reading).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// The head of what `ethtool -S` prints of an ENA interface (driver 2.x), in its form.
    const ENA: &str = "NIC statistics:\n     total_resets: 0\n     tx_timeout: 0\n     \
        suspend: 0\n     resume: 0\n     wd_expired: 0\n     interface_up: 1\n     \
        interface_down: 0\n     admin_q_pause: 0\n     bw_in_allowance_exceeded: 3\n     \
        bw_out_allowance_exceeded: 0\n     pps_allowance_exceeded: 12\n     \
        conntrack_allowance_exceeded: 0\n     linklocal_allowance_exceeded: 4711\n     \
        conntrack_allowance_available: 136812\n     queue_0_tx_cnt: 883\n     \
        queue_0_tx_bytes: 121403\n";

    /// A program in place of ethtool.
    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("ethtool");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_counter_is_found_among_the_drivers_others() {
        assert_eq!(counter(ENA), Some(4711));
        assert_eq!(counter("no stats available\n"), None);
        assert_eq!(counter("NIC statistics:\n     peer_ifindex: 7\n"), None);
        assert_eq!(counter("     linklocal_allowance_exceeded: much\n"), None);
    }

    #[test]
    fn what_was_dropped_before_the_start_is_not_told_and_a_reset_begins_anew() {
        let mut allowance = Allowance::new("ethtool".into());
        let told = [100, 100, 130, 7].map(|count| allowance.since("ens5".to_owned(), count));
        assert_eq!(told, [0, 0, 30, 7]);
    }

    #[tokio::test]
    async fn the_program_is_asked_for_the_interfaces_statistics() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("[ \"$1 $2\" = '-S ens5' ] && printf '%s' '{ENA}'");
        let text = output(&program(folder.path(), &script), "ens5", TIMEOUT).await.unwrap();
        assert_eq!(counter(&text), Some(4711));
        let other = output(&program(folder.path(), &script), "lo", TIMEOUT).await.unwrap();
        assert_eq!(other, "");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let hanging = program(folder.path(), "exec sleep 600");
        let soon = Duration::from_millis(50);
        let error = output(&hanging, "ens5", soon).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_host_without_it_says_so() {
        assert!(output(Path::new("/nowhere/ethtool"), "ens5", TIMEOUT).await.is_err());
    }
}
