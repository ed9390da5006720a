//! The recording of one thread: everything that it hands to the report.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::gate::Arrived;
use super::histogram::{histogram, record_n};
use super::negotiated::Negotiated;
use super::sheet::Sheets;
use super::stalls::Stalled;
use super::tally::Tally;
use super::timeline::Timeline;
use crate::cpu::ThreadTime;

/// Values at a boundary of the window.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// Offset from the start of the run.
    pub at: Duration,
    /// Bytes received since the start of the run, TLS included.
    pub received: u64,
    /// Bytes sent since the start of the run, TLS included.
    pub sent: u64,
    /// CPU time of the thread; `None` where the kernel does not say.
    pub cpu: Option<ThreadTime>,
    /// Connection slots that have been open at some time.
    pub opened: u64,
}

/// The whole of what one thread hands to the report.
#[derive(Debug)]
pub struct Recording {
    /// Operations and handshakes that ended before the window.
    pub warm_up: Tally,
    /// Operations and handshakes that ended in the window.
    pub window: Tally,
    /// Latencies from the time an operation was due.
    pub latency: Histogram<u64>,
    /// Latencies from the time a connection took an operation.
    pub service: Histogram<u64>,
    /// Open loop: from the time an operation was due to its start, where a connection was free, and where
    /// none was.
    pub late_by_generator: Histogram<u64>,
    /// The same where every connection was busy.
    pub late_for_connection: Histogram<u64>,
    /// Latencies of operations that were to resume a session and did not.
    pub not_resumed: Histogram<u64>,
    /// Times to open a TCP connection: in the window where each operation opens one, else since the start of
    /// the run.
    pub connect: Histogram<u64>,
    /// TLS handshakes, from the open TCP connection to the client's end of the handshake; those of the same
    /// connections.
    pub handshake: Histogram<u64>,
    /// Requests on connections made for them, from the end of the handshake to the end of the response.
    pub request: Histogram<u64>,
    /// Times from the start of a request to the first byte of its response.
    pub first_byte: Histogram<u64>,
    /// Times from the end of an operation to the server's close, and the number of connections that it did
    /// not close in time.
    pub close: Histogram<u64>,
    /// Connections that the server had not closed a second after the operation's end.
    pub never_closed: u64,
    /// On h2 connections; `None`: there was none.
    pub streams_allowed: Option<usize>,
    /// Product that the server names in its Server field; `None`: no response had one.
    pub server_product: Option<String>,
    /// TLS parameters with the number of connections of the whole run that agreed on them.
    pub negotiated: HashMap<Negotiated, u64>,
    /// The start of the window.
    pub start: Mark,
    /// The end of the window, or of the recording if that was earlier.
    pub end: Mark,
    /// Arrivals not started at the end of the window, and the wait of the oldest.
    pub backlog: (u64, Duration),
    /// Operations in flight at the end, and arrivals never started.
    pub unfinished: Unfinished,
    /// Stalls of the thread's loop within the window.
    pub stalled: Stalled,
    /// The last operation of warm-up and window.
    pub last_end: Duration,
    /// Connections that were to stay open from the start of the window on and never opened.
    pub connections_not_open: u64,
    /// Course of the run over time.
    pub timeline: Timeline,
    /// Figures by entry and by phase.
    pub sheets: Sheets,
}

/// The operations of which nobody knows how long they would have taken.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// Operations under way at the end of the window.
    pub in_flight: u64,
    /// Time for which the oldest in flight had been under way at the end of the window.
    pub oldest: Duration,
    /// In an open loop: how long those in flight and those never started had been due.
    pub since_due: Histogram<u64>,
    /// The same of those in flight, from their starts.
    pub since_start: Histogram<u64>,
}

impl Recording {
    /// The recording of a thread that never ran.
    pub fn empty() -> Self {
        Recording {
            warm_up: Tally::default(),
            window: Tally::default(),
            latency: histogram(),
            service: histogram(),
            late_by_generator: histogram(),
            late_for_connection: histogram(),
            not_resumed: histogram(),
            connect: histogram(),
            handshake: histogram(),
            request: histogram(),
            first_byte: histogram(),
            close: histogram(),
            never_closed: 0,
            streams_allowed: None,
            server_product: None,
            negotiated: HashMap::new(),
            start: Mark::default(),
            end: Mark::default(),
            backlog: (0, Duration::ZERO),
            unfinished: Unfinished::none(),
            stalled: Stalled::default(),
            last_end: Duration::ZERO,
            connections_not_open: 0,
            timeline: Timeline::empty(),
            sheets: Sheets::default(),
        }
    }

    /// Takes what the gate knows of the arrivals.
    pub fn arrived(&mut self, arrived: Arrived) {
        for (phase, account) in arrived.accounts.iter().enumerate() {
            self.sheets.phase(phase).account.add(account);
        }
        for (wait, count) in arrived.waits {
            record_n(&mut self.unfinished.since_due, wait, count);
        }
        (self.backlog, self.stalled) = (arrived.backlog, arrived.stalled);
    }
}

impl Unfinished {
    /// No unfinished operations.
    pub fn none() -> Self {
        Unfinished {
            in_flight: 0,
            oldest: Duration::ZERO,
            since_due: histogram(),
            since_start: histogram(),
        }
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Unfinished) {
        self.in_flight += other.in_flight;
        self.oldest = self.oldest.max(other.oldest);
        for (all, one) in [
            (&mut self.since_due, &other.since_due),
            (&mut self.since_start, &other.since_start),
        ] {
            all.add(one).expect("all histograms have the same bounds");
        }
    }
}
