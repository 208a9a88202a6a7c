//! What `packer/` runs on Amazon Linux, run on a Debian that has the same programs. dnf and grubby alone are
//! stood in for: they would want AWS's packages, and a boot loader.

use std::{env, fs, path::PathBuf};

use crate::{
    DNS, SQS, SQS_ADDRESSES,
    image::{GOOD, gives},
    machine::{Machine, project},
    packages::package,
};

/// Notes what it is asked, and installs what is a file.
const DNF: &str = "#!/bin/sh\necho \"dnf $*\" >>/root/asked\n\
     for it; do case $it in /*.rpm) exec rpm --install --nodeps \"$it\" ;; esac; done\n";
const GRUBBY: &str = "#!/bin/sh\necho \"grubby $*\" >>/root/asked\n";
/// Units of Amazon Linux that Debian has by other names, or not.
const UNITS: [&str; 3] = ["amazon-ssm-agent", "chronyd", "sshd"];

/// A machine as packer finds it, with what it uploads.
fn found() -> Machine {
    #[expect(clippy::disallowed_methods, reason = "where it is is for the script to say")]
    let root = env::var("HUBDNS_IMAGE_ROOT").expect("tests/service/packages.sh runs this");
    let machine = Machine::boot_from(&PathBuf::from(root), &[]);
    machine.write("/usr/bin/dnf", DNF);
    machine.write("/usr/bin/grubby", GRUBBY);
    for unit in UNITS {
        let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
        machine.sh(&format!("rm -f /etc/systemd/system/{unit}.service"));
        machine.write(&format!("/usr/lib/systemd/system/{unit}.service"), text);
    }
    machine.write("/etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=targeted\n");
    machine.write("/etc/audit/rules.d/audit.rules", "-D\n-a never,task\n");
    machine.write("/etc/dnf/dnf.conf", "[main]\ngpgcheck=True\n");
    machine.sh("chmod 755 /usr/bin/dnf /usr/bin/grubby && mkdir /tmp/hubdns-files && \
         cp /usr/share/systemd/tmp.mount /usr/lib/systemd/system && systemctl daemon-reload");
    machine.copy(package("HUBDNS_PACKAGES", "rpm"), "/tmp/hubdns.rpm");
    for (folder, to) in [("packer/files", "/tmp/hubdns-files"), ("packer/scripts", "/root")] {
        for file in fs::read_dir(project().join(folder)).unwrap() {
            let file = file.unwrap();
            machine.copy(file.path(), &format!("{to}/{}", file.file_name().to_str().unwrap()));
        }
    }
    machine
}

#[test]
#[ignore = "wants packages: tests/service/packages.sh"]
fn the_scripts_of_the_image_make_one_that_boots() {
    let machine = found();
    for script in ["install", "harden", "verify", "clean"] {
        machine.sh(&format!("env WITH_SSHD=false VIEW_PORTS=5301-5310 bash /root/{script}.sh"));
    }
    let asked = machine.sh("cat /root/asked");
    assert!(asked.contains("/tmp/hubdns.rpm") && asked.contains("grubby"), "{asked}");
    let zone = machine.sh("firewall-offline-cmd --zone=drop --list-all");
    for line in [
        "target: DROP",
        "icmp-block-inversion: yes",
        "services: dhcpv6-client dns-over-tls https hubdns",
        "ports: 5301-5310/udp 5301-5310/tcp",
    ] {
        assert!(zone.contains(line), "{zone}");
    }
    assert_eq!(machine.sh("firewall-offline-cmd --get-default-zone"), "drop\n");
    assert_eq!(machine.try_sh("systemctl is-enabled sshd").0, "masked\n");
    let left = machine.sh("cat /etc/machine-id; find /tmp -name '*hubdns*'");
    assert_eq!(left, "", "nothing of this machine is left");
    assert!(machine.sh("grep ^SELINUX= /etc/selinux/config").contains("enforcing"));

    // As an instance starts it.
    machine.sh("systemctl start hubdns-notrack && nft list table inet hubdns | grep 5301-5310");
    machine.copy_hub();
    machine.sh("mkdir -p /run/log/journal && systemctl daemon-reload");
    let _imds = gives(&machine, &format!("#hubdns\n{GOOD}"));
    machine.sh("systemctl start hubdns");
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
    // A configuration that is refused later has its script, which calls for nothing now.
    let script = "/usr/lib/hubdns/hubdns-refused";
    assert!(machine.sh("systemctl cat hubdns-refused").contains(&format!("ExecStart={script}\n")));
    machine.sh(&format!("MONITOR_EXIT_STATUS=1 {script} && systemctl start hubdns-refused"));
    assert_eq!(machine.dig(DNS, SQS), SQS_ADDRESSES);
}
