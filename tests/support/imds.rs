//! The double of the instance metadata service, `tests/aws/imds.py`.

use std::{path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use super::{
    double::venv,
    process::{Process, eventually},
};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running metadata service of an instance in eu-west-1. It ends with this value.
pub struct Imds {
    url: String,
    _process: Process,
    _dir: TempDir,
}

// === impl Imds ===

impl Imds {
    /// Starts one for an instance whose first interface is in this VPC.
    pub fn start(vpc: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/imds.py");
        let mut command = Command::new(venv().join("bin/python"));
        command.arg("-B").arg(script).args(["eu-west-1", "127.0.0.1:0", "", vpc]);
        let process = Process::spawn("imds", &mut command, dir.path());
        let url = eventually("the metadata double listens", START_LIMIT, || {
            let text = process.stdout();
            let line = text.strip_suffix('\n')?;
            line.strip_prefix("listening on ").map(str::to_owned)
        });
        Self { url, _process: process, _dir: dir }
    }

    /// What a command needs in its environment to ask it.
    pub fn environment(&self) -> [(&str, &str); 2] {
        [("AWS_EC2_METADATA_DISABLED", ""), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.url)]
    }
}
