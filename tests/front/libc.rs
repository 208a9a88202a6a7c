//! glibc's `getaddrinfo`, which asks port 53 of what `/etc/resolv.conf` names and nothing else.

use std::{fs, process, process::Command};

use tempfile::TempDir;

use crate::{
    ADDRESSES, OURS,
    software::block,
    support::{daemon, venv},
    world::{MANY, World},
};

/// Loopback addresses are plenty: one a process, so that tests beside each other do not meet.
fn loopback_address() -> String {
    let [_, _, high, low] = process::id().to_be_bytes();
    format!("127.53.{high}.{low}")
}

/// A command that sees these files in the place of the machine's own.
fn with_resolver(dir: &TempDir, resolv: &str) -> Command {
    fs::write(dir.path().join("resolv.conf"), resolv).unwrap();
    fs::write(dir.path().join("nsswitch.conf"), "hosts: dns\n").unwrap();
    let script = "for file in resolv.conf nsswitch.conf; do \
                      mount --bind \"$0/$file\" \"/etc/$file\" || exit 99; \
                  done; exec \"$@\"";
    let mut command = daemon("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(dir.path());
    command
}

/// Every address that `getent ahosts` tells, once.
#[track_caller]
fn addresses(dir: &TempDir, resolv: &str, name: &str) -> Vec<String> {
    let done = with_resolver(dir, resolv).args(["getent", "ahosts", name]).output().unwrap();
    assert_ne!(done.status.code(), Some(99), "no mount namespace: run the tests as root");
    let printed = String::from_utf8(done.stdout).unwrap();
    let mut told: Vec<String> =
        printed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    told.sort();
    told.dedup();
    told
}

#[test]
fn getaddrinfo_gets_ours_and_forwarded_ones_and_none() {
    let address = loopback_address();
    let world = World::signed(&format!(", \"{address}:53\""));
    let dir = TempDir::new().unwrap();
    let documented = block("libc", "forward").replace("10.0.0.10", &address);
    for options in ["", "options use-vc\n", "options edns0 trust-ad\n", "options single-request\n"]
    {
        let resolv = format!("{documented}{options}");
        let told = |name| addresses(&dir, &resolv, name);
        // Both families are asked for at once: no public AAAA comes beside our A.
        assert_eq!(told(OURS), ADDRESSES, "{options}");
        assert_eq!(told("queue.corp.example"), ADDRESSES, "{options}");
        assert_eq!(told("www.corp.example"), ["192.0.2.80", "2001:db8::80"], "{options}");
        assert_eq!(told("missing.corp.example"), [""; 0], "{options}");
        // Cut over UDP, and asked for again over TCP.
        assert_eq!(told("many.corp.example").len(), MANY, "{options}");
    }
    let resolv = format!("{documented}options timeout:10\n");
    let script = "import socket, sys\n\
        try: print(sorted({a[4][0] for a in socket.getaddrinfo(sys.argv[1], 443)}))\n\
        except socket.gaierror as error: print(socket.EAI_NONAME == error.errno)\n";
    let python = |name: &str| {
        let done = with_resolver(&dir, &resolv)
            .arg(venv().join("bin/python"))
            .args(["-c", script, name])
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(python(OURS), format!("{ADDRESSES:?}").replace('"', "'"));
    assert_eq!(python("missing.corp.example"), "True");
    drop(world);
}
