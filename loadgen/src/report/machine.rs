//! CPU time and memory of the server, and CPU time and stalls of the generator.

use std::time::Duration;

use serde::Serialize;

use super::counts::Operations;
use crate::cpu::ServerSample;
use crate::load::recording::Recording;
use crate::load::stalls::Stalled;
use crate::plan::Plan;

/// CPU time and memory of the server's processes in the window.
#[derive(Debug, Serialize)]
pub struct ServerUse {
    /// CPU time per operation of the window; `None` where none ended.
    pub cpu_us_per_operation: Option<f64>,
    /// CPU time in seconds between the looks at both ends of the window.
    pub cpu_s: f64,
    /// CPU use, as a percentage of one core.
    pub busy_percent: f64,
    /// Time in which a thread of the server was ready to run and something else had the core.
    pub waiting_for_core_percent: f64,
    /// Resident memory at the end of the window.
    pub resident_bytes: u64,
}

/// CPU time and stalls of loadgen in the window.
#[derive(Debug, Serialize)]
pub struct GeneratorUse {
    /// It was the limit: the server could have done more (see `limits`).
    pub was_the_limit: bool,
    /// CPU time of all load threads per operation; `None` where none ended.
    pub cpu_us_per_operation: Option<f64>,
    /// Times in which its loop stood still although it had something to do: the longest, and all of its
    /// threads.
    pub longest_stall_ms: f64,
    /// Milliseconds that the loops of all threads stood still, altogether.
    pub stalled_ms: f64,
    /// Each load thread's use of its core, where the kernel tells it.
    pub threads: Vec<ThreadUse>,
}

/// CPU time of one load thread in the window.
#[derive(Debug, Clone, Serialize)]
pub struct ThreadUse {
    /// Number of the core that the thread is pinned to.
    pub core: usize,
    /// Time on the core, in percent of the window.
    pub busy_percent: f64,
    /// Time in which it could have run but something else had the core, in percent of the window.
    pub waiting_for_core_percent: f64,
}

impl ServerUse {
    /// `scale`: the window's length, to which the time between the two samples (a little more or less) is
    /// scaled.
    pub fn of(
        first: &ServerSample,
        last: &ServerSample,
        operations: &Operations,
        scale: Option<Duration>,
    ) -> Self {
        let wall = last
            .taken_at
            .saturating_duration_since(first.taken_at)
            .as_secs_f64()
            .max(1e-9);
        let cpu = last.cpu.saturating_sub(first.cpu).as_secs_f64();
        let cpu_in_window = scale.map_or(cpu, |window| cpu / wall * window.as_secs_f64());
        let waiting = last.waiting.saturating_sub(first.waiting).as_secs_f64();
        ServerUse {
            cpu_us_per_operation: per_operation(cpu_in_window, operations),
            cpu_s: cpu,
            busy_percent: 100.0 * cpu / wall,
            waiting_for_core_percent: 100.0 * waiting / wall,
            resident_bytes: last.resident_bytes,
        }
    }
}

impl GeneratorUse {
    /// Adds up the load threads' CPU time between the two ends of a window of `length`.
    pub fn of(plan: &Plan, recordings: &[Recording], length: Duration) -> Self {
        let mut threads = Vec::new();
        let mut cpu = 0.0;
        let mut operations = Operations::default();
        for (recording, &core) in recordings.iter().zip(&plan.cores) {
            operations.total += Operations::of(&recording.window).total;
            let shares = recording
                .end
                .cpu
                .zip(recording.start.cpu)
                .and_then(|(end, start)| end.shares_since(&start));
            if let Some((busy, waiting)) = shares {
                cpu += busy * length.as_secs_f64();
                let (busy_percent, waiting_for_core_percent) = (100.0 * busy, 100.0 * waiting);
                threads.push(ThreadUse {
                    core,
                    busy_percent,
                    waiting_for_core_percent,
                });
            }
        }
        GeneratorUse {
            was_the_limit: false,
            cpu_us_per_operation: per_operation(cpu, &operations),
            longest_stall_ms: 0.0,
            stalled_ms: 0.0,
            threads,
        }
    }
}

impl GeneratorUse {
    /// Adds the stalls of the threads' loops.
    pub fn with_stalls(mut self, stalled: Stalled) -> Self {
        self.longest_stall_ms = stalled.longest.as_secs_f64() * 1e3;
        self.stalled_ms = stalled.total.as_secs_f64() * 1e3;
        self
    }
}

fn per_operation(cpu_s: f64, operations: &Operations) -> Option<f64> {
    (operations.total > 0).then(|| cpu_s * 1e6 / operations.total as f64)
}
