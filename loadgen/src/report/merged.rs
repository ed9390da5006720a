//! The recordings of all threads as one.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Kind, sorted};
use crate::load::recorder::{Recording, Tally};
use crate::load::sheet::Sheets;

/// Everything of all threads together.
pub struct Merged {
    pub warm_up: Tally,
    pub window: Tally,
    pub latency: Histogram<u64>,
    pub service: Histogram<u64>,
    pub not_resumed: Histogram<u64>,
    pub connect: Histogram<u64>,
    pub handshake: Histogram<u64>,
    pub request: Histogram<u64>,
    pub negotiated: HashMap<String, u64>,
    pub received: u64,
    pub sent: u64,
    pub backlog: u64,
    pub oldest_wait: Duration,
    pub in_flight: u64,
    pub connections_not_open: u64,
    pub sheets: Sheets,
}

impl Merged {
    pub fn of(recordings: Vec<Recording>) -> Self {
        let empty = Recording::empty();
        let mut all = Merged {
            warm_up: Tally::default(),
            window: Tally::default(),
            latency: empty.latency,
            service: empty.service,
            not_resumed: empty.not_resumed,
            connect: empty.connect,
            handshake: empty.handshake,
            request: empty.request,
            negotiated: HashMap::new(),
            received: 0,
            sent: 0,
            backlog: 0,
            oldest_wait: Duration::ZERO,
            in_flight: 0,
            connections_not_open: 0,
            sheets: Sheets::default(),
        };
        recordings.into_iter().for_each(|recording| all.add(recording));
        all
    }

    fn add(&mut self, recording: Recording) {
        self.warm_up.add(recording.warm_up);
        self.window.add(recording.window);
        for (all, one) in [
            (&mut self.latency, &recording.latency),
            (&mut self.service, &recording.service),
            (&mut self.not_resumed, &recording.not_resumed),
            (&mut self.connect, &recording.connect),
            (&mut self.handshake, &recording.handshake),
            (&mut self.request, &recording.request),
        ] {
            all.add(one).expect("all histograms have the same bounds");
        }
        for (what, count) in recording.negotiated {
            *self.negotiated.entry(what.to_string()).or_default() += count;
        }
        self.received += recording.end.received - recording.start.received;
        self.sent += recording.end.sent - recording.start.sent;
        self.backlog += recording.backlog.0;
        self.oldest_wait = self.oldest_wait.max(recording.backlog.1);
        self.in_flight += recording.in_flight;
        self.connections_not_open += recording.connections_not_open;
        self.sheets.add(recording.sheets);
    }

    /// What the connections agreed on, and how many of them.
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
