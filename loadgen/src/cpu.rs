//! CPU time and memory, of ourselves and of the server.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::sys;

/// CPU time of one thread of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// Time of this look; `None`: there was none.
    pub taken_at: Option<Instant>,
    /// Ran on a core.
    pub running: Duration,
    /// Could have run, but something else had the core.
    pub waiting: Duration,
}

impl ThreadTime {
    /// Reads the time of the calling thread; `None` where the kernel does not say.
    pub fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let (running, waiting) = parse_schedstat(&text)?;
        Some(ThreadTime {
            taken_at: Some(Instant::now()),
            running,
            waiting,
        })
    }

    /// The time that passed between `earlier` and `self`.
    pub fn since(&self, earlier: &ThreadTime) -> Option<Duration> {
        self.taken_at?.checked_duration_since(earlier.taken_at?)
    }

    /// Shares of the time between `earlier` and `self`: running, and waiting for a core.
    pub fn shares_since(&self, earlier: &ThreadTime) -> Option<(f64, f64)> {
        let wall = self.since(earlier)?.as_secs_f64();
        let share = |later: Duration, earlier: Duration| later.saturating_sub(earlier).as_secs_f64() / wall;
        (wall > 0.0).then(|| {
            (
                share(self.running, earlier.running),
                share(self.waiting, earlier.waiting),
            )
        })
    }
}

/// The processes of `--server-pid` and their descendants.
#[derive(Debug)]
pub struct Server {
    pids: Vec<u32>,
}

/// A full look at the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerSample {
    pub taken_at: Instant,
    /// CPU time of all its processes since they began, user and system.
    pub cpu: Duration,
    /// Time in which its threads could have run but had no core.
    pub waiting: Duration,
    /// Resident memory of all its processes; pages that they share count for each.
    pub resident_bytes: u64,
}

/// A quick look at the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerGlance {
    pub taken_at: Instant,
    /// CPU time of all its processes since they began, user and system.
    pub cpu: Duration,
    /// Resident memory of all its processes; pages that they share count for each.
    pub resident_bytes: u64,
}

impl Server {
    /// Finds the processes; the error names the one that is not there.
    pub fn find(roots: &[u32]) -> Result<Self, String> {
        let mut pids: Vec<u32> = Vec::new();
        for &root in roots {
            sys::process_cpu(root).map_err(|error| format!("--server-pid {root}: {error}"))?;
            pids.push(root);
        }
        let parents = parents();
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            let children = parents
                .iter()
                .filter(|(_, parent)| *parent == pid)
                .map(|(child, _)| *child);
            let new: Vec<u32> = children.filter(|child| !pids.contains(child)).collect();
            pids.extend(new);
            next += 1;
        }
        Ok(Server { pids })
    }

    /// The ids of all processes: those that were named and their descendants.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Only what costs little to look at: for many looks during the run. `None` when a process has ended.
    pub fn glance(&self) -> Option<ServerGlance> {
        let taken_at = Instant::now();
        let cpu = self.pids.iter().map(|&pid| sys::process_cpu(pid));
        Some(ServerGlance {
            taken_at,
            cpu: cpu.sum::<io::Result<Duration>>().ok()?,
            resident_bytes: self.pids.iter().map(|&pid| resident(pid)).sum(),
        })
    }

    /// Memory as far as it is theirs: a page that several processes share counts for each in part (PSS). Only
    /// anonymous memory, where the kernel tells it apart: pages of the program's file count less as soon as
    /// another process runs the same one. `None` where the kernel does not say.
    pub fn proportional_bytes(&self) -> Option<u64> {
        let rollups = self.pids.iter().map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            parse_kilobytes(&text, "Pss_Anon:").or_else(|| parse_kilobytes(&text, "Pss:"))
        });
        rollups.sum()
    }

    /// Fails when one of the processes has ended: its time can no longer be known.
    pub fn sample(&self) -> io::Result<ServerSample> {
        let mut sample = ServerSample {
            taken_at: Instant::now(),
            cpu: Duration::ZERO,
            waiting: Duration::ZERO,
            resident_bytes: 0,
        };
        for &pid in &self.pids {
            sample.cpu += sys::process_cpu(pid)?;
            sample.waiting += waiting(pid);
            sample.resident_bytes += resident(pid);
        }
        Ok(sample)
    }
}

/// Looks at the server at even distances, as many as there is room for.
#[derive(Debug)]
pub struct Glances {
    every: Duration,
    next: Duration,
    taken: Vec<ServerGlance>,
}

impl Glances {
    /// Looks every `every` from the start of the run; further apart once there is no room left.
    pub fn new(every: Duration) -> Self {
        Glances {
            every,
            next: Duration::ZERO,
            taken: Vec::new(),
        }
    }

    /// The time of the next look, as an offset from the start of the run.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// Looks at `server` if a look is due at `now`, an offset from the start of the run.
    pub fn take(&mut self, now: Duration, server: &Server) {
        if now < self.next {
            return;
        }
        self.taken.extend(server.glance());
        if self.taken.len() == GLANCES_MAX {
            let mut odd = false;
            self.taken.retain(|_| {
                odd = !odd;
                odd
            });
            self.every *= 2;
        }
        self.next = now + self.every;
    }

    /// All looks, in the order of time.
    pub fn taken(self) -> Vec<ServerGlance> {
        self.taken
    }
}

/// All processes as (pid, parent).
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse_parent(&stat)?))
        })
        .collect()
}

/// The parent in `/proc/PID/stat`; the command before it may contain anything.
fn parse_parent(stat: &str) -> Option<u32> {
    let (_, after_command) = stat.rsplit_once(')')?;
    after_command.split_whitespace().nth(1)?.parse().ok()
}

fn waiting(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| parse_schedstat(&text))
        .map(|(_, waiting)| waiting)
        .sum()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    parse_kilobytes(&status, "VmRSS:").unwrap_or(0)
}

/// The value of a line such as `VmRSS:   2048 kB`, in bytes.
fn parse_kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// `running waiting timeslices`, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut fields = text
        .split_whitespace()
        .map(|field| field.parse().ok().map(Duration::from_nanos));
    Some((fields.next()??, fields.next()??))
}

/// Twice as many as a timeline has intervals.
const GLANCES_MAX: usize = 1200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_room_for_its_glances() {
        let server = Server::find(&[std::process::id()]).unwrap();
        let mut glances = Glances::new(Duration::from_millis(100));
        for tick in 0..5000 {
            glances.take(tick * Duration::from_millis(100), &server);
        }
        let every = glances.every;
        let taken = glances.taken();
        assert!(
            (GLANCES_MAX / 2..GLANCES_MAX).contains(&taken.len()),
            "{}",
            taken.len()
        );
        assert_eq!(every, Duration::from_millis(800));
    }

    #[test]
    fn proc_files_are_parsed() {
        assert_eq!(parse_parent("42 (a) b (c)) S 7 42 42 0"), Some(7));
        assert_eq!(
            parse_kilobytes("Name:\tx\nVmRSS:\t   2048 kB\n", "VmRSS:"),
            Some(2 * 1024 * 1024)
        );
        let times = (Duration::from_nanos(272_840), Duration::from_nanos(5));
        assert_eq!(parse_schedstat("272840 5 1\n"), Some(times));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn we_can_measure_ourselves_and_not_an_absent_process() {
        let server = Server::find(&[std::process::id()]).unwrap();
        let sample = server.sample().unwrap();
        assert!(sample.cpu > Duration::ZERO && sample.resident_bytes > 0);
        assert!(server.proportional_bytes() > Some(100_000));
        assert!(Server::find(&[u32::MAX]).unwrap_err().contains("--server-pid"));
    }
}
