//! The built `loadgen`, run to its end: scenarios, and the PKI that it makes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::pki::Pki;
use crate::server::Server;
use crate::workdir::Workdir;

/// End of a run.
pub struct Loaded {
    pub code: Option<i32>,
    /// Both output streams.
    pub text: String,
    /// The JSON report; null when there is none.
    pub report: Value,
}

/// A folder with what `loadgen pki` has made in `pki/`, and the scenario to run.
pub struct Loadgen(Workdir);

impl Loadgen {
    /// Makes certificates: so many good ones, and so many of each bad kind.
    pub fn new(identities: u32, bad: u32) -> Self {
        let workdir = Workdir::new();
        workdir.write("server-ca.pem", Pki::shared().servers.pem());
        let made = Command::new(binary())
            .args(["pki", "--quiet", "--identities", &identities.to_string()])
            .args(["--bad", &bad.to_string(), "--out"])
            .arg(workdir.file("pki"))
            .status();
        assert!(made.is_ok_and(|status| status.success()), "loadgen pki");
        Self(workdir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file of the PKI.
    pub fn pki(&self, name: &str) -> String {
        let path = self.0.file("pki").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Runs this scenario, without its `[target]`, against the edge of `server`.
    pub fn run(&self, server: &Server, scenario: &str) -> Loaded {
        let (json, name) = (self.0.file("report.json"), crate::config::EDGE_NAME);
        let output = Command::new(binary())
            .args([
                "--quiet",
                "--sni",
                name,
                "--address",
                &server.address().to_string(),
            ])
            .args(["--server-pid", &server.pid().to_string(), "--ca"])
            .arg(self.0.file("server-ca.pem"))
            .args(["--wait", "60s"]) // on a busy machine the last operations may need it
            .arg("--scenario")
            .arg(self.0.write("scenario.toml", scenario))
            .arg("--json")
            .arg(&json)
            .stdin(Stdio::null())
            .output()
            .expect("loadgen starts");
        let report = std::fs::read_to_string(&json).unwrap_or_default();
        let loaded = Loaded {
            code: output.status.code(),
            text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            report: serde_json::from_str(&report).unwrap_or(Value::Null),
        };
        if !loaded.report.is_null() {
            loaded.check_account();
        }
        loaded
    }
}

impl Loaded {
    /// The entry of the mix of this name.
    pub fn entry(&self, name: &str) -> &Value {
        self.named("entries", name)
    }

    pub fn phase(&self, name: &str) -> &Value {
        self.named("phases", name)
    }

    /// No operation that was asked for is lost, in any phase and altogether.
    fn check_account(&self) {
        let phases = self.report["phases"].as_array().map_or(&[][..], Vec::as_slice);
        let accounts = phases.iter().map(|phase| &phase["account"]);
        for account in accounts.chain([&self.report["account"]]) {
            let number = |field: &str| account[field].as_u64().expect("a number");
            let known = ["ok", "failed", "not_resumed", "in_flight", "not_started"].map(number);
            assert_eq!(number("asked"), known.iter().sum::<u64>(), "{}", self.text);
        }
    }

    fn named(&self, list: &str, name: &str) -> &Value {
        let entries = self.report[list].as_array().map_or(&[][..], Vec::as_slice);
        let found = entries.iter().find(|entry| entry["name"] == name);
        found.unwrap_or_else(|| panic!("{list} has no {name}:\n{}", self.text))
    }
}

/// `LOADGEN_BIN`, or the one that the same cargo profile built.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LOADGEN_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent);
    let path = profile.expect("target/<profile>/deps/<test>").join("loadgen");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build -p loadgen` first, or set LOADGEN_BIN",
        path.display()
    );
    path
}
