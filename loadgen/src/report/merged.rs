//! The recordings of all threads as one.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::counts::{Kind, sorted};
use crate::load::account::Account;
use crate::load::recording::{Recording, Unfinished};
use crate::load::sheet::Sheets;
use crate::load::stalls::Stalled;
use crate::load::tally::Tally;
use crate::load::timeline::Timeline;

/// Everything of all threads together.
pub struct Merged {
    /// Operations and handshakes that ended before the window.
    pub warm_up: Tally,
    /// Operations and handshakes that ended in the window.
    pub window: Tally,
    /// Nanoseconds, as in all histograms here, from the time an operation was due to its end. Only those that
    /// ended as expected in the window.
    pub latency: Histogram<u64>,
    /// The same from the time a connection took the operation.
    pub service: Histogram<u64>,
    /// Delays of an open loop's starts although a connection was free.
    pub late_by_generator: Histogram<u64>,
    /// Delays of an open loop's starts because every connection was busy.
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
    /// Times from the end of an operation to the server's close.
    pub close: Histogram<u64>,
    /// Connections that the server had not closed a second after the operation's end.
    pub never_closed: u64,
    /// The least that the server allowed on any h2 connection; `None`: there was none.
    pub streams_allowed: Option<usize>,
    /// Product that the server names in its Server field, as one of the threads saw it first.
    pub server_product: Option<String>,
    /// TLS parameters, as text, with the number of connections of the whole run.
    pub negotiated: HashMap<String, u64>,
    /// Bytes received in the window, TLS included.
    pub received: u64,
    /// Bytes sent in the window, TLS included.
    pub sent: u64,
    /// Arrivals not started at the end of the window.
    pub backlog: u64,
    /// Time for which the oldest of these had been due.
    pub oldest_wait: Duration,
    /// Operations in flight at the end, and arrivals never started.
    pub unfinished: Unfinished,
    /// Stalls in the window: the longest of any thread, and the sum over all threads.
    pub stalled: Stalled,
    /// Time from the last operation that ended to the end of the window.
    pub silence: Duration,
    /// Connections that were to stay open from the start of the window on and never opened.
    pub connections_not_open: u64,
    /// Course of the run over time.
    pub timeline: Timeline,
    /// Figures by entry and by phase.
    pub sheets: Sheets,
}

impl Merged {
    /// Adds up the recordings of all threads of a run.
    pub fn of(mut recordings: Vec<Recording>) -> Self {
        let timelines = recordings
            .iter_mut()
            .map(|recording| std::mem::replace(&mut recording.timeline, Timeline::empty()));
        let timeline = timelines.reduce(|mut all, one| {
            all.add(one);
            all
        });
        let empty = Recording::empty();
        let mut all = Merged {
            warm_up: Tally::default(),
            window: Tally::default(),
            latency: empty.latency,
            service: empty.service,
            late_by_generator: empty.late_by_generator,
            late_for_connection: empty.late_for_connection,
            not_resumed: empty.not_resumed,
            connect: empty.connect,
            handshake: empty.handshake,
            request: empty.request,
            first_byte: empty.first_byte,
            close: empty.close,
            never_closed: 0,
            streams_allowed: None,
            server_product: None,
            negotiated: HashMap::new(),
            received: 0,
            sent: 0,
            backlog: 0,
            oldest_wait: Duration::ZERO,
            unfinished: Unfinished::none(),
            stalled: Stalled::default(),
            silence: Duration::MAX,
            connections_not_open: 0,
            timeline: timeline.unwrap_or_else(Timeline::empty),
            sheets: Sheets::default(),
        };
        recordings.into_iter().for_each(|recording| all.add(recording));
        all
    }

    /// The operations that were asked for in the whole run.
    pub fn account(&self) -> Account {
        let mut all = Account::default();
        self.sheets
            .phases
            .iter()
            .for_each(|phase| all.add(&phase.account));
        all
    }

    /// Operations of an open loop that never ended count in the latencies as long as they had been due, where
    /// that is more than half of the others took: at least so long they would have taken. Else a server that
    /// stops answering would look as fast as it was before.
    pub fn count_unfinished(&mut self) {
        for (all, unfinished) in [
            (&mut self.latency, &self.unfinished.since_due),
            (&mut self.service, &self.unfinished.since_start),
        ] {
            let median = all.value_at_quantile(0.5);
            for value in unfinished
                .iter_recorded()
                .filter(|value| value.value_iterated_to() >= median)
            {
                all.saturating_record_n(value.value_iterated_to(), value.count_at_value());
            }
        }
    }

    fn add(&mut self, recording: Recording) {
        self.warm_up.add(recording.warm_up);
        self.window.add(recording.window);
        for (all, one) in [
            (&mut self.latency, &recording.latency),
            (&mut self.service, &recording.service),
            (&mut self.late_by_generator, &recording.late_by_generator),
            (&mut self.late_for_connection, &recording.late_for_connection),
            (&mut self.not_resumed, &recording.not_resumed),
            (&mut self.connect, &recording.connect),
            (&mut self.handshake, &recording.handshake),
            (&mut self.request, &recording.request),
            (&mut self.first_byte, &recording.first_byte),
            (&mut self.close, &recording.close),
        ] {
            all.add(one).expect("all histograms have the same bounds");
        }
        for (what, count) in recording.negotiated {
            *self.negotiated.entry(what.to_string()).or_default() += count;
        }
        self.never_closed += recording.never_closed;
        self.streams_allowed = [self.streams_allowed, recording.streams_allowed]
            .into_iter()
            .flatten()
            .min();
        self.server_product = self.server_product.take().or(recording.server_product);
        self.received += recording.end.received - recording.start.received;
        self.sent += recording.end.sent - recording.start.sent;
        self.backlog += recording.backlog.0;
        self.oldest_wait = self.oldest_wait.max(recording.backlog.1);
        self.unfinished.add(&recording.unfinished);
        self.stalled.longest = self.stalled.longest.max(recording.stalled.longest);
        self.stalled.total += recording.stalled.total;
        self.silence = self
            .silence
            .min(recording.end.at.saturating_sub(recording.last_end));
        self.connections_not_open += recording.connections_not_open;
        self.sheets.add(recording.sheets);
    }

    /// The TLS parameters that connections agreed on, and how many connections did.
    pub fn negotiated(&self) -> Vec<Kind> {
        let kinds = self.negotiated.iter();
        sorted(
            kinds
                .map(|(kind, &count)| Kind {
                    kind: kind.clone(),
                    alert: None,
                    count,
                })
                .collect(),
        )
    }
}
