//! Table of the addresses of origins by name and port: one for the process, beside all snapshots.
//!
//! Owns which names are looked after: those of the snapshot that was published last. A snapshot that is
//! being built takes the entries of names that are in the table already, and looks up the others, off the
//! cores. Its entries take the place of the former ones when it is published, so a refused one leaves the
//! table as it was. Does not own when a name is looked up again (`backstage`'s resolver).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use super::addresses::{Addresses, Lookup, Name, look_up_all};

/// Addresses of some names.
pub type NamedAddresses = HashMap<Name, Arc<Addresses>>;

/// The table. Its entries are swapped whole, and the addresses of an entry once more, each by itself.
#[derive(Debug, Default)]
pub struct AddressTable(ArcSwap<NamedAddresses>);

impl AddressTable {
    /// Entries of the names that are looked after today.
    pub fn entries(&self) -> Arc<NamedAddresses> {
        self.0.load_full()
    }

    /// Entries for `names`, each once. Names that are in the table keep their entry, and need no look-up. The
    /// others are looked up together, until `until` at most.
    ///
    /// # Errors
    /// The first new name that leads nowhere, or not in time.
    pub fn resolve(
        &self,
        names: impl Iterator<Item = Name>,
        until: Instant,
        lookup: Lookup,
    ) -> Result<Arc<NamedAddresses>, (Name, io::Error)> {
        let known = self.entries();
        let (mut all, mut new) = (NamedAddresses::new(), Vec::new());
        for name in names {
            if let Entry::Vacant(entry) = all.entry(name) {
                let addresses = known.get(entry.key()).cloned().unwrap_or_else(|| {
                    let addresses = Addresses::of(entry.key().clone());
                    new.push(addresses.clone());
                    addresses
                });
                entry.insert(addresses);
            }
        }
        // A reload is a reason to look again, but not one to wait.
        known.values().for_each(|addresses| addresses.doubt());
        let failed = look_up_all(&new, until, lookup).into_iter();
        let mut failed = failed.filter_map(|(addresses, error)| Some((addresses.name()?.clone(), error)));
        failed.next().map_or(Ok(Arc::new(all)), Err)
    }

    /// Puts the entries of a snapshot that is published in place of those of the one before.
    pub fn publish(&self, entries: Arc<NamedAddresses>) {
        self.0.store(entries);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    fn names(hosts: &[&str]) -> impl Iterator<Item = Name> {
        hosts.iter().map(|host| name(host))
    }

    fn name(host: &str) -> Name {
        let host = host.to_owned();
        Name { host, port: 80 }
    }

    fn of_the_test(name: &Name) -> io::Result<Vec<SocketAddr>> {
        match name.host.starts_with("lost") {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(vec![SocketAddr::from(([192, 0, 2, 1], name.port))]),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_name_that_stays_keeps_its_entry_and_one_that_nobody_names_is_dropped() {
        let table = AddressTable::default();
        let first = table.resolve(names(&["a", "b", "a"]), soon(), of_the_test);
        table.publish(first.expect("both lead somewhere"));
        let before = table.entries();
        assert_eq!(before.len(), 2);
        let second = table.resolve(names(&["c", "b"]), soon(), of_the_test);
        table.publish(second.expect("both lead somewhere"));
        let after = table.entries();
        assert!(Arc::ptr_eq(&before[&name("b")], &after[&name("b")]));
        assert!(after.len() == 2 && !after.contains_key(&name("a")));
        assert!(after[&name("b")].take_doubt(), "it is to be looked up again");
        assert!(!after[&name("c")].take_doubt(), "it was looked up just now");
    }

    #[test]
    fn a_new_name_that_leads_nowhere_is_refused_and_leaves_the_table_as_it_was() {
        let table = AddressTable::default();
        let first = table.resolve(names(&["a"]), soon(), of_the_test);
        table.publish(first.expect("it leads somewhere"));
        let hosts = ["a", "b", "lost-1", "lost-2"];
        let refused = table.resolve(names(&hosts), soon(), of_the_test).err();
        assert_eq!(refused.expect("an error").0, name("lost-1"));
        assert_eq!(table.entries().len(), 1);
    }
}
