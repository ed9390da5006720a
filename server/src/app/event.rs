//! Everything that wakes the control thread.

use crate::runtime::Driver;

pub(super) enum Event {
    Signal(i32),
    /// A core runs, on this driver.
    Started(Driver),
    /// A core has ended.
    Ended(usize, Result<(), String>),
}
