//! Was it the server that set the figures, or something on this side?
//!
//! A pure decision over what was measured. Each limit says what was seen and what to do about it.

use serde::{Deserialize, Serialize};

use super::facts::{Closes, Facts};
use super::machine::ThreadUse;
use super::text::{count, time};
use crate::load::stalls::Stalled;
use std::time::Duration;

/// Something other than the server's own speed that bounded what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Resource or party that was the limit.
    pub kind: Kind,
    /// `true`: it lies with the generator, its settings or its machine, and the server could have done more.
    pub by_generator: bool,
    /// Sentence on what was seen.
    pub what: String,
    /// Sentence on what to do about it.
    pub remedy: String,
}

/// Kinds of limits; their names are part of the report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A thread had no time left.
    Cpu,
    /// Operations started late although they could have started.
    Schedule,
    /// The generator's loop stood still: its process was stopped, or it or its machine had no core.
    Stalled,
    /// Every connection was busy when operations were due.
    Connections,
    /// The server allows fewer streams on an h2 connection than were to be used.
    Streams,
    /// Clients waited for the server to close connections after their response.
    Close,
    LocalPorts,
    Descriptors,
    /// The server did not accept fast enough, and connection attempts were dropped.
    ListenQueue,
}

/// Every limit that the facts show, those of the generator first.
pub fn limits(facts: &Facts) -> Vec<Limit> {
    let long_enough = facts.window_s >= WINDOW_MIN_S;
    let threads = facts.threads.iter().filter(|_| long_enough);
    let mut limits: Vec<Limit> = threads.filter_map(cpu).collect();
    limits.extend(stalled(facts));
    limits.extend(schedule(facts));
    limits.extend(ports(facts));
    limits.extend(descriptors(facts));
    limits.extend(connections(facts));
    limits.extend(streams(facts));
    limits.extend(close(facts));
    limits.extend(listen_queue(facts));
    limits
}

/// A thread that always had something to do: it ran, or it was ready to run and had no core.
fn cpu(thread: &ThreadUse) -> Option<Limit> {
    let (busy, waiting) = (thread.busy_percent, thread.waiting_for_core_percent);
    let core = thread.core;
    let crowded = waiting > WAITING_PERCENT;
    (busy + waiting > BUSY_PERCENT).then(|| Limit {
        kind: Kind::Cpu,
        by_generator: true,
        what: if crowded {
            format!(
                "its core {core} had no time left ({busy:.0} % busy, {waiting:.0} % taken by something else)"
            )
        } else {
            format!("its core {core} was {busy:.0} % busy")
        },
        remedy: if crowded {
            "keep other work off the generator's cores, the server too".to_owned()
        } else {
            "give it more --cores, or a machine of its own".to_owned()
        },
    })
}

fn stalled(facts: &Facts) -> Option<Limit> {
    let Stalled { longest, total } = facts.stalled;
    let share = total.as_secs_f64() / facts.window_s;
    let much = longest >= STALL_MAX || (total >= STALLED_MIN && share > STALLED_SHARE_MAX);
    (much && !longest.is_zero()).then(|| Limit {
        kind: Kind::Stalled,
        by_generator: true,
        what: format!(
            "it stood still for {} at a time, for {} altogether",
            time(Some(longest.as_secs_f64() * 1e6)),
            time(Some(total.as_secs_f64() * 1e6))
        ),
        remedy: "keep other work off its cores; a process that is stopped or a paused virtual machine shows like this, too"
            .to_owned(),
    })
}

fn schedule(facts: &Facts) -> Option<Limit> {
    let late = &facts.late_by_generator;
    often(late.over_1ms, facts.operations).then(|| Limit {
        kind: Kind::Schedule,
        by_generator: true,
        what: format!(
            "{} of {} operations started over 1 ms late although a connection was free (at worst {})",
            count(late.over_1ms),
            count(facts.operations),
            time(Some(late.max_us))
        ),
        remedy: "give it more --cores, or cores that nothing else uses".to_owned(),
    })
}

fn connections(facts: &Facts) -> Option<Limit> {
    let late = &facts.late_for_connection;
    often(late.over_1ms, facts.operations).then(|| Limit {
        kind: Kind::Connections,
        by_generator: false,
        what: format!(
            "{} of {} operations waited over 1 ms because all {} were busy (at worst {})",
            count(late.over_1ms),
            count(facts.operations),
            facts.connections,
            time(Some(late.max_us))
        ),
        remedy: "this wait is part of the latency; if the server had time to spare, use more --connections, or more clients in a scenario".to_owned(),
    })
}

fn streams(facts: &Facts) -> Option<Limit> {
    let (wanted, allowed) = facts.streams.filter(|(wanted, allowed)| allowed < wanted)?;
    Some(Limit {
        kind: Kind::Streams,
        by_generator: false,
        what: format!(
            "the server allows {} streams at a time on an h2 connection, and {} were to be used; the others waited in the client",
            count(allowed),
            count(wanted)
        ),
        remedy: format!("this wait is part of the latency; use --streams {allowed} and more --connections"),
    })
}

fn close(facts: &Facts) -> Option<Limit> {
    let Closes {
        count: all,
        slow,
        never,
    } = facts.closes;
    often(slow + never, all).then(|| Limit {
        kind: Kind::Close,
        by_generator: false,
        what: format!(
            "of {} connections the server closed {} over 10 ms after their response, and {} not within a second; their clients waited \
             for it before their next operation",
            count(all),
            count(slow),
            count(never)
        ),
        remedy: "this wait bounds the throughput and is no part of the latency (latency_us.close); let the server close at once, \
                 or use more --connections"
            .to_owned(),
    })
}

fn ports(facts: &Facts) -> Option<Limit> {
    (facts.no_port > 0).then(|| Limit {
        kind: Kind::LocalPorts,
        by_generator: true,
        what: format!("{} connections found no local port free", count(facts.no_port)),
        remedy: "connections that this side closed first hold theirs for a minute: wait, or widen \
                 net.ipv4.ip_local_port_range"
            .to_owned(),
    })
}

fn descriptors(facts: &Facts) -> Option<Limit> {
    (facts.no_descriptor > 0).then(|| Limit {
        kind: Kind::Descriptors,
        by_generator: true,
        what: format!(
            "{} connections found no file descriptor free",
            count(facts.no_descriptor)
        ),
        remedy: "raise the hard limit (ulimit -Hn), or use fewer --connections".to_owned(),
    })
}

fn listen_queue(facts: &Facts) -> Option<Limit> {
    (facts.listen_overflows > 0).then(|| Limit {
        kind: Kind::ListenQueue,
        by_generator: false,
        what: format!(
            "the kernel dropped {} connection attempts because a listen queue of this machine was full",
            count(facts.listen_overflows)
        ),
        remedy: "each is repeated after a second, which the latencies show; raise the server's backlog and \
                 net.core.somaxconn, or open fewer connections at once"
            .to_owned(),
    })
}

/// More than one in a hundred.
fn often(count: u64, of: u64) -> bool {
    count > 0 && count.saturating_mul(100) > of
}

/// In less, a thread that has just started looks busy.
pub const WINDOW_MIN_S: f64 = 0.2;
const BUSY_PERCENT: f64 = 90.0;
const STALL_MAX: Duration = Duration::from_millis(100);
/// In a short window a single pause is a large share.
const STALLED_MIN: Duration = Duration::from_millis(50);
const STALLED_SHARE_MAX: f64 = 0.01;
/// Time without a core, in percent, from which on a thread's core counts as crowded.
pub const WAITING_PERCENT: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::super::facts::Late;
    use super::*;

    fn thread(busy_percent: f64, waiting_for_core_percent: f64) -> Facts {
        Facts {
            threads: vec![ThreadUse {
                core: 3,
                busy_percent,
                waiting_for_core_percent,
            }],
            window_s: 1.0,
            ..Facts::default()
        }
    }

    fn late(over_1ms: u64) -> Late {
        Late {
            over_1ms,
            p50_us: 1500.0,
            p99_us: 4000.0,
            max_us: 5200.0,
        }
    }

    #[track_caller]
    fn only(facts: &Facts) -> Limit {
        let mut limits = limits(facts);
        assert_eq!(limits.len(), 1, "{limits:?}");
        limits.remove(0)
    }

    #[test]
    fn a_generator_with_time_to_spare_is_no_limit() {
        assert_eq!(limits(&Facts::default()), []);
        assert_eq!(limits(&thread(60.0, 2.0)), []);
        assert_eq!(limits(&thread(89.0, 0.5)), []);
    }

    #[test]
    fn a_window_of_milliseconds_says_nothing_about_a_thread() {
        let facts = Facts {
            window_s: 0.006,
            ..thread(99.0, 0.0)
        };
        assert_eq!(limits(&facts), []);
    }

    #[test]
    fn a_generator_whose_core_was_always_busy_was_the_limit() {
        let limit = only(&thread(99.2, 0.3));
        assert_eq!((limit.kind, limit.by_generator), (Kind::Cpu, true));
        assert!(limit.what.contains("core 3 was 99 % busy"), "{limit:?}");
        assert!(limit.remedy.contains("--cores"));
    }

    #[test]
    fn a_generator_that_shared_its_core_and_never_idled_was_the_limit_too() {
        let limit = only(&thread(62.0, 37.0));
        assert_eq!(limit.kind, Kind::Cpu);
        assert!(limit.what.contains("37 % taken by something else"), "{limit:?}");
        assert!(limit.remedy.contains("keep other work off"));
    }

    #[test]
    fn an_open_loop_that_started_late_with_free_connections_was_limited_by_the_generator() {
        let facts = |late_count| Facts {
            operations: 10_000,
            late_by_generator: late(late_count),
            ..Facts::default()
        };
        assert_eq!(limits(&facts(100)), []);
        let limit = only(&facts(101));
        assert_eq!((limit.kind, limit.by_generator), (Kind::Schedule, true));
        assert!(
            limit.what.contains("101 of 10,000") && limit.what.contains("5.20ms"),
            "{limit:?}"
        );
    }

    #[test]
    fn an_exhausted_pool_of_connections_is_told_apart_from_a_late_generator() {
        let limit = only(&Facts {
            operations: 1000,
            connections: "16 connections".to_owned(),
            late_for_connection: late(500),
            ..Facts::default()
        });
        assert_eq!((limit.kind, limit.by_generator), (Kind::Connections, false));
        assert!(limit.what.contains("all 16 connections were busy"), "{limit:?}");
        assert!(limit.remedy.contains("--connections"));
    }

    #[test]
    fn a_generator_that_stood_still_was_the_limit() {
        let ms = Duration::from_millis;
        let facts = |longest, total| Facts {
            window_s: 2.0,
            stalled: Stalled { longest, total },
            ..Facts::default()
        };
        assert_eq!(limits(&facts(ms(15), ms(45))), []);
        assert_eq!(only(&facts(ms(15), ms(60))).kind, Kind::Stalled);
        let limit = only(&facts(ms(500), ms(500)));
        assert!(
            limit.by_generator && limit.what.contains("500.00ms at a time"),
            "{limit:?}"
        );
    }

    #[test]
    fn waiting_for_the_servers_close_is_told() {
        let facts = |slow, never| Facts {
            closes: Closes {
                count: 1000,
                slow,
                never,
            },
            ..Facts::default()
        };
        assert_eq!(limits(&facts(10, 0)), []);
        let limit = only(&facts(900, 50));
        assert!(
            !limit.by_generator && limit.what.contains("closed 900 over 10 ms"),
            "{limit:?}"
        );
    }

    #[test]
    fn fewer_streams_than_were_to_be_used_are_told() {
        let facts = |allowed| Facts {
            streams: Some((16, allowed)),
            ..Facts::default()
        };
        assert_eq!(limits(&facts(16)), []);
        assert!(only(&facts(4)).remedy.contains("--streams 4"));
    }

    #[test]
    fn exhausted_local_ports_are_the_generators_limit() {
        let limit = only(&Facts {
            no_port: 7,
            ..Facts::default()
        });
        assert_eq!((limit.kind, limit.by_generator), (Kind::LocalPorts, true));
        assert!(limit.remedy.contains("ip_local_port_range"));
    }

    #[test]
    fn exhausted_descriptors_are_the_generators_limit() {
        let limit = only(&Facts {
            no_descriptor: 7,
            ..Facts::default()
        });
        assert_eq!((limit.kind, limit.by_generator), (Kind::Descriptors, true));
        assert!(limit.remedy.contains("ulimit"));
    }

    #[test]
    fn a_full_listen_queue_is_not_the_generators_limit() {
        let limit = only(&Facts {
            listen_overflows: 12,
            ..Facts::default()
        });
        assert_eq!((limit.kind, limit.by_generator), (Kind::ListenQueue, false));
        assert!(limit.what.contains("12 connection attempts"));
        assert!(limit.remedy.contains("somaxconn"));
    }
}
