//! What the image of `packer/` adds to a machine: its configuration comes at boot, or it ends. And what
//! can be said of its template and scripts without AWS.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, SOON, project},
    support::{Process, eventually},
};

/// A configuration that is good, but for the line that begins it.
const GOOD: &str = "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"/etc/hubdns/hub\"\n\
     [health]\nprobe = \"off\"\n[forward]\nupstreams = []\n";

/// A machine as the image makes it, with a metadata service that gives this user data.
fn boots(user_data: &str) -> (Machine, Process) {
    let machine = Machine::boot();
    machine.install("");
    machine.sh("rm /etc/hubdns/hubdns.toml");
    for (file, to) in [
        ("hubdns-boot", "/usr/lib/hubdns/hubdns-boot"),
        ("hubdns-boot.service", "/usr/lib/systemd/system/hubdns-boot.service"),
        ("boot.conf", "/etc/systemd/system/hubdns.service.d/boot.conf"),
    ] {
        machine.copy(format!("packer/files/{file}"), to);
    }
    machine.write(
        "/etc/systemd/system/hubdns-boot.service.d/soon.conf",
        "[Service]\nEnvironment=HUBDNS_BOOT_WAIT_SECS=0\n",
    );
    machine.write("/root/user-data", user_data);
    machine.sh("chmod 755 /usr/lib/hubdns/hubdns-boot && systemctl daemon-reload");
    let address = ["ip", "address", "add", "169.254.169.254/32", "dev", "lo"];
    assert!(machine.beside("address", &address).wait(SOON).success());
    let imds = project().join("tests/aws/imds.py");
    let data = machine.path("/root/user-data");
    let [imds, data] = [&imds, &data].map(|path| path.to_str().unwrap());
    let imds = ["python3", imds, "eu-west-1", "169.254.169.254:80", data];
    let imds = machine.beside("imds", &imds);
    eventually("the metadata service listens", SOON, || {
        imds.stdout().contains("listening").then_some(())
    });
    (machine, imds)
}

/// The machine ends, and its console says why.
fn ends(user_data: &str, why: &str) {
    let (mut machine, _imds) = boots(user_data);
    machine.try_sh("systemctl start --no-block hubdns");
    eventually("the machine ends", SOON, || machine.is_down().then_some(()));
    assert!(machine.console().contains(why), "{}", machine.console());
}

#[test]
fn an_instance_takes_its_configuration_from_user_data() {
    let (machine, _imds) = boots(&format!("#hubdns\n{GOOD}"));
    machine.sh("systemctl start hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    assert!(machine.sh("cat /etc/hubdns/hubdns.toml").ends_with(GOOD));
}

#[test]
fn an_instance_takes_its_configuration_from_a_parameter() {
    let (machine, _imds) = boots("#hubdns parameter=/hubdns/site\n");
    machine.write("/root/site", GOOD);
    // In place of AWS's command, which is large.
    let expected = "ssm get-parameter --region eu-west-1 --name /hubdns/site --with-decryption \
                    --query Parameter.Value --output text";
    machine.write(
        "/usr/bin/aws",
        &format!("#!/bin/sh\n[ \"$*\" = '{expected}' ] && cat /root/site\n"),
    );
    machine.sh("chmod 755 /usr/bin/aws && systemctl start hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
}

#[test]
fn an_instance_with_a_bad_configuration_or_none_ends_and_tells_why() {
    ends("#hubdns\n[server]\nlisten = 53\n", "the configuration is refused");
    ends("#!/bin/sh\necho hello\n", "and not #hubdns");
}

#[test]
fn the_template_is_written_as_packer_writes_it_and_can_be_read() {
    let packer = project().join("packer");
    let run = |words: &[&str], folder: &Path| {
        let run =
            Command::new("packer").args(words).arg(folder).env("CHECKPOINT_DISABLE", "1").output();
        let run = run.expect("packer is installed: run tests/setup.sh");
        assert!(run.status.success(), "{words:?}: {run:?}");
    };
    run(&["fmt", "-check", "-diff"], &packer);
    // Of this version: before 1.7 there were no plugins to name.
    let folder = TempDir::new().unwrap();
    fs::copy(packer.join("hubdns.pkr.hcl"), folder.path().join("hubdns.pkr.hcl")).unwrap();
    run(&["validate", "-syntax-only"], folder.path());
}

#[test]
fn scripts_are_clean_and_each_step_has_its_item() {
    let mut scripts = vec![project().join("systemd/package.sh")];
    for folder in [
        "config/aws",
        "packer/scripts",
        "packer/files",
        "systemd/packages",
        "tests",
        "tests/service",
        "tests/restart",
    ] {
        for file in fs::read_dir(project().join(folder)).unwrap().map(|entry| entry.unwrap().path())
        {
            if file.is_file() && fs::read(&file).unwrap().starts_with(b"#!/") {
                scripts.push(file);
            }
        }
    }
    scripts.retain(|file| file.extension().is_none_or(|ending| ending != "py"));
    let checked = Command::new("shellcheck").arg("--severity=warning").args(&scripts).output();
    let checked = checked.expect("shellcheck is installed: run tests/setup.sh");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let page = fs::read_to_string(project().join("docs/HARDENING.md")).unwrap();
    let harden = fs::read_to_string(project().join("packer/scripts/harden.sh")).unwrap();
    let steps = harden.lines().filter_map(|line| line.strip_prefix("step '["));
    let steps: Vec<&str> = steps.map(|line| line.split(']').next().unwrap()).collect();
    let rows: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| line.split('`').next().unwrap())
        .collect();
    assert_eq!(rows, steps, "each step has a row, in order");
}
