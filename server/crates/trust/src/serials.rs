//! An exact set of serial numbers, made for ten million of them.
//!
//! Owns the stored form and the lookup. A serial is compared as the magnitude of its INTEGER: leading zero
//! octets do not count, so `00:9e…` in a certificate, `9e…` in a list and `009E…` in a CRL are the same. (A
//! negative serial, which RFC 5280 §4.1.2.2 forbids but webpki tolerates, shares its octets with a positive
//! one: that can only refuse more, never admit more.)
//!
//! Serials of up to 20 octets, the most that RFC 5280 allows, are 20-octet entries in one array, in the order
//! of their hashes; `starts` has where each bucket of about 32 begins. That is 20.1 bytes an entry, and an
//! index that fits a core's own cache (1.3 MB for ten million). Within a bucket the hash tells about where
//! the entry must be, so finding one is one access to far memory, to one line or two that lie side by side.
//!
//! Nearly every client is not revoked, so before that a filter of 10.7 bits an entry is asked: one word of it
//! has four bits for each of its entries. It turns away about 98 in 100 of the others with one access to
//! memory that is a sixteenth of the entries', and without a branch that a processor could guess wrong; it
//! never turns away an entry. Together 21.5 bytes an entry.
//!
//! A CA that chooses its serials so that they all share a bucket slows a lookup to O(log n), not to O(n).
//! Longer serials go to an ordered side set.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::der;

/// Built once by [`SerialSetBuilder`], then immutable.
#[derive(Default)]
pub(super) struct SerialSet {
    entries: Vec<Entry>,
    /// `starts[b]..starts[b + 1]` are the entries of bucket `b`; empty when there are no entries.
    starts: Vec<u32>,
    /// Four bits of one word for each entry, chosen by its hash. Empty when there are no entries.
    filter: Vec<u64>,
    long: BTreeSet<Box<[u8]>>,
}

/// Collects serials in any order, repeats included.
#[derive(Default)]
pub(super) struct SerialSetBuilder {
    entries: Vec<Entry>,
    long: BTreeSet<Box<[u8]>>,
}

/// More serials than the index can count: four billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManySerials;

/// The magnitude, padded on the left.
type Entry = [u8; ENTRY_OCTETS];

impl SerialSet {
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.long.len()
    }

    /// Memory held, in bytes; that of the few long serials is estimated.
    pub(super) fn bytes(&self) -> usize {
        let long: usize = self.long.iter().map(|serial| serial.len() + 32).sum();
        self.entries.capacity() * ENTRY_OCTETS
            + self.starts.capacity() * 4
            + self.filter.capacity() * 8
            + long
    }

    /// `serial`: content octets of the INTEGER.
    pub(super) fn contains(&self, serial: &[u8]) -> bool {
        let magnitude = der::magnitude(serial);
        match entry(magnitude) {
            Some(entry) => self.contains_entry(&entry),
            None => self.long.contains(magnitude),
        }
    }

    /// Looks for an entry from the place where it should be: a few steps towards it, then, if need be, by
    /// halves.
    fn contains_entry(&self, wanted: &Entry) -> bool {
        let hash = hash_of(wanted);
        if !self.may_contain(hash) {
            return false;
        }
        let (bucket, fraction) = place(hash, self.starts.len().saturating_sub(1));
        let mut rest = self.bucket(bucket);
        let mut probe = scale(fraction, rest.len());
        for _ in 0..STEPS {
            let Some((before, [found, after @ ..])) = rest.split_at_checked(probe) else {
                return false;
            };
            match key(found).cmp(&(hash, *wanted)) {
                Ordering::Equal => return true,
                Ordering::Less => (rest, probe) = (after, 0),
                Ordering::Greater => (rest, probe) = (before, before.len().saturating_sub(1)),
            }
        }
        rest.binary_search_by_key(&(hash, *wanted), key).is_ok()
    }

    fn may_contain(&self, hash: u64) -> bool {
        let (word, bits) = filter_bits(hash, self.filter.len());
        self.filter.get(word).is_some_and(|word| word & bits == bits)
    }

    fn bucket(&self, bucket: usize) -> &[Entry] {
        match self.starts.get(bucket..) {
            Some([start, end, ..]) => self
                .entries
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }
}

impl SerialSetBuilder {
    pub(super) fn reserve(&mut self, serials: usize) {
        self.entries.reserve_exact(serials);
    }

    /// `serial`: content octets of the INTEGER.
    pub(super) fn insert(&mut self, serial: &[u8]) -> Result<(), TooManySerials> {
        let magnitude = der::magnitude(serial);
        match entry(magnitude) {
            Some(_) if self.entries.len() >= u32::MAX as usize => return Err(TooManySerials),
            Some(entry) => self.entries.push(entry),
            None => {
                self.long.insert(magnitude.into());
            }
        }
        Ok(())
    }

    /// Sorts the entries in place: they are never held twice. First roughly, so that the fine order is made
    /// within a core's cache.
    pub(super) fn build(mut self) -> SerialSet {
        let buckets = self.entries.len().div_ceil(ENTRIES_PER_BUCKET);
        if buckets > REGIONS {
            let regions = starts(&self.entries, REGIONS);
            gather(&mut self.entries, &regions);
        }
        let starts = starts(&self.entries, buckets);
        gather(&mut self.entries, &starts);
        for bounds in starts.windows(2) {
            if let [start, end] = *bounds
                && let Some(bucket) = self.entries.get_mut(start as usize..end as usize)
            {
                bucket.sort_unstable_by_key(key);
            }
        }
        let collected = self.entries.len();
        self.entries.dedup();
        self.entries.shrink_to_fit();
        let starts = match self.entries.len() == collected {
            true => starts,
            false => self::starts(&self.entries, buckets),
        };
        SerialSet {
            filter: filter(&self.entries),
            entries: self.entries,
            starts,
            long: self.long,
        }
    }
}

/// `None`: longer than 20 octets.
fn entry(magnitude: &[u8]) -> Option<Entry> {
    let mut entry = [0; ENTRY_OCTETS];
    let padding = ENTRY_OCTETS.checked_sub(magnitude.len())?;
    entry.get_mut(padding..)?.copy_from_slice(magnitude);
    Some(entry)
}

/// The order of the entries. Equal hashes are as good as impossible, unless somebody makes them.
fn key(entry: &Entry) -> (u64, Entry) {
    (hash_of(entry), *entry)
}

/// Multiply-and-fold: serials that count upwards spread as well as random ones.
fn hash_of(entry: &Entry) -> u64 {
    let [word_1, word_2, word_3] = words(entry);
    fold(fold(word_1 ^ SALT_1, word_2 ^ SALT_2) ^ word_3, SALT_3)
}

/// The bucket, below `buckets` or 0 when there are none, and how far into it, in 2^64ths. Higher hashes come
/// later.
fn place(hash: u64, buckets: usize) -> (usize, u64) {
    let product = u128::from(hash) * buckets as u128;
    ((product >> 64) as usize, product as u64)
}

/// `fraction` 2^64ths of `length`.
fn scale(fraction: u64, length: usize) -> usize {
    ((u128::from(fraction) * length as u128) >> 64) as usize
}

/// A word of the filter, and four bits of it.
fn filter_bits(hash: u64, words: usize) -> (usize, u64) {
    let (word, fraction) = place(hash, words);
    let bits = [58, 52, 46, 40].map(|shift| 1 << (fraction >> shift & 63));
    (word, bits.iter().fold(0, |all, bit| all | bit))
}

fn filter(entries: &[Entry]) -> Vec<u64> {
    let mut filter = vec![0; entries.len().div_ceil(ENTRIES_PER_WORD)];
    for entry in entries {
        let (word, bits) = filter_bits(hash_of(entry), filter.len());
        if let Some(word) = filter.get_mut(word) {
            *word |= bits;
        }
    }
    filter
}

fn bucket_of(entry: &Entry, buckets: usize) -> usize {
    place(hash_of(entry), buckets).0
}

fn words(entry: &Entry) -> [u64; 3] {
    let [
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
        c0,
        c1,
        c2,
        c3,
    ] = *entry;
    [
        u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
        u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        u64::from(u32::from_le_bytes([c0, c1, c2, c3])),
    ]
}

fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Beginnings of the buckets, and the end of the last. Empty without buckets.
#[expect(
    clippy::indexing_slicing,
    reason = "a bucket is below `buckets`, and there are `buckets + 1` counts"
)]
fn starts(entries: &[Entry], buckets: usize) -> Vec<u32> {
    if buckets == 0 {
        return Vec::new();
    }
    let mut starts = vec![0_u32; buckets + 1];
    for entry in entries {
        starts[bucket_of(entry, buckets) + 1] += 1;
    }
    for bucket in 1..starts.len() {
        starts[bucket] += starts[bucket - 1];
    }
    starts
}

/// Counting sort without a second array: each entry is swapped straight to the next free place of its bucket.
#[expect(
    clippy::indexing_slicing,
    reason = "buckets are below `free.len()`; places are below the bucket's end, as `starts` counted these \
        very entries"
)]
fn gather(entries: &mut [Entry], starts: &[u32]) {
    let buckets = starts.len().saturating_sub(1);
    let mut free = starts.to_vec();
    for bucket in 0..buckets {
        while free[bucket] < starts[bucket + 1] {
            let place = free[bucket] as usize;
            let home = bucket_of(&entries[place], buckets);
            entries.swap(place, free[home] as usize);
            free[home] += 1;
        }
    }
}

const ENTRY_OCTETS: usize = 20;
const ENTRIES_PER_BUCKET: usize = 32;
const ENTRIES_PER_WORD: usize = 6;
/// Ten million entries make regions of 0.8 MB.
const REGIONS: usize = 256;
/// An entry is hardly ever further away from where it should be.
const STEPS: usize = 12;

/// Odd constants without structure (digits of π).
const SALT_1: u64 = 0x243f_6a88_85a3_08d3;
const SALT_2: u64 = 0x1319_8a2e_0370_7345;
const SALT_3: u64 = 0xa409_3822_299f_31d1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn set(serials: &[Vec<u8>]) -> SerialSet {
        let mut builder = SerialSetBuilder::default();
        for serial in serials {
            builder.insert(serial).unwrap();
        }
        builder.build()
    }

    #[test]
    fn an_empty_set_contains_nothing() {
        let empty = set(&[]);
        assert_eq!(empty.len(), 0);
        assert!(!empty.contains(&[]));
        assert!(!empty.contains(&[1]));
        assert!(!empty.contains(&[1; 30]));
    }

    #[test]
    fn leading_zero_octets_do_not_count() {
        let set = set(&[vec![0, 0x9e, 1], vec![0; 3], [&[0][..], &[0xff; 20]].concat()]);
        assert!(set.contains(&[0x9e, 1]));
        assert!(set.contains(&[0, 0, 0x9e, 1]));
        assert!(set.contains(&[0]));
        assert!(set.contains(&[]));
        assert!(set.contains(&[0xff; 20]));
        assert!(!set.contains(&[0x9e, 1, 0]));
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn serials_beyond_the_rfcs_limit_are_kept_too() {
        let set = set(&[vec![7; 21], vec![7; 40], vec![7; 21]]);
        assert_eq!(set.len(), 2);
        assert!(set.contains(&[7; 21]));
        assert!(set.contains(&[7; 40]));
        assert!(!set.contains(&[7; 20]));
    }

    #[test]
    fn serials_that_count_upwards_spread_over_the_buckets() {
        let mut builder = SerialSetBuilder::default();
        builder.reserve(100_000);
        for serial in 0..100_000_u32 {
            builder.insert(&serial.to_be_bytes()).unwrap();
        }
        let set = builder.build();
        let longest = set.starts.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(longest < 80, "{longest}");
        assert!((0..100_000_u32).all(|serial| set.contains(&serial.to_be_bytes())));
        assert!(!set.contains(&100_000_u32.to_be_bytes()));
    }

    #[test]
    fn a_bucket_that_somebody_filled_on_purpose_is_searched_by_halves() {
        let all: Vec<Entry> = (0..1_000_u32).filter_map(|n| entry(&n.to_be_bytes())).collect();
        let mut entries = all.clone();
        entries.sort_unstable_by_key(key);
        let set = SerialSet {
            starts: vec![0, 1_000],
            filter: filter(&entries),
            entries,
            long: BTreeSet::new(),
        };
        assert!(all.iter().all(|entry| set.contains(entry)));
        assert!((1_000..2_000_u32).all(|n| !set.contains(&n.to_be_bytes())));
    }

    #[test]
    fn the_filter_turns_away_nearly_all_that_is_not_listed() {
        let serials: Vec<_> = (0..10_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let set = set(&serials);
        let passes = |n: &u32| set.may_contain(hash_of(&entry(&n.to_be_bytes()).unwrap()));
        assert!((0..10_000).all(|n| passes(&n)));
        let others = (10_000..110_000).filter(passes).count();
        assert!(others < 3_000, "{others} of 100000");
    }

    #[test]
    fn an_entry_takes_no_more_than_24_bytes() {
        let serials: Vec<_> = (0..10_000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let set = set(&serials);
        let bytes = set.bytes();
        assert!(bytes <= 24 * 10_000, "{bytes}");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_hash_set(
            listed in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..24), 0..400),
            asked in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..24), 0..100),
        ) {
            let reference: HashSet<_> = listed.iter().map(|serial| der::magnitude(serial).to_vec()).collect();
            let set = set(&listed);
            prop_assert_eq!(set.len(), reference.len());
            for serial in listed.iter().chain(&asked) {
                prop_assert_eq!(set.contains(serial), reference.contains(der::magnitude(serial)));
            }
        }
    }
}
