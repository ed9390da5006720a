//! `loadgen pki`: the files, who may read them, and that they are of use.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

fn make(folder: &Path, options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["pki", "--out"])
        .arg(folder)
        .args(options.split_whitespace())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_folder_has_what_the_help_says_and_private_keys_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("new/pki");
    let output = make(&pki, "--identities 30 --bad 4 --server-name edge.example.com");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("30 good clients"), "{}", stderr(&output));
    let help = make(&pki, "--help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let mut files = 0;
    for entry in std::fs::read_dir(&pki).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(
            help.contains(&format!("  {name} ")),
            "{name} is not in the help:\n{help}"
        );
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(
            mode == 0o600,
            text.contains("PRIVATE KEY"),
            "{name} has mode {mode:o}"
        );
        files += 1;
    }
    assert_eq!(files, 10);
    for (bundle, clients) in [
        ("good.pem", 30),
        ("expired.pem", 4),
        ("untrusted.pem", 4),
        ("revoked.pem", 4),
    ] {
        let text = std::fs::read_to_string(pki.join(bundle)).unwrap();
        assert_eq!(text.matches("BEGIN PRIVATE KEY").count(), clients, "{bundle}");
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2 * clients, "{bundle}");
    }
    let serials = std::fs::read_to_string(pki.join("revoked-serials.txt")).unwrap();
    assert_eq!(
        serials.lines().filter(|line| line.len() == 32).count(),
        4,
        "{serials}"
    );
}

#[test]
fn what_is_there_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("precious"), "").unwrap();
    let output = make(folder.path(), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("the folder is not empty"),
        "{}",
        stderr(&output)
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_server_name_that_cannot_be_in_a_certificate_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let output = make(&folder.path().join("pki"), "--server-name \u{e4}.example");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--server-name"), "{}", stderr(&output));
}

#[test]
fn every_kind_of_key_makes_identities_that_are_loaded() {
    for kind in ["p256", "p384", "ed25519", "rsa2048"] {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let output = make(&pki, &format!("--identities 2 --bad 1 --quiet --key {kind}"));
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), ""),
            "{kind}"
        );
        let good = pki.join("good.pem");
        assert!(CertificateDer::from_pem_file(&good).is_ok());
        // Nobody listens there: that it comes to a connection says that the identities were taken.
        let loadgen = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args([
                "--address",
                "127.0.0.1:1",
                "--insecure",
                "--requests",
                "1",
                "--quiet",
                "--bundle",
            ])
            .arg(&good)
            .output()
            .unwrap();
        assert_eq!(loadgen.status.code(), Some(1), "{kind}: {}", stderr(&loadgen));
        let stdout = String::from_utf8_lossy(&loadgen.stdout).into_owned();
        assert!(stdout.contains("2 client certificates"), "{kind}: {stdout}");
    }
}
