//! One core's runtime: pinning, ring flags, and the steps down where the kernel refuses them.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best io_uring set-up that the kernel grants, epoll if it grants none.
    Auto,
    /// epoll, without asking.
    Epoll,
}

/// What a core runs on, best first: a worse one is greater.
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

/// Whether a send that was begun on this core goes on until all is sent or it has failed, without anybody polling it: the kernel of a ring
/// sees to that (`MSG_WAITALL`, Linux 5.19, the release that has the flags of [`Driver::CoopTaskrun`]).
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

    /// What this core got.
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
    RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(driver.ring())
        .enable_timer()
        .build()
}

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
    fn a_cpu_that_is_not_there_is_an_error() {
        let error = std::thread::spawn(|| CoreRuntime::build(Some(1_000_000), DriverChoice::Auto).err())
            .join()
            .expect("the thread ends");
        assert!(error.is_some());
    }
}
