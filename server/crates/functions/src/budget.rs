//! The budget of one call, and its counters: CPU time of this thread, and bytes the engine holds.
//!
//! QuickJS asks every ten thousand steps whether it may go on ([`Budget::is_spent`]); a long native operation
//! is many steps, by our patch of it (`server/vendor/rquickjs-sys/BOTHWAYS.md`). The allocator asks too, once
//! for every 64 KiB: making something large takes time beyond what was counted. Time is CPU time: a core that
//! has to wait for its turn does not make a customer's code slower than it is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::allocator::{Allocator, RustAllocator};
use rustix::time::{ClockId, clock_gettime};

/// Shared by an engine, its allocator and its interrupt handler.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Beginning of the call and its latest end, on the thread's clock. `None`: nothing is being judged.
    running: Cell<Option<Span>>,
    bytes_in_use: Cell<usize>,
    bytes_max: Cell<Option<usize>>,
    /// Allocated since the clock was last looked at.
    bytes_unchecked: Cell<usize>,
    exhausted: Cell<Option<Exhausted>>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: Duration,
    to: Duration,
}

/// The resource that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exhausted {
    Time,
    Memory,
}

impl Budget {
    /// Allows `time` and `bytes` more from now on.
    pub(super) fn start(&self, time: Duration, bytes: usize) {
        let from = thread_time();
        self.running.set(Some(Span {
            from,
            to: from.saturating_add(time),
        }));
        self.bytes_max
            .set(Some(self.bytes_in_use.get().saturating_add(bytes)));
        self.bytes_unchecked.set(0);
        self.exhausted.set(None);
    }

    /// Ends the judging; how much time was taken since [`Self::start`].
    pub(super) fn stop(&self) -> Duration {
        self.bytes_max.set(None);
        let span = self.running.take();
        span.map_or(Duration::ZERO, |span| thread_time().saturating_sub(span.from))
    }

    /// Puts back what [`Self::start`] has forgotten.
    pub(super) fn exhaust(&self, exhausted: Option<Exhausted>) {
        self.exhausted.set(exhausted);
    }

    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        self.exhausted.get()
    }

    /// Looks at the clock.
    pub(super) fn is_spent(&self) -> bool {
        if self.exhausted.get().is_none()
            && let Some(span) = self.running.get()
            && span.to < thread_time()
        {
            self.exhausted.set(Some(Exhausted::Time));
        }
        self.exhausted.get().is_some()
    }

    pub(super) fn bytes_in_use(&self) -> usize {
        self.bytes_in_use.get()
    }

    /// True if `bytes` more may be allocated.
    ///
    /// Small blocks are not refused, up to a reserve: QuickJS does not survive that everywhere (an object is
    /// half made, its finalizer runs), and an engine without room for an error object could not be
    /// interrupted. They only exhaust the budget, and the next interrupt, which code cannot catch, ends the
    /// call. What one operation takes at once is refused.
    fn admits(&self, bytes: usize) -> bool {
        let Some(bytes_max) = self.bytes_max.get() else {
            return true;
        };
        let wanted = self.bytes_in_use.get().saturating_add(bytes);
        if self.exhausted.get().is_none() && wanted > bytes_max {
            self.exhausted.set(Some(Exhausted::Memory));
        }
        let unchecked = self.bytes_unchecked.get().saturating_add(bytes);
        let is_due = unchecked >= BYTES_BETWEEN_LOOKS;
        self.bytes_unchecked.set(if is_due { 0 } else { unchecked });
        if is_due {
            self.is_spent();
        }
        match bytes <= SMALL_BYTES {
            true => wanted <= bytes_max.saturating_add(RESERVE_BYTES),
            false => self.exhausted.get().is_none(),
        }
    }

    fn add(&self, bytes: usize) {
        self.bytes_in_use
            .set(self.bytes_in_use.get().saturating_add(bytes));
    }

    fn subtract(&self, bytes: usize) {
        self.bytes_in_use
            .set(self.bytes_in_use.get().saturating_sub(bytes));
    }
}

/// The engine's allocator: the process's own, counted.
pub(super) struct Meter(pub(super) Rc<Budget>);

// JUSTIFICATION: QuickJS tells what it holds only by walking all of it. The limit of one call, and when to
// collect garbage so that it does not count against the next one, need the number after every call. SAFETY:
// every block comes from `RustAllocator` and goes back to it, with the sizes and pointers that the engine
// passed; this type only counts, and sometimes answers null, which the trait allows for `alloc`, `calloc` and
// `realloc`.
#[allow(unsafe_code)]
unsafe impl Allocator for Meter {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.0.admits(size) {
            return std::ptr::null_mut();
        }
        self.counted(RustAllocator.alloc(size))
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            Some(bytes) if self.0.admits(bytes) => self.counted(RustAllocator.calloc(count, size)),
            _ => std::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the caller passes a block of this allocator, thus of `RustAllocator`.
        unsafe {
            self.0.subtract(RustAllocator::usable_size(block));
            RustAllocator.dealloc(block);
        }
    }

    unsafe fn realloc(&mut self, block: *mut u8, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes a block of this allocator, thus of `RustAllocator`.
        let old_size = unsafe { RustAllocator::usable_size(block) };
        if new_size > old_size && !self.0.admits(new_size - old_size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above; null leaves the old block as it is.
        let moved = unsafe { RustAllocator.realloc(block, new_size) };
        if !moved.is_null() {
            self.0.subtract(old_size);
        }
        self.counted(moved)
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller passes a block of this allocator, thus of `RustAllocator`.
        unsafe { RustAllocator::usable_size(block) }
    }
}

impl Meter {
    fn counted(&self, block: *mut u8) -> *mut u8 {
        if !block.is_null() {
            // SAFETY: `RustAllocator` has just handed it out.
            #[allow(unsafe_code)]
            let bytes = unsafe { RustAllocator::usable_size(block) };
            self.0.add(bytes);
        }
        block
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

const BYTES_BETWEEN_LOOKS: usize = 64 * 1024;
/// Larger than any object of the engine itself.
const SMALL_BYTES: usize = 4 * 1024;
/// More small blocks than can be asked for between two interrupts, ten thousand steps.
const RESERVE_BYTES: usize = 64 * 1024 * 1024;
const _: () = assert!(
    SMALL_BYTES <= BYTES_BETWEEN_LOOKS,
    "a small block must not pass by the clock"
);
const _: () = assert!(
    BYTES_BETWEEN_LOOKS <= RESERVE_BYTES,
    "the reserve must last to the next look"
);
