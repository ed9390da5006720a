//! curl, as a user runs it.

use std::net::SocketAddr;
use std::process::Command;

use crate::http1::{self, Head};
use crate::pki::{Identity, Pki};
use crate::workdir::Workdir;

/// A curl command line in the making. HTTP/1.1 unless told otherwise.
pub struct Curl {
    name: String,
    port: u16,
    address: SocketAddr,
    arguments: Vec<String>,
    workdir: Workdir,
}

/// Output of curl, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// curl's exit code: 0 where it got a response.
    pub code: i32,
    /// 0 without a response.
    pub status: u16,
    /// "1.1" or "2".
    pub http_version: String,
    /// The port of the client's side.
    pub port: u16,
    pub head: Option<Head>,
    pub body: Vec<u8>,
    pub stderr: String,
}

impl Output {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.header(name)
    }
}

impl Curl {
    /// Asks for https://`name`/ and connects to `address`.
    pub fn new(address: SocketAddr, name: &str) -> Self {
        let workdir = Workdir::new();
        let ca = workdir.write("ca.pem", Pki::shared().servers.pem());
        let arguments = vec![
            "--http1.1".to_owned(),
            "--cacert".to_owned(),
            ca.display().to_string(),
        ];
        Self {
            name: name.to_owned(),
            port: address.port(),
            address,
            arguments,
            workdir,
        }
    }

    pub fn identity(self, identity: &Identity) -> Self {
        let certificate = self.workdir.write("client.pem", identity.chain_pem());
        let key = self.workdir.write("client.key", identity.key_pem());
        self.credentials(&certificate.display().to_string(), &key.display().to_string())
    }

    /// Certificate and key by their files.
    pub fn credentials(self, certificate: &str, key: &str) -> Self {
        self.arguments(&["--cert", certificate, "--key", key])
    }

    pub fn http2(mut self) -> Self {
        self.arguments.retain(|argument| argument != "--http1.1");
        self.arguments(&["--http2"])
    }

    /// A header line; `Host: …` sets the authority and leaves the SNI alone.
    pub fn header(self, line: &str) -> Self {
        self.arguments(&["--header", line])
    }

    /// The body of a POST.
    pub fn body(self, body: &[u8]) -> Self {
        let file = self.workdir.write("request-body", body);
        let data = format!("@{}", file.display());
        self.arguments(&[
            "--data-binary",
            &data,
            "--header",
            "Content-Type: application/octet-stream",
            "--header",
            "Expect:",
        ])
    }

    /// Further arguments as they stand.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Runs it for this path of the https site.
    pub fn get(self, path: &str) -> Output {
        let url = format!("https://{}:{}{path}", self.name, self.port);
        self.run(&url)
    }

    /// The same without TLS.
    pub fn get_plain(self, path: &str) -> Output {
        let url = format!("http://{}:{}{path}", self.name, self.port);
        self.run(&url)
    }

    fn run(self, url: &str) -> Output {
        let (head, body) = (self.workdir.file("head"), self.workdir.file("body"));
        let output = Command::new("curl")
            // First, so that the user's own settings are left out.
            .arg("--disable")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "60",
                "--noproxy",
                "*",
                "--globoff",
                "--path-as-is",
            ])
            .args([
                "--resolve",
                &format!("{}:{}:{}", self.name, self.port, self.address.ip()),
            ])
            .args(["--write-out", "%{http_code} %{http_version} %{local_port}"])
            .arg("--dump-header")
            .arg(&head)
            .arg("--output")
            .arg(&body)
            .args(&self.arguments)
            .arg(url)
            .output()
            .expect("curl is installed");
        let facts = String::from_utf8_lossy(&output.stdout).into_owned();
        let facts: Vec<&str> = facts.split(' ').collect();
        let head = std::fs::read(head).unwrap_or_default();
        Output {
            code: output.status.code().unwrap_or(-1),
            status: facts.first().and_then(|status| status.parse().ok()).unwrap_or(0),
            http_version: facts.get(1).copied().unwrap_or_default().to_owned(),
            port: facts
                .get(2)
                .and_then(|port| port.trim().parse().ok())
                .unwrap_or(0),
            head: http1::read_head(&mut head.as_slice()).ok().flatten(),
            body: std::fs::read(body).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
