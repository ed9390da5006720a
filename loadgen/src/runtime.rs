//! The pinned thread of a core with its monoio runtime.
//!
//! The ring is built on its own thread with SINGLE_ISSUER and DEFER_TASKRUN (a third less CPU per operation
//! than a default ring), stepping down to COOP_TASKRUN, to no flags, and to epoll where the kernel refuses.

use std::future::Future;
use std::io;

use io_uring::IoUring;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use crate::options::Driver;
use crate::sys;

/// A runtime that is bound to the thread that built it.
pub struct CoreRuntime {
    runtime: Kind,
    /// Name of the way in which the thread waits for sockets, as the report tells it.
    pub driver: &'static str,
}

enum Kind {
    Uring(Runtime<TimeDriver<IoUringDriver>>),
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

impl CoreRuntime {
    /// Pins the calling thread to `core` and builds the best runtime that the kernel allows.
    pub fn new(core: usize, driver: Driver) -> io::Result<Self> {
        sys::pin_to_cores(&[core])?;
        let rings = if driver == Driver::Auto {
            rings().to_vec()
        } else {
            Vec::new()
        };
        for (driver, ring) in rings {
            if let Ok(runtime) = RuntimeBuilder::<IoUringDriver>::new()
                .uring_builder(ring)
                .with_entries(ENTRIES)
                .enable_timer()
                .build()
            {
                return Ok(CoreRuntime {
                    runtime: Kind::Uring(runtime),
                    driver,
                });
            }
        }
        let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
        Ok(CoreRuntime {
            runtime: Kind::Epoll(runtime),
            driver: "epoll",
        })
    }

    /// Runs `future` and the tasks that it spawns on the calling thread, until `future` is ready.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match &mut self.runtime {
            Kind::Uring(runtime) => runtime.block_on(future),
            Kind::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

fn rings() -> [(&'static str, io_uring::Builder); 3] {
    let mut defer = IoUring::builder();
    defer.setup_single_issuer().setup_defer_taskrun();
    let mut coop = IoUring::builder();
    coop.setup_coop_taskrun().setup_taskrun_flag();
    [
        ("io_uring single_issuer+defer_taskrun", defer),
        ("io_uring coop_taskrun", coop),
        ("io_uring without flags", IoUring::builder()),
    ]
}

const ENTRIES: u32 = 4096;
