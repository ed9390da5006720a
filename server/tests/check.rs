//! `bothways check`, with and without the eyes of the service's user.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

const CONFIG: &str = r#"
[control]
socket = "run/control.sock"
[logs.connection]
sink = { file = "log/connection.log" }
[[listeners]]
address = "127.0.0.1:0"
[[trust_stores]]
name = "t"
ca_bundle = "ca.pem"
revocations = ["serials.txt"]
[[distributions]]
id = "E1"
default = true
certificate = "ca.pem"
private_key = "server.key"
viewer_mtls = { mode = "required", trust_store = "t" }
origins = [{ id = "o", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "o" }]
"#;

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self(folder);
        bench.mode("", 0o755);
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(["edge.example.com".to_owned()]).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        bench.write("ca.pem", &root.self_signed(&key).unwrap().pem());
        bench.write("server.key", &key.serialize_pem());
        bench.write("serials.txt", "01\n");
        bench.write("edge.toml", CONFIG);
        for name in ["run", "log"] {
            fs::create_dir(bench.0.path().join(name)).unwrap();
            bench.mode(name, 0o777);
        }
        bench
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
        self.mode(name, 0o644);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.0.path().join(name), Permissions::from_mode(mode)).unwrap();
    }

    fn check(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bothways"))
            .args(["check", "--config"])
            .arg(self.0.path().join("edge.toml"))
            .args(more)
            .output()
            .unwrap()
    }

    /// A user that is not root: another one where we are, so that its rights count.
    fn check_as_user(&self) -> Output {
        let us = fs::metadata(self.0.path()).unwrap();
        let user = match us.uid() {
            0 => "65534:65534".to_owned(),
            uid => format!("{uid}:{}", us.gid()),
        };
        self.check(&["--as-user", &user])
    }
}

fn refused(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part}\n{stderr}");
    }
}

#[test]
fn what_the_services_user_may_read_and_write_is_fine() {
    let bench = Bench::new();
    let output = bench.check_as_user();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("ok: 1 listeners"), "{stdout}");
}

#[test]
fn every_file_and_folder_that_the_services_user_cannot_use_is_told_at_once() {
    let bench = Bench::new();
    // Nobody may, and root may all the same.
    bench.mode("server.key", 0);
    bench.mode("serials.txt", 0);
    bench.mode("run", 0o555);
    bench.write("log/connection.log", "");
    bench.mode("log/connection.log", 0o444);
    refused(
        &bench.check_as_user(),
        &[
            "distributions[0].private_key: cannot read ",
            "server.key: Permission denied",
            "trust_stores[0].revocations[0]: cannot read ",
            "control.socket: cannot make the socket: the folder ",
            "logs.connection.sink.file: cannot append to ",
        ],
    );
    bench.mode("edge.toml", 0);
    refused(
        &bench.check_as_user(),
        &["edge.toml: cannot read the configuration", "as user "],
    );
}

#[test]
fn folders_that_are_missing_are_told_by_every_check() {
    let bench = Bench::new();
    fs::remove_dir(bench.0.path().join("run")).unwrap();
    fs::remove_dir(bench.0.path().join("log")).unwrap();
    refused(
        &bench.check(&[]),
        &[
            "control.socket: cannot make the socket: the folder ",
            "logs.connection.sink.file: cannot make the log: the folder ",
        ],
    );
}

#[test]
fn a_user_that_does_not_exist_is_told_so() {
    refused(
        &Bench::new().check(&["--as-user", "no-such-user"]),
        &["no user is named \"no-such-user\"", "UID:GID"],
    );
}

#[test]
fn the_version_tells_what_was_built_how() {
    let output = Command::new(env!("CARGO_BIN_EXE_bothways"))
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in ["bothways ", "revision: ", "rustc: 1.", "target: "] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}\n{text}"
        );
    }
}

/// The examples for systemd and logrotate name commands and options that there are.
#[test]
fn the_examples_for_production_call_commands_that_exist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/production");
    let mut called = 0;
    for file in ["bothways.service", "bothways.logrotate"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let commands = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in commands.filter_map(|line| line.split_once("/usr/bin/bothways ").map(|(_, line)| line)) {
            let arguments = line.split(" >").next().unwrap().split(' ');
            let output = Command::new(env!("CARGO_BIN_EXE_bothways"))
                .args(arguments)
                .arg("--help")
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{file}: {line}: {output:?}");
            called += 1;
        }
    }
    assert_eq!(called, 3, "serve, reload, logs reopen");
}

/// The text between the line with `from` and the next that is END.
fn here_document(text: &str, from: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.contains(from)).skip(1);
    let document = lines.take_while(|line| *line != "END");
    document.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_configurations_of_readme_and_demo_are_fine_with_the_pki_that_they_make() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(top.join(name)).unwrap();
    let bench = Bench::new();
    let made = Command::new(top.join("scripts/gen-pki"))
        .arg(bench.0.path().join("pki"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    for (name, from) in [("README.md", "/edge.toml <<"), ("scripts/demo", "cat <<END")] {
        let text = here_document(&read(name), from);
        assert!(text.contains("[[distributions]]"), "{name}: {text}");
        bench.write("edge.toml", &text.replace("$origin", "127.0.0.1:1"));
        let checked = bench.check(&[]);
        assert_eq!(checked.status.code(), Some(0), "{name}: {checked:?}");
    }
}
