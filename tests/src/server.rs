//! The server under test: the built `bothways` binary as a child process, its output and its admin endpoint.

use std::collections::BTreeSet;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::PATIENCE;
use crate::config::Config;
use crate::http1::{self, Response};
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::signal::{self, SIGHUP, SIGKILL, SIGTERM};
use crate::workdir::Workdir;

/// The name under which every configuration is written.
pub const CONFIG_FILE: &str = "edge.toml";

/// A running server. Killed when dropped; what it wrote to stderr is shown where the test is failing.
pub struct Server {
    workdir: Workdir,
    process: Process,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    claimed: Mutex<BTreeSet<usize>>,
}

/// Outcome of a SIGHUP: the whole log line.
#[derive(Clone, Debug, PartialEq)]
pub enum Reload {
    Published(String),
    Refused(String),
}

/// End of a command line that should end by itself.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub fn start(config: Config) -> Self {
        let workdir = Workdir::new();
        write_files(&workdir, &config, &config.render());
        Self::started(workdir)
    }

    /// The same with another text of the configuration.
    pub fn start_as(config: Config, text: String) -> Self {
        let workdir = Workdir::new();
        write_files(&workdir, &config, &text);
        Self::started(workdir)
    }

    /// The same under a shell that has first run `prelude`: for what a process inherits.
    pub fn start_after(prelude: &str, config: Config) -> Self {
        let workdir = Workdir::new();
        write_files(&workdir, &config, &config.render());
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{prelude}; exec \"$0\" \"$@\""))
            .arg(binary());
        let process = Process::spawn_by(shell, &workdir, "serve");
        Self::ready(workdir, process)
    }

    /// kill -9, then the same again in the same folder, whose files are as the first has left them.
    pub fn restart_after_kill(self) -> Self {
        self.kill();
        self.wait();
        let Self { workdir, process, .. } = self;
        drop(process);
        Self::started(workdir)
    }

    fn started(workdir: Workdir) -> Self {
        let process = Process::spawn(&workdir, "serve");
        Self::ready(workdir, process)
    }

    fn ready(workdir: Workdir, process: Process) -> Self {
        let ready = process
            .stderr
            .wait(0, PATIENCE, |_, line| line.contains("ready listeners="));
        let Some((_, ready)) = ready else {
            panic!(
                "the server did not become ready; its stderr:\n{}",
                process.stderr.all().join("\n")
            );
        };
        let (listeners, admin) = addresses(&ready);
        Self {
            workdir,
            process,
            listeners,
            admin,
            claimed: Mutex::default(),
        }
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.listener(0)
    }

    pub fn listener(&self, number: usize) -> SocketAddr {
        *self
            .listeners
            .get(number)
            .unwrap_or_else(|| panic!("listeners: {:?}", self.listeners))
    }

    /// The folder of the configuration.
    pub fn path(&self) -> &Path {
        self.workdir.path()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Memory that the server holds now.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes
            .and_then(|text| text.parse::<u64>().ok())
            .expect("a size in kB")
            * 1024
    }

    /// The stderr lines so far.
    pub fn log(&self) -> Vec<String> {
        self.process.stderr.all()
    }

    /// Replaces one of the server's files.
    pub fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        self.workdir.write(file, contents);
    }

    /// Replaces the configuration by this one. `reload` then makes the server read it.
    pub fn write_config(&self, config: &Config) {
        write_files(&self.workdir, config, &config.render());
    }

    /// SIGHUP, and what the server made of it.
    pub fn reload(&self) -> Reload {
        let from = self.process.stderr.count();
        self.signal(SIGHUP);
        let told =
            |line: &str| line.contains("reload published generation=") || line.contains("reload refused");
        let (_, line) = self.wait_for_log_from(from, told);
        if line.contains("reload refused") {
            Reload::Refused(line)
        } else {
            Reload::Published(line)
        }
    }

    /// SIGHUP that has to succeed.
    pub fn reload_published(&self) {
        match self.reload() {
            Reload::Published(_) => {}
            Reload::Refused(line) => panic!("{line}"),
        }
    }

    /// The first record that no other call has returned.
    pub fn next_record(&self) -> Record {
        self.record_where(|_| true)
    }

    /// The record of the connection from this client port.
    pub fn record_of(&self, port: u16) -> Record {
        self.record_where(|record| record.client_port() == Some(port))
    }

    /// The first unclaimed record that `wanted` likes; claims it.
    pub fn record_where(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        let fits = |number: usize, line: &str| {
            !self.claimed.lock().unwrap().contains(&number) && wanted(&Record::parse(line))
        };
        let found = self.process.stdout.wait(0, PATIENCE, fits);
        let Some((number, line)) = found else {
            let (records, log) = (self.process.stdout.all().join("\n"), self.log().join("\n"));
            panic!("no such record; records:\n{records}\nstderr:\n{log}");
        };
        self.claimed.lock().unwrap().insert(number);
        Record::parse(&line)
    }

    /// Waits for a stderr line that has `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.wait_for_log_from(0, |line| line.contains(text)).1
    }

    pub fn metrics(&self) -> Metrics {
        let response = self.admin("/metrics");
        assert_eq!(response.status, 200, "GET /metrics: {}", response.text());
        Metrics::parse(&response.text())
    }

    /// Asks for the metrics until `wanted` likes them: for states that no line or record announces, such as
    /// how many handshakes are open.
    pub fn wait_for_metrics(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let until = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            assert!(
                Instant::now() < until,
                "never came about: {what}; metrics: {metrics:#?}"
            );
        }
    }

    /// GET from the admin endpoint.
    pub fn admin(&self, path: &str) -> Response {
        let address = self.admin.expect("the configuration has an admin endpoint");
        let mut stream = TcpStream::connect(address).expect("the admin endpoint accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        http1::read_response(&mut BufReader::new(stream)).expect("the admin endpoint answers")
    }

    /// Sends SIGTERM and does not wait.
    pub fn terminate(&self) {
        self.signal(SIGTERM);
    }

    /// Sends SIGKILL and does not wait.
    pub fn kill(&self) {
        self.signal(SIGKILL);
    }

    /// Runs `bothways` with these arguments, which should make it end by itself, in the folder of the
    /// configuration.
    pub fn command(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(binary())
            .args(arguments)
            .current_dir(self.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", binary().display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Waits for the end of the process.
    pub fn wait(&self) -> ExitStatus {
        self.process
            .wait()
            .unwrap_or_else(|| panic!("the server did not end; its stderr:\n{}", self.log().join("\n")))
    }

    /// SIGTERM; the server has to end well. Returns the records that no call has returned yet.
    pub fn stop(self) -> Vec<Record> {
        self.terminate();
        self.drained()
    }

    /// After `terminate`: the server has to end with code 0. Returns the records that no call has returned
    /// yet.
    pub fn drained(self) -> Vec<Record> {
        let status = self.wait();
        assert_eq!(
            status.code(),
            Some(0),
            "exit status {status}; stderr:\n{}",
            self.log().join("\n")
        );
        assert!(
            self.process.stdout.wait_for_end(PATIENCE),
            "stdout stays open after the end"
        );
        let claimed = self.claimed.lock().unwrap();
        let lines = self.process.stdout.all().into_iter().enumerate();
        lines
            .filter(|(number, _)| !claimed.contains(number))
            .map(|(_, line)| Record::parse(&line))
            .collect()
    }

    pub fn signal(&self, number: i32) {
        assert!(
            !self.process.has_ended(),
            "the server has ended; its stderr:\n{}",
            self.log().join("\n")
        );
        signal::send(self.process.pid, number);
    }

    fn wait_for_log_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> (usize, String) {
        let found = self.process.stderr.wait(from, PATIENCE, |_, line| wanted(line));
        found.unwrap_or_else(|| panic!("no such line; stderr:\n{}", self.log().join("\n")))
    }
}

/// Runs `bothways <command> --config` on this text, which should make it end by itself.
pub fn run_to_end(command: &str, config: &Config, text: &str) -> Ended {
    let workdir = Workdir::new();
    write_files(&workdir, config, text);
    let process = Process::spawn(&workdir, command);
    let status = process.wait();
    let stderr = process.stderr.all().join("\n");
    let status = status.unwrap_or_else(|| panic!("`bothways {command}` did not end; its stderr:\n{stderr}"));
    assert!(
        process.stdout.wait_for_end(PATIENCE) && process.stderr.wait_for_end(PATIENCE),
        "output ends"
    );
    let (stdout, stderr) = (process.stdout.all().join("\n"), process.stderr.all().join("\n"));
    Ended {
        code: status.code(),
        stdout,
        stderr,
    }
}

/// The binary: `BOTHWAYS_BIN`, or the one that the same cargo profile built.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BOTHWAYS_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let path = profile.join("bothways");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build -p bothways` first, or set BOTHWAYS_BIN",
        path.display()
    );
    path
}

/// A child whose output is read and whose end is waited for by threads of their own.
struct Process {
    pid: u32,
    stdout: Lines,
    stderr: Lines,
    end: Mutex<End>,
}

struct End {
    status: Option<ExitStatus>,
    arrives: Receiver<ExitStatus>,
}

impl Process {
    fn spawn(workdir: &Workdir, command: &str) -> Self {
        Self::spawn_by(Command::new(binary()), workdir, command)
    }

    /// `starter` is the binary, or ends up as it.
    fn spawn_by(mut starter: Command, workdir: &Workdir, command: &str) -> Self {
        let mut child = starter
            .args([command, "--config"])
            .arg(workdir.file(CONFIG_FILE))
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", binary().display()));
        let stdout = Lines::read_from(child.stdout.take().expect("piped"));
        let stderr = Lines::read_from(child.stderr.take().expect("piped"));
        let (tell, arrives) = channel();
        let pid = child.id();
        std::thread::spawn(move || {
            let _ = child.wait().map(|status| tell.send(status));
        });
        Self {
            pid,
            stdout,
            stderr,
            end: Mutex::new(End {
                status: None,
                arrives,
            }),
        }
    }

    fn wait(&self) -> Option<ExitStatus> {
        let mut end = self.end.lock().unwrap();
        if end.status.is_none() {
            end.status = end.arrives.recv_timeout(PATIENCE).ok();
        }
        end.status
    }

    fn has_ended(&self) -> bool {
        let mut end = self.end.lock().unwrap();
        if end.status.is_none() {
            end.status = end.arrives.try_recv().ok();
        }
        end.status.is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            signal::send(self.pid, SIGKILL);
            self.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- stderr of the server:\n{}\n---", self.stderr.all().join("\n"));
        }
    }
}

pub(crate) fn write_files(workdir: &Workdir, config: &Config, text: &str) {
    for (name, contents) in config.all_files() {
        workdir.write(&name, contents);
    }
    workdir.write(CONFIG_FILE, text);
}

/// The listeners' and the admin endpoint's addresses in the `ready` line.
pub(crate) fn addresses(ready: &str) -> (Vec<SocketAddr>, Option<SocketAddr>) {
    let after = |key: &str| ready.split_once(key).map(|(_, rest)| rest);
    let list = after("listeners=[")
        .and_then(|rest| rest.split(']').next())
        .unwrap_or_default();
    let listeners = list.split(',').filter_map(address).collect();
    (
        listeners,
        after("admin=").and_then(|rest| address(rest.split(' ').next().unwrap_or_default())),
    )
}

/// The address in a piece of text like `"127.0.0.1:40123"` or `Some("127.0.0.1:40123")`.
fn address(text: &str) -> Option<SocketAddr> {
    text.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_ready_line() {
        let line = r#"2026-11-23T15:00:00Z  INFO bothways: ready listeners=["127.0.0.1:4", "127.0.0.1:5"] admin="127.0.0.1:6" cores=1"#;
        let (listeners, admin) = addresses(line);
        assert_eq!(
            listeners,
            ["127.0.0.1:4".parse().unwrap(), "127.0.0.1:5".parse().unwrap()]
        );
        assert_eq!(admin, Some("127.0.0.1:6".parse().unwrap()));
        assert_eq!(addresses(r#"ready listeners=["127.0.0.1:4"] cores=1"#).1, None);
    }
}
