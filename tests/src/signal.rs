//! Sending signals to processes that this harness started.

pub use libc::{SIGHUP, SIGKILL, SIGTERM};

/// Sends `signal` to the process `pid`, which the caller started and has not yet seen the end of. One that
/// has ended in the meantime is left in peace.
#[allow(unsafe_code)]
pub fn send(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id of the kernel");
    // SAFETY: `kill` touches no memory of this process. `pid` is positive, so it names one process and no
    // group.
    let result = unsafe { libc::kill(pid, signal) };
    let error = std::io::Error::last_os_error();
    let is_sent = result == 0 || error.raw_os_error() == Some(libc::ESRCH);
    assert!(is_sent, "signal {signal} to {pid}: {error}");
}
