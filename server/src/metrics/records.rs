//! Counts of connection records: those that reached no lane, and those of each lane.
//!
//! The page shows one sum over all of them. A lane's own counts tell which destination loses records.

use std::sync::{Arc, Mutex, PoisonError};

use super::cells::{Family, SharedCounter};
use super::labels::DropReason;

/// Lost records by reason.
pub type RecordDrops = Family<DropReason, SharedCounter>;

#[derive(Debug, Default)]
pub struct RecordCounters {
    /// Records lost before any lane had them: the queue was full, or its reader gone.
    pub unshipped: RecordDrops,
    lanes: Mutex<Vec<Arc<LaneCounters>>>,
}

/// Counts of one lane.
#[derive(Debug, Default)]
pub struct LaneCounters {
    pub written: SharedCounter,
    pub dropped: RecordDrops,
}

impl RecordCounters {
    /// Counters of one more lane, zeroed.
    pub fn lane(&self) -> Arc<LaneCounters> {
        let lane = Arc::<LaneCounters>::default();
        self.held(|lanes| lanes.push(lane.clone()));
        lane
    }

    /// Records written by all lanes. A record counts once for each lane that wrote it.
    pub fn written(&self) -> u64 {
        self.held(|lanes| lanes.iter().map(|lane| lane.written.get()).sum())
    }

    /// Records lost for `reason`, by all lanes and before them.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        let by_lanes: u64 = self.held(|lanes| lanes.iter().map(|lane| lane.dropped.of(reason).get()).sum());
        by_lanes + self.unshipped.of(reason).get()
    }

    fn held<T>(&self, read: impl FnOnce(&mut Vec<Arc<LaneCounters>>) -> T) -> T {
        read(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_in_every_lane_and_what_reached_none() {
        let records = RecordCounters::default();
        let (file, other) = (records.lane(), records.lane());
        file.written.add(3);
        other.written.add(2);
        other.dropped.of(DropReason::QueueFull).add(1);
        records.unshipped.of(DropReason::QueueFull).add(4);
        assert_eq!(records.written(), 5);
        assert_eq!(records.dropped(DropReason::QueueFull), 5);
        assert_eq!(records.dropped(DropReason::SinkError), 0);
    }
}
