//! What `hubdns export` makes for other software, fed to that software.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::{
    ADDRESSES, OURS, settled,
    software::{BIND, DNSMASQ, Software, UNBOUND},
    support::{daemon, try_dig},
    world::{PRIVATE, World},
};

/// A name below a wildcard of ours, and one of a vendor.
const BELOW: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";
const VENDOR: &str = "ingest.metrics-vendor.example";

/// What a command prints, when it is content.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {out}{said}");
    out
}

/// The software with what was exported for it, behind `before`, forwards names of ours and no others.
#[track_caller]
fn forwards(software: &Software, format: &str, before: &str, check: &[&str]) {
    let world = World::signed("");
    let words = format!("export forwarders --format {format} --targets {}", world.hubdns.dns());
    let text = printed(&mut world.hubdns.command(&words));
    let resolver = software.start_exported(format!("{before}{text}"));
    settled(&resolver, format);
    assert_eq!(resolver.dig(&format!("{OURS} A")).data("A"), ADDRESSES, "{text}");
    for name in [BELOW, VENDOR, PRIVATE] {
        let answer = resolver.dig(&format!("{name} A"));
        assert!(!answer.data("A").is_empty(), "{format}: {name}: {}\n{text}", answer.raw);
    }
    // hubdns would answer it, and is not asked: where nobody else can be, that takes the resolver long.
    if let Ok(other) = try_dig(resolver.address(), "www.corp.example A") {
        assert!(other.data("A").is_empty(), "{format}: {}", other.raw);
    }
    let [program, words @ .., file] = check else { panic!("{check:?}") };
    let file = format!("{}{file}", resolver.dir().display());
    printed(daemon(program).args(words).arg(file));
}

#[test]
fn bind_takes_its_forwarders() {
    forwards(&BIND, "bind", "", &["named-checkconf", "/named.conf"]);
}

#[test]
fn unbound_takes_its_forwarders_and_believes_private_addresses() {
    // Who waits for it asks for the root, of which nobody else tells it here.
    let strict = "server:\n    private-address: 10.0.0.0/8\n    local-zone: \".\" transparent\n    \
                  local-data: \". 60 IN SOA root. root. 1 1 1 1 1\"\n";
    forwards(&UNBOUND, "unbound", strict, &["unbound-checkconf", "/unbound.conf"]);
}

#[test]
fn dnsmasq_takes_its_forwarders_and_believes_private_addresses() {
    let check = ["dnsmasq", "--test", "-C", "/dnsmasq.conf"];
    forwards(&DNSMASQ, "dnsmasq", "stop-dns-rebind\n", &check);
}

#[test]
fn a_zone_file_is_a_zone_and_has_what_is_answered() {
    let world = World::bare();
    for (words, origin) in
        [("export zone", "."), ("export zone --origin eu-west-1.api.aws", "eu-west-1.api.aws")]
    {
        let text = printed(&mut world.hubdns.command(words));
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("zone");
        fs::write(&file, &text).unwrap();
        let read =
            printed(daemon("named-checkzone").args(["-q", "-D", "-o", "-", origin]).arg(&file));
        let addresses = |name: &str| -> Vec<String> {
            let of_it = read.lines().filter(|line| line.split_whitespace().next() == Some(name));
            let mut data: Vec<String> = of_it
                .filter(|line| line.contains("IN A"))
                .map(|line| line.split_whitespace().last().unwrap().to_owned())
                .collect();
            data.sort();
            data
        };
        for name in [OURS, "lambda.eu-west-1.api.aws"] {
            let expected = match origin {
                "." => true,
                origin => name.ends_with(origin),
            };
            let answer = world.hubdns.dig(&format!("{name} A"));
            let wanted = if expected { answer.data("A") } else { vec![] };
            assert_eq!(addresses(&format!("{name}.")), wanted, "{read}");
        }
    }
}
