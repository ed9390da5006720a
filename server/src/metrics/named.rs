//! Counters and dates under names that the configuration gives: distributions, their trust stores, origins.
//!
//! A snapshot asks for the counters of a name when it is built, and its connections keep them; the same name
//! has the same counters after a reload. Each core has its own cells, as in [`super::CoreCounters`]. A name
//! that no snapshot and no connection holds any more is forgotten with its counts. Built and read off the
//! cores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::{Counter, Family, Histogram};
use super::labels::{ConnectionStatus, OriginResult, StatusClass};

/// A distribution, and the trust store that judges its clients; empty where none does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DistributionName {
    pub distribution: Arc<str>,
    pub trust_store: Arc<str>,
}

/// An origin of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginName {
    pub distribution: Arc<str>,
    pub origin: Arc<str>,
}

/// Cells of one core for one distribution, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct DistributionCells {
    /// Finished connections, counted with their record.
    pub connections: Family<ConnectionStatus>,
    /// Requests by the class of their response.
    pub requests: Family<StatusClass>,
}

/// Cells of one core for one origin.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct OriginCells {
    /// Requests sent to it, or meant for it, by what came of them.
    pub requests: Family<OriginResult>,
    /// Time from the request to the head of its response.
    pub response_head: Histogram,
}

/// A cell for each core.
#[derive(Debug)]
pub struct PerCore<T>(Box<[T]>);

impl<T: Default> PerCore<T> {
    fn new(cores: usize) -> Self {
        Self((0..cores).map(|_| T::default()).collect())
    }
}

impl<T> PerCore<T> {
    /// `None`: the server has fewer cores.
    pub fn of(&self, core: usize) -> Option<&T> {
        self.0.get(core)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

pub type DistributionCounters = PerCore<DistributionCells>;
pub type OriginCounters = PerCore<OriginCells>;

/// Dates that a snapshot depends on, in seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Dates {
    /// End of the validity of each distribution's certificate.
    pub certificates: Vec<(Arc<str>, i64)>,
    pub crls: Vec<CrlDates>,
}

/// The dates of one CRL.
#[derive(Clone, Debug)]
pub struct CrlDates {
    pub trust_store: Arc<str>,
    /// Tells the CRLs of a trust store apart, of which an issuer may have several: the order in which they
    /// were loaded.
    pub number: usize,
    pub issuer: String,
    pub this_update: u64,
    pub next_update: u64,
}

/// All names.
#[derive(Debug, Default)]
pub struct Directory {
    cores: usize,
    distributions: Names<DistributionName, DistributionCounters>,
    origins: Names<OriginName, OriginCounters>,
    dates: Mutex<Dates>,
}

type Names<N, C> = Mutex<BTreeMap<N, Arc<C>>>;

impl Directory {
    pub(super) fn new(cores: usize) -> Self {
        Self {
            cores,
            ..Self::default()
        }
    }

    pub fn distribution(&self, name: DistributionName) -> Arc<DistributionCounters> {
        let mut names = held(&self.distributions);
        let counters = names
            .entry(name)
            .or_insert_with(|| Arc::new(PerCore::new(self.cores)));
        counters.clone()
    }

    pub fn origin(&self, name: OriginName) -> Arc<OriginCounters> {
        let mut names = held(&self.origins);
        let counters = names
            .entry(name)
            .or_insert_with(|| Arc::new(PerCore::new(self.cores)));
        counters.clone()
    }

    /// Replaces the dates by those of the snapshot that was published.
    pub fn set_dates(&self, dates: Dates) {
        *held(&self.dates) = dates;
    }

    pub fn dates(&self) -> Dates {
        held(&self.dates).clone()
    }

    pub(super) fn distributions(&self) -> Vec<(DistributionName, Arc<DistributionCounters>)> {
        in_use(&self.distributions)
    }

    pub(super) fn origins(&self) -> Vec<(OriginName, Arc<OriginCounters>)> {
        in_use(&self.origins)
    }
}

/// Counters that somebody besides this directory holds. The other counters are forgotten.
fn in_use<N: Ord + Clone, C>(names: &Names<N, C>) -> Vec<(N, Arc<C>)> {
    let mut names = held(names);
    names.retain(|_, counters| Arc::strong_count(counters) > 1);
    let kept = names.iter();
    kept.map(|(name, counters)| (name.clone(), counters.clone()))
        .collect()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds one for `core`, if there is such a core.
pub fn count<T>(counters: &PerCore<T>, core: usize, counter: impl Fn(&T) -> &Counter) {
    if let Some(cells) = counters.of(core) {
        counter(cells).add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(distribution: &str) -> DistributionName {
        DistributionName {
            distribution: distribution.into(),
            trust_store: "partners".into(),
        }
    }

    #[test]
    fn the_same_name_has_the_same_counters_as_long_as_somebody_holds_them() {
        let directory = Directory::new(2);
        let before = directory.distribution(name("E1"));
        count(&before, 1, |cells| {
            cells.connections.of(ConnectionStatus::Success)
        });
        let after = directory.distribution(name("E1"));
        drop(before);
        let seen: u64 = after
            .iter()
            .map(|cells| cells.connections.of(ConnectionStatus::Success).get())
            .sum();
        assert_eq!(seen, 1);
        assert_eq!(directory.distributions().len(), 1);
        drop(after);
        assert!(directory.distributions().is_empty());
    }

    #[test]
    fn a_core_that_is_not_there_counts_nothing() {
        let counters = Directory::new(1).distribution(name("E1"));
        count(&counters, 1, |cells| cells.requests.of(StatusClass::Success));
        assert_eq!(
            counters
                .iter()
                .map(|cells| cells.requests.of(StatusClass::Success).get())
                .sum::<u64>(),
            0
        );
    }
}
