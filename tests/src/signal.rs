//! Sending signals to processes that this harness started.

/// Sends `signal` to the process `pid`, which the caller started and has not yet seen the end of.
#[allow(unsafe_code)]
pub fn send(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id of the kernel");
    // SAFETY: `kill` touches no memory of this process. `pid` is positive, so it names one process and no group.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(
        result,
        0,
        "signal {signal} to {pid}: {}",
        std::io::Error::last_os_error()
    );
}

pub use libc::{SIGHUP, SIGKILL, SIGTERM};
