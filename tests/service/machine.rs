//! A machine with systemd as its first process, in a container: Debian 12, whose systemd is of the
//! version of Amazon Linux 2023. Nothing that is done to it outlives the test.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::support::{Process, eventually, run_with_input, venv};

/// It boots in half a second where nothing else runs.
const BOOT_MAX: Duration = Duration::from_secs(60);
/// How long it may take to go down by itself.
const HALT_MAX: Duration = Duration::from_secs(10);
/// For whatever happens below systemd.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A booted machine with a loopback of its own and no other interface. It goes down with this.
pub(crate) struct Machine {
    nspawn: Process,
    leader: u32,
    group: Group,
    dir: TempDir,
}

/// A control group that no other machine has: systemd takes that of whoever starts it for the whole of
/// its own.
struct Group {
    path: PathBuf,
}

/// The project's own folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

// === impl Machine ===

impl Machine {
    /// Boots a copy of the root that `tests/setup.sh` made; nothing of hubdns is in it.
    pub(crate) fn boot() -> Self {
        Self::boot_with(&[])
    }

    /// The same with these of this machine's files and folders in these places from the start on.
    pub(crate) fn boot_with(binds: &[(&Path, &str)]) -> Self {
        Self::boot_from(&venv().parent().unwrap().join("systemd-root"), binds)
    }

    /// Boots a copy of another root.
    pub(crate) fn boot_from(root: &Path, binds: &[(&Path, &str)]) -> Self {
        assert!(root.is_dir(), "{}: run tests/setup.sh", root.display());
        let dir = TempDir::new().unwrap();
        let group = Group::new();
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec systemd-nspawn \"$@\""])
            .arg(&group.path)
            .arg(format!("--directory={}", root.display()))
            // What is written is in memory.
            .args(["--volatile=overlay", "--private-network", "--boot", "--console=read-only"])
            .args(["--register=no", "--keep-unit"])
            .args(binds.iter().map(|(from, to)| format!("--bind={}:{to}", from.display())))
            .arg(format!("--machine={}", group.name()))
            // So that it is our sandbox that refuses this, and not the container.
            .arg("--capability=CAP_SYS_MODULE");
        let mut nspawn = Process::spawn("nspawn", &mut command, dir.path());
        let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
        let leader = eventually("systemd-nspawn has started systemd", BOOT_MAX, || {
            assert!(nspawn.ended().is_none(), "it wants root, and namespaces");
            let children = fs::read_to_string(&children).ok()?;
            // Before it there is one for a moment that makes the namespaces.
            let is_systemd = |pid: &&str| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it == "systemd\n")
            };
            children.split_whitespace().find(is_systemd)?.parse().ok()
        });
        let machine = Self { nspawn, leader, group, dir };
        eventually("it has booted", BOOT_MAX, || {
            let state = machine.try_sh("systemctl is-system-running");
            matches!(state.0.trim(), "running" | "degraded").then_some(())
        });
        machine
    }

    /// A file of this machine, seen from the test.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Copies a file of the project, or whatever has an absolute path, into it.
    pub(crate) fn copy(&self, from: impl AsRef<Path>, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(project().join(from), to).unwrap();
    }

    /// Puts hubdns into it as a package would, with the recorded hub for its source and this in its
    /// configuration. Nothing is started.
    pub(crate) fn install(&self, more: &str) {
        self.copy(env!("CARGO_BIN_EXE_hubdns"), "/usr/bin/hubdns");
        let program = self.path("/usr/bin/hubdns");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        for unit in ["hubdns.service", "hubdns.socket", "hubdns-refused.service"] {
            self.copy(format!("systemd/{unit}"), &format!("/usr/lib/systemd/system/{unit}"));
        }
        self.copy_hub();
        self.configure(more);
        self.sh("systemctl daemon-reload");
    }

    /// Adds the user that hubdns runs as, which packages bring.
    pub(crate) fn add_user(&self) {
        let to = "/usr/lib/sysusers.d/hubdns.conf";
        self.copy("systemd/hubdns.sysusers", to);
        self.sh(&format!("systemd-sysusers {to}"));
    }

    /// Puts the recorded hub where the configuration's `path = "hub"` finds it.
    pub(crate) fn copy_hub(&self) {
        for file in fs::read_dir(project().join("tests/fixtures/small")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            self.copy(file.path(), &format!("/etc/hubdns/hub/{name}"));
        }
    }

    /// Writes the configuration: what every one has, and this.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            "[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"hub\"\n\
             [health]\nprobe = \"off\"\n{more}"
        );
        self.write("/etc/hubdns/hubdns.toml", &text);
    }

    /// Adds one of `systemd/drop-ins/` to the service.
    pub(crate) fn drop_in(&self, name: &str) {
        let to = format!("/etc/systemd/system/hubdns.service.d/{name}");
        self.copy(format!("systemd/drop-ins/{name}"), &to);
        self.sh("systemctl daemon-reload");
    }

    /// What a script prints, both ways, and whether it ended well.
    pub(crate) fn try_sh(&self, script: &str) -> (String, bool) {
        let Output { status, mut stdout, stderr } = Command::new("nsenter")
            .args(["--target", &self.leader.to_string()])
            .args(["--mount", "--uts", "--ipc", "--net", "--pid"])
            .args(["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(["sh", "-c", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        stdout.extend(stderr);
        (String::from_utf8_lossy(&stdout).into_owned(), status.success())
    }

    /// What a script prints that ends well.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let (printed, is_good) = self.try_sh(script);
        assert!(is_good, "{script}: {printed}\n{}", self.journal());
        printed
    }

    /// What dig prints in short when it asks this machine, from inside; nothing without an answer.
    pub(crate) fn dig(&self, server: SocketAddr, question: &str) -> Vec<String> {
        let asked = Command::new("nsenter")
            .args(["--target", &self.leader.to_string(), "--net", "dig", "-r", "+short"])
            .args(["+tries=1", "+timeout=2", "-p", &server.port().to_string()])
            .arg(format!("@{}", server.ip()))
            .args(question.split_whitespace())
            .output()
            .expect("dig is installed: run tests/setup.sh");
        let printed = String::from_utf8(asked.stdout).unwrap();
        let printed = if asked.status.success() { &*printed } else { "" };
        let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    /// Starts a command in this machine's network and outside of all else.
    pub(crate) fn beside(&self, name: &str, words: &[&str]) -> Process {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader.to_string(), "--net"]).args(words);
        Process::spawn(name, &mut command, self.dir.path())
    }

    /// Whether it has gone down.
    pub(crate) fn is_down(&mut self) -> bool {
        self.nspawn.ended().is_some()
    }

    /// What it has written to its console.
    pub(crate) fn console(&self) -> String {
        self.nspawn.stdout()
    }

    /// Loads these rules.
    pub(crate) fn nft(&self, rules: &str) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader.to_string(), "--net", "nft", "--file", "-"]);
        let loaded = run_with_input(&mut command, rules.as_bytes());
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// One of the service's properties.
    pub(crate) fn property(&self, name: &str) -> String {
        self.sh(&format!("systemctl show --value --property={name} hubdns")).trim().to_owned()
    }

    /// A field of the daemon's `/proc/PID/status`.
    pub(crate) fn process(&self, field: &str) -> String {
        let status = self.sh(&format!("cat /proc/{}/status", self.property("MainPID")));
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned()
    }

    /// The end of what hubdns and systemd have said of each other.
    pub(crate) fn journal(&self) -> String {
        self.try_sh("journalctl --no-pager --lines=60 --unit=hubdns --unit=hubdns-refused --unit=hubdns.socket").0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let propagate = PathBuf::from("/run/systemd/nspawn/propagate").join(self.group.name());
        // SIGRTMIN+14: power off, now.
        let _ = Command::new("kill").args(["-RTMIN+14", &self.leader.to_string()]).status();
        let start = std::time::Instant::now();
        while self.nspawn.ended().is_none() && start.elapsed() < HALT_MAX {
            std::thread::sleep(Duration::from_millis(10));
        }
        // It leaves it where it is a folder of a disk.
        let _ = fs::remove_dir(propagate);
    }
}

// === impl Group ===

impl Group {
    fn new() -> Self {
        let top = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
        let top = top.map(Path::new).into_iter().find(|path| path.join("cgroup.procs").exists());
        let top = top.expect("the kernel has control groups");
        let path = top.join(format!("hubdns-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Those within go first; one with a process in it stays.
        let _ =
            Command::new("find").arg(&self.path).args(["-depth", "-type", "d", "-delete"]).status();
    }
}
