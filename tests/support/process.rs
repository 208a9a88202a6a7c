//! A child process that cannot outlive its test, and whose output is shown when the test fails.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(10);
/// What a failing test shows of each stream: the end of it, about four screens.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// A running child. Dropping it kills it by its id and waits for it.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Waits until `condition` gives a value, or panics with `what` after `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

/// What a command says to what it is given, once it has ended.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        piped.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Taken, so that it is closed behind the last octet; one that has ended may not have read it.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("it is our child")
}

/// What a script's clean-up may take, and then `timeout` kills it.
const CLEAN_UP: Duration = Duration::from_secs(20);

/// Runs one of the project's scripts with the daemon's path in `HUBDNS`; what it printed. Past `limit`
/// `timeout` stops it, and it still cleans up behind itself.
pub fn run_script(path: &str, limit: Duration, environment: &[(&str, &Path)]) -> String {
    let dir = tempfile::TempDir::new().expect("the machine has room for a folder");
    let mut command = Command::new("timeout");
    command
        // In our process group, so that whoever stops the test runner stops the script as well.
        .args(["--foreground", &format!("--kill-after={}", CLEAN_UP.as_secs())])
        .arg(limit.as_secs().to_string())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .env("HUBDNS", env!("CARGO_BIN_EXE_hubdns"))
        .envs(environment.iter().copied());
    let mut script = Process::spawn("script", &mut command, dir.path());
    let status = script.wait(limit + CLEAN_UP * 2);
    assert!(status.success(), "{path}: {status}; what it said is below");
    script.stdout()
}

// === impl Process ===

impl Process {
    /// Starts `command`; `dir` gets `NAME.stdout` and `NAME.stderr`. Its standard input stays
    /// open for as long as the guard lives.
    pub fn spawn(name: &str, command: &mut Command, dir: &Path) -> Self {
        let stdout = dir.join(format!("{name}.stdout"));
        let stderr = dir.join(format!("{name}.stderr"));
        let create = |path: &Path| File::create(path).expect("the test's folder takes files");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        Self { name: name.to_owned(), child, stdin, stdout, stderr }
    }

    /// Writes to its standard input.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it is open while the guard lives");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Sends a signal by name: `TERM`, `HUP`, `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill is installed");
        assert!(sent.success(), "SIG{name} did not reach {}", self.name);
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait(limit)
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, || self.ended())
    }

    /// Kills it outright, as the kernel does when memory is short.
    pub fn kill(&mut self) {
        drop(self.stdin.take());
        // An error means that it has ended already, and waiting then returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
    fn show(&self) {
        for (stream, path) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let text = read(path);
            let start = text.ceil_char_boundary(text.len().saturating_sub(SHOWN_BYTES_MAX));
            if !text.is_empty() {
                eprintln!("--- {} {stream}\n{}", self.name, &text[start..]);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            self.show();
        }
    }
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
