//! What the image of `packer/` adds to a machine: its configuration comes at boot, or it ends. And what
//! can be said of its template and scripts without AWS.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    machine::{Machine, SOON, project},
    support::{Process, eventually, venv},
};

/// A configuration that is good, but for the line that begins it.
pub(crate) const GOOD: &str = "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"/etc/hubdns/hub\"\n\
     [health]\nprobe = \"off\"\n[forward]\nupstreams = []\n";

/// Machines that end do so soon.
const SOON_CONF: &str = "[Service]\nEnvironment=HUBDNS_BOOT_WAIT_SECS=1\n";

/// A machine as the image makes it, with a metadata service that gives this user data.
fn boots(user_data: &str) -> (Machine, Process) {
    let machine = Machine::boot();
    machine.install("");
    machine.sh("rm /etc/hubdns/hubdns.toml && systemctl mask hubdns.socket");
    machine.drop_in("without-socket.conf");
    for (file, to) in [
        ("hubdns-boot", "/usr/lib/hubdns/hubdns-boot"),
        ("hubdns-boot.service", "/usr/lib/systemd/system/hubdns-boot.service"),
        ("boot.conf", "/etc/systemd/system/hubdns.service.d/boot.conf"),
        ("hubdns-refused", "/usr/lib/hubdns/hubdns-refused"),
        ("refused.conf", "/etc/systemd/system/hubdns-refused.service.d/refused.conf"),
    ] {
        machine.copy(format!("packer/files/{file}"), to);
    }
    for unit in ["hubdns-boot", "hubdns-refused"] {
        machine.write(&format!("/etc/systemd/system/{unit}.service.d/soon.conf"), SOON_CONF);
    }
    machine.sh("chmod 755 /usr/lib/hubdns/* && systemctl daemon-reload");
    machine.add_user();
    let imds = gives(&machine, user_data);
    (machine, imds)
}

/// A metadata service beside this machine.
pub(crate) fn gives(machine: &Machine, user_data: &str) -> Process {
    let address = ["ip", "address", "add", "169.254.169.254/32", "dev", "lo"];
    assert!(machine.beside("address", &address).wait(SOON).success());
    gives_with(machine, user_data, &[])
}

/// The same, with tags, where the address is there.
fn gives_with(machine: &Machine, user_data: &str, tags: &[&str]) -> Process {
    machine.write("/root/user-data", user_data);
    let imds = project().join("tests/aws/imds.py");
    let data = machine.path("/root/user-data");
    let [imds, data] = [&imds, &data].map(|path| path.to_str().unwrap());
    let imds = ["python3", imds, "eu-west-1", "169.254.169.254:80", data, ""];
    let imds = machine.beside("imds", &[&imds, tags].concat());
    eventually("the metadata service listens", SOON, || {
        imds.stdout().contains("listening").then_some(())
    });
    imds
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
    // Which root could read.
    let secrets = "#hubdns\n[server]\ncookie_secret_file = \"/etc/shadow\"\n";
    ends(&format!("{secrets}{GOOD}"), "/etc/shadow: it cannot be read");
}

#[test]
fn a_hub_that_dies_is_started_again_by_its_machine_which_stays() {
    let (mut machine, _imds) = boots(&format!("#hubdns\n{GOOD}"));
    machine.sh("systemctl start hubdns");
    let before = machine.property("MainPID");
    machine.sh("systemctl kill --kill-who=main --signal=KILL hubdns");
    eventually("another process answers", SOON, || {
        assert!(!machine.is_down(), "{}", machine.console());
        let is_new = machine.property("MainPID") != before;
        (is_new && machine.dig(DNS, SQS) == SQS_ADDRESSES).then_some(())
    });
    assert!(!machine.is_down(), "{}", machine.console());
}

/// What `packer/scripts/install.sh` leaves in `/etc/systemd/system`, and user data that are a file.
fn enabled(user_data: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let [system, hubdns] = ["system", "hubdns"].map(|name| folder.path().join(name));
    let root = venv().parent().unwrap().join("systemd-root/etc/systemd/system");
    assert!(Command::new("cp").arg("-a").args([&root, &system]).status().unwrap().success());
    for (file, to) in [
        ("systemd/hubdns.service", "system/hubdns.service"),
        ("systemd/hubdns-refused.service", "system/hubdns-refused.service"),
        ("packer/files/hubdns-boot.service", "system/hubdns-boot.service"),
        ("packer/files/boot.conf", "system/hubdns.service.d/boot.conf"),
        ("packer/files/refused.conf", "system/hubdns-refused.service.d/refused.conf"),
        ("systemd/drop-ins/without-socket.conf", "system/hubdns.service.d/without-socket.conf"),
        ("packer/files/hubdns-boot", "lib/hubdns-boot"),
        ("packer/files/hubdns-refused", "lib/hubdns-refused"),
    ] {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(project().join(file), to).unwrap();
    }
    for unit in ["hubdns.service", "hubdns-boot.service"] {
        let wants = system.join("multi-user.target.wants");
        symlink(format!("../{unit}"), wants.join(unit)).unwrap();
    }
    symlink("/dev/null", system.join("hubdns.socket")).unwrap();
    let soon = system.join("hubdns-boot.service.d/soon.conf");
    fs::create_dir(soon.parent().unwrap()).unwrap();
    let boot = "/usr/lib/hubdns/hubdns-boot";
    fs::write(soon, format!("[Service]\nExecStart=\nExecStart={boot} /etc/hubdns/user-data\n"))
        .unwrap();
    fs::write(system.join("hubdns-refused.service.d/soon.conf"), SOON_CONF).unwrap();
    fs::create_dir(&hubdns).unwrap();
    fs::write(hubdns.join("user-data"), user_data).unwrap();
    let hub = project().join("tests/fixtures/small");
    let hub = Command::new("cp").arg("-r").arg(hub).arg(hubdns.join("hub")).status();
    assert!(hub.unwrap().success());
    folder
}

#[test]
fn a_hub_is_there_after_the_boot_on_any_port_and_one_that_is_refused_ends_the_machine() {
    let listen = "[server]\nlisten = [\"127.0.0.7:53\", \"127.0.0.7:853\"]\n";
    let folder = enabled(&format!("#hubdns\n{GOOD}{listen}"));
    let user = project().join("systemd/hubdns.sysusers");
    let mut machine = Machine::boot_with(&[
        (&folder.path().join("system"), "/etc/systemd/system"),
        (&folder.path().join("hubdns"), "/etc/hubdns"),
        (&folder.path().join("lib"), "/usr/lib/hubdns"),
        (&user, "/usr/lib/sysusers.d/hubdns.conf"),
        (Path::new(env!("CARGO_BIN_EXE_hubdns")), "/usr/bin/hubdns"),
    ]);
    // Nobody has started it but the boot, whose orders do not go round.
    eventually("it answers", SOON, || (machine.dig(DNS, SQS) == SQS_ADDRESSES).then_some(()));
    assert_eq!(machine.dig("127.0.0.7:853".parse().unwrap(), SQS), SQS_ADDRESSES);
    let told = machine
        .sh("journalctl --no-pager _PID=1; systemd-analyze verify multi-user.target 2>&1 || true");
    assert!(!told.contains("cycle"), "{told}");

    machine.write("/etc/hubdns/hubdns.toml", "[server]\nlisten = 53\n");
    machine.try_sh("systemctl restart --no-block hubdns");
    eventually("the machine ends", SOON, || machine.is_down().then_some(()));
    let told = machine.console();
    assert!(told.contains("hubdns-refused: ") && told.contains("listen = 53"), "{told}");
}

#[test]
fn a_hub_that_is_started_again_in_time_keeps_its_machine() {
    let (mut machine, _imds) = boots(&format!("#hubdns\n{GOOD}"));
    machine.sh("rm /etc/systemd/system/hubdns-refused.service.d/soon.conf && \
         systemctl daemon-reload && systemctl start hubdns");
    machine.write("/etc/hubdns/hubdns.toml", "[server]\nlisten = 53\n");
    assert!(!machine.try_sh("systemctl restart hubdns").1);
    let state = || machine.try_sh("systemctl is-active hubdns-refused").0;
    eventually("it leaves time to look", SOON, || (state() == "activating\n").then_some(()));
    machine.write("/etc/hubdns/hubdns.toml", GOOD);
    machine.sh("systemctl restart hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    assert_eq!(state(), "inactive\n");
    assert!(!machine.is_down());
}

#[test]
fn a_hub_tells_its_stack_once_and_no_longer_than_the_stack_listens() {
    let machine = Machine::boot();
    machine.copy("packer/files/hubdns-ready", "/usr/lib/hubdns/hubdns-ready");
    // AWS's command says what the file says, and ends well if that is nothing.
    machine.write(
        "/usr/bin/aws",
        "#!/bin/sh\necho \"$*\" >>/root/asked\ncat /root/told >&2\n[ ! -s /root/told ]\n",
    );
    machine.sh("chmod 755 /usr/bin/aws /usr/lib/hubdns/hubdns-ready");
    let tells = |aws: &str| {
        machine.write("/root/told", aws);
        machine.try_sh("/usr/lib/hubdns/hubdns-ready")
    };
    assert!(!tells("").1, "not to know is no end");
    let address = ["ip", "address", "add", "169.254.169.254/32", "dev", "lo"];
    assert!(machine.beside("address", &address).wait(SOON).success());
    let imds = gives_with(&machine, "", &["hubdns:stack=hub", "hubdns:group=GroupA"]);
    assert!(tells("").1);
    let asked = "cloudformation signal-resource --region eu-west-1 --stack-name hub \
                 --logical-resource-id GroupA --unique-id i-0123456789abcdef0 --status SUCCESS\n";
    assert_eq!(machine.sh("cat /root/asked"), asked);
    let over = "An error occurred (ValidationError) when calling the SignalResource operation: \
                Stack:hub is in CREATE_COMPLETE state and can not be signaled.";
    assert!(tells(over).1);
    let (printed, is_good) = tells("An error occurred (AccessDenied)");
    assert!(!is_good && printed.contains("AccessDenied"), "{printed}");
    drop(imds);
    let _imds = gives_with(&machine, "", &[]);
    assert!(tells("An error occurred").1, "who is of no stack tells nobody");
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
