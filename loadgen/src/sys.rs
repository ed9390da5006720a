//! The few system calls that no safe crate at hand offers: thread affinity, a timerfd, another process' CPU
//! clock.
//!
//! Owns: every `unsafe` block of loadgen. Nothing here keeps state.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Restricts the calling thread, and the threads that it will start, to `cores`.
pub fn pin_to_cores(cores: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is a plain bit array for which all zeros is a valid (empty) value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &core in cores {
        if core >= libc::CPU_SETSIZE as usize {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: `core` is below CPU_SETSIZE, so the bit lies within `set`.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: `set` is initialised and outlives the call; pid 0 names the calling thread.
    check(unsafe { libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set) })
}

/// Allows this process as many descriptors as it may allow itself: every connection needs one.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is writable for the duration of the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is initialised and outlives the call. A refusal leaves the limit as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}

/// Makes the close of `socket` a reset, after which nothing of it is left, TIME_WAIT neither.
pub fn reset_on_close(socket: &impl AsRawFd) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = libc::socklen_t::try_from(std::mem::size_of_val(&linger)).unwrap_or(0);
    // SAFETY: `linger` is initialised, `length` bytes long, and outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            std::ptr::from_ref(&linger).cast(),
            length,
        )
    })
}

/// `true`: a read from `socket` would not wait. Something has come, or its end.
pub fn is_readable(socket: &impl AsRawFd) -> bool {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: `byte` is writable for the duration of the call, and one byte long.
    let length = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::from_mut(&mut byte).cast(), 1, flags) };
    length >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock
}

/// A new, disarmed timer whose descriptor becomes readable when it expires.
pub fn timer() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
    check(fd)?;
    // SAFETY: the descriptor was just created and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Arms `timer` to expire once, `after` from now (at least one nanosecond). Clears an earlier expiry.
pub fn arm(timer: &impl AsRawFd, after: Duration) -> io::Result<()> {
    let after = after.max(Duration::from_nanos(1));
    let never = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let spec = libc::itimerspec {
        it_interval: never,
        it_value: libc::timespec {
            tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(after.subsec_nanos()),
        },
    };
    // SAFETY: `spec` is initialised and outlives the call; a null old value is allowed.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &spec, std::ptr::null_mut()) })
}

/// User and system time of process `pid`, ended threads included: the `utime + stime` of `/proc/PID/stat`, in
/// nanoseconds.
pub fn process_cpu(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is writable for the duration of the call.
    let error = unsafe { libc::clock_getcpuclockid(pid, &mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable for the duration of the call.
    check(unsafe { libc::clock_gettime(clock, &mut time) })?;
    Ok(Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    ))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cpu_clock_can_be_read_and_an_absent_process_cannot() {
        assert!(process_cpu(std::process::id()).unwrap() > Duration::ZERO);
        assert!(process_cpu(u32::MAX).is_err());
    }

    #[test]
    fn a_core_beyond_the_mask_is_an_error() {
        assert!(pin_to_cores(&[1 << 20]).is_err());
    }
}
