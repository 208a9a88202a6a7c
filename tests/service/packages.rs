//! The packages, on a machine that runs: installed, upgraded while clients ask, and removed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, SOON},
    support::eventually,
};

/// Where `tests/service/packages.sh` has put those of a variable.
#[expect(clippy::disallowed_methods, reason = "where they are there is for the script to say")]
pub(crate) fn package(variable: &str, ending: &str) -> PathBuf {
    let folder = env::var(variable).expect("tests/service/packages.sh runs this");
    let entries = fs::read_dir(Path::new(&folder)).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> =
        entries.filter(|it| it.extension().is_some_and(|it| it == ending)).collect();
    let [package] = &found[..] else { panic!("{found:?}") };
    package.clone()
}

/// The recorded hub as the source, at the end of the configuration that the package brings.
fn configure(machine: &Machine) {
    machine.copy_hub();
    machine.sh(
        "sed -i -e 's/^kind = \"ec2\"/kind = \"files\"\\npath = \"hub\"/' /etc/hubdns/hubdns.toml && \
         hubdns check",
    );
}

/// What a kind of package is called, and the commands of those who have it.
struct Kind {
    ending: &'static str,
    install: &'static str,
    remove: &'static str,
    /// Takes away what `remove` leaves, where there is such a thing.
    purge: Option<&'static str>,
    /// Prints which files are the operator's.
    configuration: &'static str,
}

fn goes_through_its_life(kind: &Kind) {
    let Kind { ending, install, remove, purge, configuration } = kind;
    let machine = Machine::boot();
    for (variable, name) in [("HUBDNS_PACKAGES", "first"), ("HUBDNS_PACKAGES_NEXT", "next")] {
        machine.copy(package(variable, ending), &format!("/root/{name}.{ending}"));
    }
    machine.sh(&format!("{install} /root/first.{ending}"));
    assert_eq!(machine.property("ActiveState"), "inactive", "nothing runs that nobody started");
    assert!(machine.sh("getent passwd hubdns").contains("resolver"));
    assert!(machine.sh("hubdns --version").contains(".0\n"));
    for file in [
        "/usr/share/man/man1/hubdns.1.gz",
        "/usr/share/bash-completion/completions/hubdns",
        "/usr/share/doc/hubdns/LICENSE-MIT",
        "/usr/share/doc/hubdns/THIRD-PARTY",
        "/usr/share/hubdns/drop-ins/without-socket.conf",
    ] {
        // The root leaves documents out where dpkg installs them, to be small.
        let is_left_out = *ending == "deb" && (file.contains("/doc/") || file.contains("/man/"));
        assert!(is_left_out || machine.path(file).exists(), "{file}");
    }
    assert_eq!(machine.sh(configuration).trim(), "/etc/hubdns/hubdns.toml");
    let modes = machine
        .sh("stat --format=%a:%U:%G /usr/bin/hubdns /etc/hubdns /etc/hubdns/hubdns.toml \
         /usr/lib/systemd/system/hubdns.service");
    assert_eq!(modes, "755:root:root\n755:root:root\n644:root:root\n644:root:root\n");
    configure(&machine);
    machine.sh("systemctl enable --now hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    assert_eq!(machine.property("User"), "hubdns");

    // A key that only its group may read is readable.
    machine.sh(
        "echo secret >/etc/hubdns/key && chgrp hubdns /etc/hubdns/key && chmod 640 /etc/hubdns/key",
    );
    let uid = machine.process("Uid");
    let group = machine.sh("getent group hubdns");
    assert!(group.split(':').nth(2).is_some_and(|gid| uid.starts_with(gid)), "{group}: {uid}");

    upgrades_without_a_loss(&machine, kind);
    machine.sh(remove);
    eventually("it has ended", SOON, || {
        (machine.dig(DNS, SQS).is_empty() && !machine.path("/usr/bin/hubdns").exists())
            .then_some(())
    });
    let kept = machine.sh("ls /etc/hubdns");
    assert!(kept.contains("hubdns.toml"), "what was changed stays: {kept}");
    let state = "/var/lib/private/hubdns/inventory.json";
    assert!(machine.path(state).exists(), "what it has found out stays");
    assert!(!machine.try_sh("systemctl cat hubdns.service").1, "the unit has gone");
    if let Some(purge) = purge {
        machine.sh(purge);
        for gone in [state, "/var/log/private/hubdns", "/etc/hubdns/hubdns.toml"] {
            assert!(!machine.path(gone).exists(), "{gone}");
        }
        assert!(machine.path("/etc/hubdns/key").exists(), "what we did not bring stays");
    }
}

/// Whether another process than that answers.
fn is_new(machine: &Machine, before: &str) -> bool {
    machine.property("MainPID") != before && machine.property("ActiveState") == "active"
}

fn upgrades_without_a_loss(machine: &Machine, Kind { ending, install, .. }: &Kind) {
    // One that asks ten times a second and waits for 2 s loses nothing.
    let before = machine.property("MainPID");
    let (asked, lost) = thread::scope(|scope| {
        let upgrade = scope.spawn(|| machine.sh(&format!("{install} /root/next.{ending}")));
        let (mut asked, mut lost) = (0, 0);
        // The package does not wait for the new one.
        while !upgrade.is_finished() || asked < 30 || asked < 600 && !is_new(machine, &before) {
            asked += 1;
            lost += usize::from(machine.dig(DNS, SQS) != SQS_ADDRESSES);
            thread::sleep(Duration::from_millis(50));
        }
        (asked, lost)
    });
    assert_eq!(lost, 0, "of {asked} queries");
    assert!(is_new(machine, &before), "the new one runs");
    assert!(machine.sh("hubdns --version").contains(".99"));
    assert!(
        machine.sh("grep path /etc/hubdns/hubdns.toml").contains("\"hub\""),
        "it is the operator's"
    );
}

/// A machine whose files a package has brought.
fn installed(more: &str) -> Machine {
    let machine = Machine::boot();
    machine.install(more);
    machine.add_user();
    machine.copy("systemd/packages/postinst", "/root/postinst");
    machine
}

/// What dpkg does when it has brought the next ones, and what that says of hubdns.
fn upgrade(machine: &Machine) -> String {
    let (told, is_done) = machine.try_sh("timeout 20 sh /root/postinst configure 0.0.1");
    assert!(is_done, "{told}");
    told.split_once("hubdns: ").map(|(_, told)| told.to_owned()).unwrap_or_default()
}

#[test]
fn an_upgrade_does_not_wait_for_a_first_table() {
    let machine = installed("[forward]\nupstreams = []\n");
    machine.sh("rm -r /etc/hubdns/hub && systemctl start --no-block hubdns");
    let state = || machine.property("ActiveState");
    eventually("it waits", SOON, || (state() == "activating").then_some(()));
    let before = machine.property("InvocationID");
    assert_eq!(upgrade(&machine), "");
    let is_new = || machine.property("InvocationID") != before;
    eventually("the new one waits", SOON, || (is_new() && state() == "activating").then_some(()));
}

#[test]
fn an_upgrade_leaves_a_hub_alone_that_could_not_read_its_secrets() {
    let secrets = "cookie_secret_file = \"/etc/hubdns/secrets\"\n";
    let machine = installed(&format!("[forward]\nupstreams = []\n[server]\n{secrets}"));
    let put = |owner: &str| {
        machine.write("/etc/hubdns/secrets", "000102030405060708090a0b0c0d0e0f\n");
        machine.sh(&format!("chown {owner} /etc/hubdns/secrets && chmod 640 /etc/hubdns/secrets"));
    };
    put("root:hubdns");
    machine.sh("systemctl start hubdns");
    let before = machine.property("MainPID");
    put("root:root");
    machine.sh("hubdns check");
    let told = upgrade(&machine);
    assert!(told.contains("goes on") && told.contains("/etc/hubdns/secrets"), "{told}");
    assert_eq!(machine.property("MainPID"), before);

    put("root:hubdns");
    assert_eq!(upgrade(&machine), "");
    eventually("the new one runs", SOON, || is_new(&machine, &before).then_some(()));
}

#[test]
#[ignore = "wants packages: tests/service/packages.sh"]
fn a_deb_is_installed_upgraded_while_clients_ask_and_removed() {
    // What it recommends and depends on is in Debian's archive, which the machine does not reach.
    goes_through_its_life(&Kind {
        ending: "deb",
        install: "dpkg --install",
        remove: "dpkg --remove hubdns",
        purge: Some("dpkg --purge hubdns"),
        configuration: "dpkg-query --show --showformat='${Conffiles}' hubdns | cut -d' ' -f2",
    });
}

#[test]
#[ignore = "wants packages: tests/service/packages.sh"]
fn an_rpm_is_installed_upgraded_while_clients_ask_and_removed() {
    // Of a Debian rpm does not know what is there.
    goes_through_its_life(&Kind {
        ending: "rpm",
        install: "rpm --upgrade --nodeps",
        remove: "rpm --erase --nodeps hubdns",
        purge: None,
        configuration: "rpm --query --configfiles hubdns",
    });
}
