//! The place of the current generation of a store, and the way to the next one.
//!
//! The import file is the store's one truth. A write replaces it, durably, before anybody sees the new
//! generation or hears of it; a reload reads it again. A file that somebody else has changed since is not
//! written over: a reload takes it up first.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::change::{Change, WriteError};
use super::etag::ETag;
use super::file::{self, Contents, FileDigest, ReplaceError};
use super::import::ImportError;
use super::limits::StoreLimits;
use super::map::{KeyValues, sha256};

/// A key-value store by its name.
#[derive(Debug)]
pub struct Store {
    name: Box<str>,
    /// The import file; `None`: the store lives in memory, and nobody can write it.
    path: Option<PathBuf>,
    current: ArcSwap<Generation>,
    /// Held for the whole of a write, and while the file is read again.
    file_right: FileRight,
}

/// The parts of a store that change, all of them at once.
#[derive(Debug)]
struct Generation {
    items: Arc<KeyValues>,
    /// Digest of the import file that holds these items.
    file: FileDigest,
    limits: StoreLimits,
}

/// The generation that a store is to have with the next snapshot.
#[derive(Debug)]
pub struct Candidate {
    /// The generation that the file was read beside.
    base: Arc<Generation>,
    next: Arc<Generation>,
}

/// A store that cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    Unreadable(std::io::Error),
    Import(ImportError),
}

impl Store {
    /// Makes a store that lives in memory.
    pub fn new(name: &str, items: KeyValues) -> Self {
        let generation = Generation {
            items: Arc::new(items),
            file: FileDigest::default(),
            limits: StoreLimits::default(),
        };
        Self::with(name, None, generation)
    }

    /// Loads the one of this import file.
    ///
    /// # Errors
    /// The file cannot be read, or is no import file.
    pub fn load(name: &str, path: &Path, limits: &StoreLimits, now: SystemTime) -> Result<Self, LoadError> {
        let contents = read(path, limits)?;
        let generation = Generation::of(&contents, limits, now)?;
        Ok(Self::with(name, Some(path.to_owned()), generation))
    }

    fn with(name: &str, path: Option<PathBuf>, generation: Generation) -> Self {
        Self {
            name: name.into(),
            path,
            current: ArcSwap::from_pointee(generation),
            file_right: FileRight::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The import file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The generation of this moment.
    pub fn current(&self) -> Arc<KeyValues> {
        self.current.load().items.clone()
    }

    /// The bounds that hold for writes of this moment.
    pub fn limits(&self) -> StoreLimits {
        self.current.load().limits.clone()
    }

    /// Reads the import file again. Nothing changes before [`Store::publish`]. Waits for the write that goes
    /// on.
    ///
    /// # Errors
    /// The file cannot be read, or is no import file.
    pub fn reload(&self, limits: &StoreLimits) -> Result<Candidate, LoadError> {
        // So that the file and `base` belong together.
        let _no_write = Held::of(self);
        let base = self.current.load_full();
        let Some(path) = &self.path else {
            return Ok(Candidate {
                next: base.clone(),
                base,
            });
        };
        let contents = read(path, limits)?;
        let next = match contents.digest == base.file && *limits == base.limits {
            true => base.clone(),
            false => Arc::new(Generation::of(&contents, limits, base.items.created())?),
        };
        Ok(Candidate { base, next })
    }

    /// Makes the candidate current. Where a write came after it was read, that write stays: it found the file
    /// as it was before the reload and left it as it is now. Only the limits are taken over then. Waits for
    /// no write.
    pub fn publish(&self, candidate: &Candidate) {
        self.current.rcu(|now| match Arc::ptr_eq(now, &candidate.base) {
            true => candidate.next.clone(),
            false => Arc::new(Generation {
                items: now.items.clone(),
                file: now.file,
                limits: candidate.next.limits.clone(),
            }),
        });
    }

    /// Writes a change to the import file, if the contents of the store are those of `if_match`, where one is
    /// given. When this returns, the new generation is durable; no core sees it before [`Written::publish`].
    /// Blocks for the time that the disk takes, and while another write waits to be published.
    ///
    /// # Errors
    /// Nothing has changed, and why. But for [`WriteError::Disk`], which may leave the change on disk: it is
    /// not seen until a reload, and further writes are refused until then.
    pub fn prepare(
        self: &Arc<Self>,
        change: Change,
        if_match: Option<ETag>,
        now: SystemTime,
    ) -> Result<Written, WriteError> {
        // Held until the write is published or dropped: the next one must begin with what this one leaves.
        let store = Held::of(self.clone());
        let base = self.current.load_full();
        let path = self.path.as_deref().ok_or(WriteError::InMemory)?;
        // Compared while the store is held, so that nobody writes between the comparison and the write.
        let current = base.items.etag();
        if if_match.is_some_and(|wanted| wanted != current) {
            return Err(WriteError::Conflict { current });
        }
        let items = change.apply(base.items.items(), &base.limits)?;
        let (items, text) = KeyValues::rendered(items, base.items.created(), now);
        // The whole file is bounded, not only its entries: the next start has to read it within the same
        // bound.
        let bytes_max = base.limits.store_bytes_max;
        if text.len() > bytes_max {
            return Err(WriteError::StoreTooLarge {
                bytes: text.len(),
                bytes_max,
            });
        }
        // Only the file that `base` was read from is replaced. A file that a person has edited since is kept.
        file::replace(path, &base.file, bytes_max, text.as_bytes()).map_err(|error| match error {
            ReplaceError::Changed => WriteError::ChangedOnDisk(path.to_owned()),
            ReplaceError::Busy | ReplaceError::Io { .. } => {
                WriteError::Disk(path.to_owned(), error.to_string())
            }
        })?;
        Ok(Written {
            store,
            items: Arc::new(items),
            file: sha256(text.as_bytes()),
        })
    }
}

/// A write that is on disk, and that no core sees yet. Until this is published or dropped, nobody else writes
/// the store or reads its file.
#[derive(Debug)]
pub struct Written {
    store: Held<Arc<Store>>,
    items: Arc<KeyValues>,
    file: FileDigest,
}

impl Written {
    /// Puts the new generation in force for every core, by one swap of a pointer. Does not block. Gives its
    /// items.
    pub fn publish(self) -> Arc<KeyValues> {
        // A reload may have been published meanwhile. The file is what counts, and it is ours; the limits are
        // the reload's.
        self.store.0.current.rcu(|now| Generation {
            items: self.items.clone(),
            file: self.file,
            limits: now.limits.clone(),
        });
        self.items
    }
}

/// The right to the import file of a store, which one thread takes and another may give back. No panic leaves
/// the file half written, so a poisoned lock is none the worse.
#[derive(Debug, Default)]
struct FileRight {
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

/// A store whose import file is held; given back when this is dropped.
#[derive(Debug)]
struct Held<S: Deref<Target = Store>>(S);

impl<S: Deref<Target = Store>> Held<S> {
    /// Waits until nobody else holds the file.
    fn of(store: S) -> Self {
        let right = &store.file_right;
        let taken = right.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = right.given_back.wait_while(taken, |is_taken| *is_taken);
        *free.unwrap_or_else(PoisonError::into_inner) = true;
        Self(store)
    }
}

impl<S: Deref<Target = Store>> Drop for Held<S> {
    fn drop(&mut self) {
        let right = &self.0.file_right;
        *right.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        right.given_back.notify_one();
    }
}

impl Generation {
    fn of(contents: &Contents, limits: &StoreLimits, created: SystemTime) -> Result<Self, LoadError> {
        let items = KeyValues::from_import(&contents.bytes, limits, created, contents.modified);
        Ok(Self {
            items: Arc::new(items.map_err(LoadError::Import)?),
            file: contents.digest,
            limits: limits.clone(),
        })
    }
}

fn read(path: &Path, limits: &StoreLimits) -> Result<Contents, LoadError> {
    file::read(path, limits.store_bytes_max).map_err(LoadError::Unreadable)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
