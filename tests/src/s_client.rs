//! `openssl s_client`: a second TLS implementation, and the one that offers a session as often as it is told
//! to.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::pki::{Identity, Pki};
use crate::workdir::Workdir;

/// A command line in the making. Clones share the session file.
#[derive(Clone)]
pub struct SClient {
    name: String,
    arguments: Vec<String>,
    workdir: Arc<Workdir>,
}

/// Output of the client.
#[derive(Debug)]
pub struct Shown {
    pub code: Option<i32>,
    /// The session was resumed.
    pub reused: bool,
    /// The number of the alert that it received.
    pub alert: Option<u8>,
    /// Both output streams.
    pub text: String,
}

impl Shown {
    pub fn body_contains(&self, text: &str) -> bool {
        self.text.contains("HTTP/1.1 200") && self.text.contains(text)
    }
}

impl SClient {
    /// SNI `name`; TLS 1.3 unless told otherwise.
    pub fn new(address: SocketAddr, name: &str) -> Self {
        let workdir = Workdir::new();
        let ca = workdir.write("ca.pem", Pki::shared().servers.pem());
        let (address, ca) = (address.to_string(), ca.display().to_string());
        let client = Self {
            name: name.to_owned(),
            arguments: Vec::new(),
            workdir: Arc::new(workdir),
        };
        client.arguments(&[
            "-connect",
            &address,
            "-servername",
            name,
            "-CAfile",
            &ca,
            "-verify_return_error",
        ])
    }

    pub fn identity(self, identity: &Identity) -> Self {
        let chain = self
            .workdir
            .write("client.pem", identity.chain_pem())
            .display()
            .to_string();
        let key = self
            .workdir
            .write("client.key", identity.key_pem())
            .display()
            .to_string();
        self.arguments(&["-cert", &chain, "-cert_chain", &chain, "-key", &key])
    }

    pub fn tls12(self) -> Self {
        self.arguments(&["-tls1_2"])
    }

    /// Writes the session to the session file.
    pub fn saving_session(self) -> Self {
        let file = self.session_file();
        self.arguments(&["-sess_out", &file.display().to_string()])
    }

    /// Offers the session of the session file.
    pub fn offering_session(self) -> Self {
        let file = self.session_file();
        self.arguments(&["-sess_in", &file.display().to_string()])
    }

    /// Further arguments as they stand.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Connects and asks for / with Connection: close.
    pub fn get(self) -> Shown {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.name
        );
        self.arguments(&["-ign_eof"]).type_in(&request)
    }

    /// Connects and types `text` in; without -ign_eof a line of `R` renegotiates and `Q` quits.
    pub fn type_in(self, text: &str) -> Shown {
        let mut child = Command::new("openssl")
            .arg("s_client")
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let mut stdin = child.stdin.take().expect("piped");
        // A client that was refused at once reads no request.
        let _ = stdin.write_all(text.as_bytes());
        let output = child.wait_with_output().expect("openssl ends");
        drop(stdin);
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        let alert = text
            .split_once("SSL alert number ")
            .and_then(|(_, rest)| number(rest));
        Shown {
            code: output.status.code(),
            reused: text.contains("\nReused, "),
            alert,
            text,
        }
    }

    fn session_file(&self) -> PathBuf {
        self.workdir.file("session.pem")
    }
}

fn number(text: &str) -> Option<u8> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
