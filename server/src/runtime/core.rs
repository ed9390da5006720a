//! Runtime of one core: pinning, ring flags, and the steps down where the kernel refuses them.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

/// Driver that the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best io_uring set-up that the kernel grants, epoll if it grants none.
    Auto,
    /// epoll, without asking.
    Epoll,
}

/// Driver that a core runs on, best first: a worse one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Driver {
    /// `IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN` (Linux 6.1).
    DeferTaskrun,
    /// `IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG` (Linux 5.19).
    CoopTaskrun,
    /// A ring without flags.
    Plain,
    /// No ring at all: readiness through epoll.
    Epoll,
}

impl Driver {
    const RINGS: [Self; 3] = [Self::DeferTaskrun, Self::CoopTaskrun, Self::Plain];

    fn ring(self) -> io_uring::Builder {
        let mut builder = io_uring::IoUring::builder();
        match self {
            Self::DeferTaskrun => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Self::CoopTaskrun => {
                builder.setup_coop_taskrun().setup_taskrun_flag();
            }
            Self::Plain | Self::Epoll => {}
        }
        builder
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeferTaskrun => "io_uring (single issuer, deferred task run)",
            Self::CoopTaskrun => "io_uring (cooperative task run)",
            Self::Plain => "io_uring (no flags)",
            Self::Epoll => "epoll",
        })
    }
}

thread_local! {
    static SENDS_END_BY_THEMSELVES: Cell<bool> = const { Cell::new(false) };
}

/// True if a send that was begun on this core goes on until all is sent or it has failed, without being
/// polled. The kernel of a ring sees to that (`MSG_WAITALL`, Linux 5.19, the release that has the flags of
/// [`Driver::CoopTaskrun`]).
pub(super) fn sends_end_by_themselves() -> bool {
    SENDS_END_BY_THEMSELVES.get()
}

enum Inner {
    Ring(Runtime<TimeDriver<IoUringDriver>>),
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

/// The runtime of one core. Built on the thread that runs it: a single-issuer ring belongs to its creator.
pub struct CoreRuntime {
    inner: Inner,
    driver: Driver,
}

impl CoreRuntime {
    /// Pins the calling thread to `cpu` (unless `None`) and builds the best runtime that the kernel grants.
    ///
    /// # Errors
    /// The CPU is not available to this process, or not even epoll could be set up.
    pub fn build(cpu: Option<usize>, choice: DriverChoice) -> io::Result<Self> {
        if let Some(cpu) = cpu {
            monoio::utils::bind_to_cpu_set([cpu])
                .map_err(|error| io::Error::other(format!("cannot pin to CPU {cpu}: {error}")))?;
        }
        if choice == DriverChoice::Auto {
            for driver in Driver::RINGS {
                if let Ok(ring) = ring_runtime(driver) {
                    SENDS_END_BY_THEMSELVES.set(driver <= Driver::CoopTaskrun);
                    return Ok(Self {
                        inner: Inner::Ring(ring),
                        driver,
                    });
                }
            }
        }
        SENDS_END_BY_THEMSELVES.set(false);
        let epoll = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
        Ok(Self {
            inner: Inner::Epoll(epoll),
            driver: Driver::Epoll,
        })
    }

    /// Driver that this core got.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Runs `future`, and all that it spawns, until `future` ends.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match &mut self.inner {
            Inner::Ring(runtime) => runtime.block_on(future),
            Inner::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

fn ring_runtime(driver: Driver) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    probe(driver)?;
    RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(driver.ring())
        .enable_timer()
        .build()
}

/// Has a ring of its own do nothing once. A kernel that grants the set-up may still refuse the use, where a
/// seccomp filter allows one of the two system calls and not the other: a core on such a ring would serve
/// nobody and never end.
fn probe(driver: Driver) -> io::Result<()> {
    let mut ring = driver.ring().build(PROBE_ENTRIES)?;
    let nothing = io_uring::opcode::Nop::new().build();
    // SAFETY: the operation refers to no memory.
    #[allow(unsafe_code)]
    unsafe { ring.submission().push(&nothing) }.map_err(io::Error::other)?;
    while let Err(error) = ring.submit_and_wait(1) {
        // This thread was chosen to take a signal.
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

/// Submission queue entries of a ring that is only tried.
const PROBE_ENTRIES: u32 = 2;
/// Submission queue entries of a ring; the completion queue has twice as many.
const RING_ENTRIES: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_used_when_asked_for() {
        let runtime = CoreRuntime::build(None, DriverChoice::Epoll).expect("epoll is always there");
        assert_eq!(runtime.driver(), Driver::Epoll);
    }

    #[test]
    fn every_driver_runs_a_future_and_a_timer() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
            let answer = runtime.block_on(async {
                let never = std::future::pending::<()>();
                let elapsed = crate::runtime::timeout(std::time::Duration::from_millis(1), never).await;
                if elapsed.is_err() { 42 } else { 0 }
            });
            assert_eq!(answer, 42);
        }
    }

    #[test]
    fn a_kernel_that_grants_rings_and_refuses_their_use_leads_to_epoll() {
        let driver = std::thread::spawn(|| {
            refuse_io_uring_enter();
            CoreRuntime::build(None, DriverChoice::Auto).map(|runtime| runtime.driver())
        });
        let driver = driver.join().expect("the thread ends").expect("a runtime");
        assert_eq!(driver, Driver::Epoll);
    }

    /// Refuses it by a seccomp filter, for the rest of the life of the thread that calls this.
    #[allow(unsafe_code)]
    fn refuse_io_uring_enter() {
        let statement = |code: u32, jump_if_not: u8, k: u32| libc::sock_filter {
            code: u16::try_from(code).expect("a code of seccomp(2)"),
            jt: 0,
            jf: jump_if_not,
            k,
        };
        let call = u32::try_from(libc::SYS_io_uring_enter).expect("a number");
        let mut filter = [
            // The number of the system call stands first in `seccomp_data`.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call),
            statement(
                libc::BPF_RET | libc::BPF_K,
                0,
                libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
            ),
            statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).expect("a short program"),
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: both calls change this thread alone; the program, which the kernel copies, lives until the
        // second has returned.
        let (prepared, filtered) = unsafe {
            (
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program),
            )
        };
        assert_eq!((prepared, filtered), (0, 0), "{}", io::Error::last_os_error());
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error() {
        let error = std::thread::spawn(|| CoreRuntime::build(Some(1_000_000), DriverChoice::Auto).err())
            .join()
            .expect("the thread ends");
        assert!(error.is_some());
    }
}
