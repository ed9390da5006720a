//! Tools that the process tests share: a PKI, servers in threads, and the built loadgen.

pub mod h2;
pub mod misbehaving;
pub mod pki;
pub mod server;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pki::Pki;
use serde_json::Value;

/// Result of a run of loadgen.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The JSON report; null when there is none.
    pub json: Value,
}

/// A loadgen command against `port`, with the PKI's CA.
pub struct Loadgen {
    command: Command,
    json: std::path::PathBuf,
    address: String,
}

impl Loadgen {
    pub fn new(pki: &Pki, port: u16) -> Self {
        let json = pki.path("report.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(["--quiet", "--sni", "localhost"]);
        command
            .arg("--ca")
            .arg(pki.path("server-ca.pem"))
            .arg("--json")
            .arg(&json);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Loadgen {
            command,
            json,
            address: format!("127.0.0.1:{port}"),
        }
    }

    /// Another address than that of this machine by number.
    pub fn address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// Further options, separated by spaces.
    pub fn with(mut self, options: &str) -> Self {
        self.command.args(options.split_whitespace());
        self
    }

    /// Further options, as they are.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Presents the client certificate `name` of the PKI.
    pub fn identity(mut self, pki: &Pki, name: &str) -> Self {
        self.command.arg("--cert").arg(pki.path(&format!("{name}.pem")));
        self.command.arg("--key").arg(pki.path(&format!("{name}.key")));
        self
    }

    pub fn file(mut self, option: &str, path: &Path) -> Self {
        self.command.arg(option).arg(path);
        self
    }

    pub fn spawn(mut self) -> (Child, std::path::PathBuf) {
        self.command.arg("--address").arg(&self.address);
        (self.command.spawn().unwrap(), self.json)
    }

    pub fn run(self) -> Run {
        let (child, json) = self.spawn();
        Run::of(wait(child), &json)
    }
}

/// Waits for a process that ends by itself: one that does not is killed, and the test fails.
#[track_caller]
pub fn wait(mut child: Child) -> Output {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LONGEST_RUN {
            child.kill().unwrap();
            panic!("loadgen did not end: {:?}", child.wait_with_output());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Sends a signal to a process, by the name that `kill` knows.
#[track_caller]
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until something in this process has come about.
#[track_caller]
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONGEST_RUN, "never came about: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Far more than any run of these tests takes on a machine that is busy with other things.
const LONGEST_RUN: Duration = Duration::from_secs(60);

impl Run {
    pub fn of(output: Output, json: &Path) -> Self {
        let text = std::fs::read_to_string(json).unwrap_or_default();
        let run = Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
        };
        if !run.json.is_null() {
            run.check_account();
        }
        run
    }

    /// In every run: no operation that was asked for is lost, in any phase and altogether.
    #[track_caller]
    fn check_account(&self) {
        let phases = self.json["phases"].as_array().unwrap().iter();
        let accounts: Vec<&Value> = phases.map(|phase| &phase["account"]).collect();
        let run = &self.json["account"];
        for account in accounts.iter().chain([&run]) {
            let number = |field: &str| account[field].as_u64().unwrap();
            let known = ["ok", "failed", "not_resumed", "in_flight", "not_started"].map(number);
            assert_eq!(number("asked"), known.iter().sum::<u64>(), "{:#}", self.json);
            assert_eq!(account["balanced"], true);
        }
        for field in ["asked", "ok", "failed", "not_resumed", "in_flight", "not_started"] {
            let sum: u64 = accounts
                .iter()
                .map(|account| account[field].as_u64().unwrap())
                .sum();
            assert_eq!(run[field], sum, "{field} of all phases");
        }
        for field in ["ok", "failed", "not_resumed"] {
            let parts =
                self.number(&format!("/operations/{field}")) + self.number(&format!("/warm_up/{field}"));
            assert_eq!(run[field].as_f64(), Some(parts), "{field} of warm-up and window");
        }
        assert_eq!(run["in_flight"], self.json["window"]["in_flight_at_end"]);
    }

    /// Asserts the exit code and shows the output when it is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// A number of the report, by its JSON pointer.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> f64 {
        let value = self.json.pointer(pointer);
        value
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{pointer} is no number in\n{:#}", self.json))
    }

    /// The count of `kind` in the list at `pointer`.
    pub fn kind(&self, pointer: &str, kind: &str) -> u64 {
        let kinds = self
            .json
            .pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        kinds
            .iter()
            .find(|entry| entry["kind"] == kind)
            .map_or(0, |entry| entry["count"].as_u64().unwrap())
    }
}
