//! A server whose messages nobody hears: standard error is a pipe that is not read, one whose reader has
//! gone, or a full disk.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::PATIENCE;
use crate::config::Config;
use crate::http1;
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::server::{CONFIG_FILE, addresses, binary, write_files};
use crate::signal::{self, SIGKILL};
use crate::workdir::Workdir;

/// Killed when dropped.
pub struct Unheard {
    workdir: Workdir,
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    address: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Unheard {
    /// Reads until the server is ready, and then no more. The pipe is as small as can be.
    pub fn not_read(config: &Config) -> Self {
        let (workdir, mut child) = spawn(config, Stdio::piped());
        let stderr = child.stderr.take().expect("piped");
        make_small(&stderr);
        let mut stderr = BufReader::new(stderr);
        let mut line = String::new();
        while !line.contains("ready listeners=") {
            line.clear();
            let read = stderr.read_line(&mut line).expect("a pipe");
            assert!(read > 0, "the server has ended before it was ready");
        }
        let (listeners, admin) = addresses(&line);
        Self {
            workdir,
            child,
            stderr: Some(stderr),
            address: listeners.first().copied(),
            admin,
        }
    }

    /// Reads until the server is ready, and then closes the pipe.
    pub fn reader_gone(config: &Config) -> Self {
        let mut server = Self::not_read(config);
        server.stderr = None;
        server
    }

    /// Standard error is a disk without room from the beginning. The configuration has the control socket
    /// `socket`.
    pub fn disk_full(config: &Config, socket: &str) -> Self {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device of Linux");
        let (workdir, mut child) = spawn(config, Stdio::from(full));
        let path = workdir.file(socket);
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(&path).is_err() {
            let ended = child.try_wait().expect("our child");
            assert_eq!(ended, None, "the server has ended before it was ready");
            assert!(Instant::now() < until, "the server did not become ready");
            std::thread::yield_now();
        }
        Self {
            workdir,
            child,
            stderr: None,
            address: None,
            admin: None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address.expect("it has said where it listens")
    }

    pub fn workdir(&self) -> &Workdir {
        &self.workdir
    }

    pub fn signal(&mut self, number: i32) {
        let ended = self.child.try_wait().expect("our child");
        assert_eq!(ended, None, "the server has ended");
        signal::send(self.child.id(), number);
    }

    pub fn wait_for_metrics(&self, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let until = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            assert!(Instant::now() < until, "never came about: {metrics:#?}");
        }
    }

    fn metrics(&self) -> Metrics {
        let address = self.admin.expect("the configuration has an admin endpoint");
        let mut stream = TcpStream::connect(address).expect("the admin endpoint accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let response = http1::read_response(&mut BufReader::new(stream)).expect("metrics");
        Metrics::parse(&response.text())
    }

    /// Somebody reads again: all that comes from now on.
    pub fn read_again(&mut self) -> Heard {
        Heard(Lines::read_from(self.stderr.take().expect("not read")))
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < until, "the server did not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal::send(self.child.id(), SIGKILL);
            let _it_was_killed = self.child.wait();
        }
    }
}

/// Messages that are heard of the server in the end.
pub struct Heard(Lines);

impl Heard {
    /// Waits for a line that has `text`; all lines up to then.
    pub fn until(&self, text: &str) -> Vec<String> {
        let found = self.0.wait(0, PATIENCE, |_, line| line.contains(text));
        assert!(found.is_some(), "no line has {text:?}: {:#?}", self.0.all());
        self.0.all()
    }
}

fn spawn(config: &Config, stderr: Stdio) -> (Workdir, Child) {
    let workdir = Workdir::new();
    write_files(&workdir, config, &config.render());
    let child = Command::new(binary())
        .args(["serve", "--config"])
        .arg(workdir.file(CONFIG_FILE))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn();
    (workdir, child.expect("the binary runs"))
}

/// Makes the pipe one page long: 4 KiB.
#[allow(unsafe_code)]
fn make_small(pipe: &ChildStderr) {
    // SAFETY: the call touches no memory of this process; the descriptor is open for as long as `pipe` is
    // borrowed.
    let result = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 4_096) };
    assert!(result >= 0, "{}", std::io::Error::last_os_error());
}
