//! The launch article's own way to a PKI: its `openssl` commands, run by the real `openssl`, questions
//! answered on standard input as a reader would answer them.
//!
//! With OpenSSL 3.0 the client's certificate comes out as X.509 version 1 without extensions: the last
//! command asks for none, and that is the point of running it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::workdir::Workdir;

pub const BUNDLE: &str = "Trust_store_bundle.pem";

/// Root and intermediate with 4096-bit keys.
const AUTHORITIES: &[(&str, &[&str])] = &[
    ("openssl genrsa -out rootCA.key 4096", &[]),
    (
        "openssl req -new -x509 -days 3650 -key rootCA.key -out rootCA.pem",
        &[
            "US",
            "Washington",
            "Seattle",
            "mTLS",
            "rootCA",
            "rootcamtls.com",
            ".",
        ],
    ),
    ("openssl genrsa -out intermediateCA.key 4096", &[]),
    (
        "openssl req -new -key intermediateCA.key -out intermediateCA.csr",
        &[
            "US",
            "Washington",
            "Seattle",
            "mTLS",
            "intermediateCA",
            "intermediatecamtls.com",
            ".",
            "",
            "",
        ],
    ),
    (
        "openssl x509 -req -days 3650 -in intermediateCA.csr -CA rootCA.pem -CAkey rootCA.key -set_serial 01 \
         -extfile intermediateCA.cnf -out intermediateCA.pem -sha256",
        &[],
    ),
];

/// A client under the root, as the article has it, and with the same key one under the intermediate. Neither
/// command asks for extensions.
const CLIENTS: &[(&str, &[&str])] = &[
    ("openssl genrsa -out client.key 2048", &[]),
    (
        "openssl req -new -key client.key -out client.csr",
        &[
            "US",
            "Washington",
            "Seattle",
            "mTLS",
            "client-3",
            "client_.com",
            ".",
            "",
            "",
        ],
    ),
    (
        "openssl x509 -req -days 365 -in client.csr -CA rootCA.pem -CAkey rootCA.key \
         -set_serial 01 -out client.pem -sha256",
        &[],
    ),
    (
        "openssl x509 -req -days 365 -in client.csr -CA intermediateCA.pem -CAkey intermediateCA.key \
         -set_serial 01 -out client-of-intermediate.pem -sha256",
        &[],
    ),
];

/// The folder in which the commands were run.
pub struct ArticlePki(Workdir);

impl ArticlePki {
    #[allow(
        clippy::new_without_default,
        reason = "running nine commands is no default value"
    )]
    pub fn new() -> Self {
        let pki = Self(Workdir::new());
        pki.0.write(
            "intermediateCA.cnf",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
        );
        pki.run(AUTHORITIES);
        pki.0
            .write(BUNDLE, pki.read("rootCA.pem") + &pki.read("intermediateCA.pem"));
        pki.run(CLIENTS);
        pki
    }

    pub fn bundle(&self) -> String {
        self.read(BUNDLE)
    }

    /// Under the root, and under the intermediate.
    pub fn client_certificates(&self) -> [PathBuf; 2] {
        ["client.pem", "client-of-intermediate.pem"].map(|name| self.0.file(name))
    }

    pub fn client_key(&self) -> PathBuf {
        self.0.file("client.key")
    }

    /// `openssl x509 -text` of the client's certificate under the root.
    pub fn client_certificate_text(&self) -> String {
        self.openssl("openssl x509 -in client.pem -noout -text", &[])
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.file(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    fn run(&self, commands: &[(&str, &[&str])]) {
        for (command, answers) in commands {
            self.openssl(command, answers);
        }
    }

    fn openssl(&self, command: &str, answers: &[&str]) -> String {
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().expect("a program"))
            .args(words)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let mut stdin = child.stdin.take().expect("piped");
        answers
            .iter()
            .for_each(|answer| writeln!(stdin, "{answer}").expect("openssl asks"));
        drop(stdin);
        let output = child.wait_with_output().expect("openssl ends");
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
