//! A generation of a key-value store.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use super::etag::ETag;
use super::import::{ImportError, parse, render};
use super::items::{Items, sorted};
use super::limits::StoreLimits;

/// Keys and their values, never changed once made.
#[derive(Debug)]
pub struct KeyValues {
    items: Items,
    bytes: usize,
    etag: ETag,
    created: SystemTime,
    last_updated: SystemTime,
}

impl KeyValues {
    /// Makes a generation that holds these items. If a key is given twice, the last counts.
    pub fn new(
        items: impl IntoIterator<Item = (Box<str>, Box<str>)>,
        created: SystemTime,
        last_updated: SystemTime,
    ) -> Self {
        Self::rendered(items.into_iter().collect(), created, last_updated).0
    }

    /// Reads a generation from an import file.
    ///
    /// # Errors
    /// It is none, or it holds what no store may hold.
    pub fn from_import(
        bytes: &[u8],
        limits: &StoreLimits,
        created: SystemTime,
        last_updated: SystemTime,
    ) -> Result<Self, ImportError> {
        parse(bytes, limits).map(|items| Self::rendered(items, created, last_updated).0)
    }

    /// The same as [`KeyValues::new`], with the text of the import file that the ETag is the digest of.
    pub(super) fn rendered(items: Items, created: SystemTime, last_updated: SystemTime) -> (Self, String) {
        let text = render(&items);
        let key_values = Self {
            bytes: items.iter().map(|(key, value)| key.len() + value.len()).sum(),
            etag: ETag::new(sha256(text.as_bytes())),
            items,
            created,
            last_updated,
        };
        (key_values, text)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.items.get(key).map(|value| &**value)
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all keys and values together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn etag(&self) -> ETag {
        self.etag
    }

    /// Time at which this process first loaded the store.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// Time of the last write of the import file, by the server or by others.
    pub fn last_updated(&self) -> SystemTime {
        self.last_updated
    }

    /// The entries by key, in the order of their octets.
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        sorted(&self.items)
    }

    /// The text of an import file that holds these, with one entry on each line.
    pub fn import_file(&self) -> String {
        render(&self.items)
    }

    pub(super) fn items(&self) -> &Items {
        &self.items
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = digest(&SHA256, bytes);
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_tells_contents_apart_and_nothing_else() {
        let made = |items: &[(&str, &str)], at| {
            let items = items.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            KeyValues::new(items, at, at)
        };
        let (then, now) = (SystemTime::UNIX_EPOCH, SystemTime::now());
        let first = made(&[("a", "1"), ("b", "")], then);
        assert_eq!(
            first.etag(),
            made(&[("b", ""), ("a", "0"), ("a", "1")], now).etag()
        );
        assert_ne!(first.etag(), made(&[("a", "1")], then).etag());
        assert_ne!(first.etag(), made(&[("a", ""), ("b", "1")], then).etag());
        assert_eq!((first.len(), first.bytes()), (2, 3));
        assert_eq!(first.sorted(), [("a", "1"), ("b", "")]);
    }
}
