//! Everything that can be read about the running server, in one value for all who read it.

use std::sync::Arc;
use std::time::SystemTime;

use super::core_counters::CoreCounters;
use super::named::Directory;
use super::process_counters::{MessageDrops, ProcessCounters};

/// Counters of the cores and of the process.
#[derive(Debug)]
pub struct Registry {
    /// Start of the process: the moment when these counters were made.
    pub started: SystemTime,
    pub cores: Vec<Arc<CoreCounters>>,
    pub process: Arc<ProcessCounters>,
    pub named: Arc<Directory>,
}

impl Registry {
    /// Zeroed counters for so many cores.
    #[cfg(test)]
    pub fn new(cores: usize) -> Self {
        Self::with_messages(cores, Arc::default())
    }

    /// Zeroed counters for so many cores, and the operator's messages that were dropped so far.
    pub fn with_messages(cores: usize, messages_dropped: Arc<MessageDrops>) -> Self {
        Self {
            started: SystemTime::now(),
            cores: (0..cores).map(|_| Arc::default()).collect(),
            process: Arc::new(ProcessCounters::with_messages(messages_dropped)),
            named: Arc::new(Directory::new(cores)),
        }
    }
}
