//! What is revoked: serial lists and CRLs of one trust store, merged into one immutable set.
//!
//! Owns the merge. A serial of a **list** is revoked whichever CA issued it, since a list names no issuer: a list that names a serial
//! which an intermediate of the chain or a CA of the bundle has too revokes that as well. A serial of a **CRL** is revoked for the
//! CRL's issuer, by name. Several CRLs of one issuer add up: what any of them lists is revoked, and while an older file lies beside
//! its successor the newest nextUpdate of each scope counts, of those whose thisUpdate has come.
//!
//! A lookup costs the same however long the lists are, and allocates nothing.

use std::fmt;

use rustls_pki_types::UnixTime;

use super::crl::{Crl, CrlFault, Period};
use super::crl_scope::{Covered, Scope};
use super::pem::{self, PemError};
use super::serial_list::{self, BadLine};
use super::serials::{SerialSet, SerialSetBuilder, TooManySerials};
use super::store::TrustStore;
use super::time::{Seconds, format_utc, seconds};

/// Immutable; shared by all cores.
#[derive(Default)]
pub struct RevocationSet {
    any_issuer: SerialSet,
    /// At most as many as the store has CAs.
    issuers: Vec<IssuerSet>,
}

/// Collects the revocation files of one trust store.
pub struct RevocationSetBuilder<'s> {
    store: &'s TrustStore,
    any_issuer: SerialSetBuilder,
    issuers: Vec<IssuerSetBuilder>,
}

/// The answer for one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    No,
    Yes(Source),
}

impl Listed {
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    SerialList,
    Crl,
}

/// Whether CRLs answer for a certificate; the worse comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    OutOfDate {
        next_update: Seconds,
    },
    /// OpenSSL's X509_V_ERR_CRL_NOT_YET_VALID: a clock is wrong, or the list of today was overwritten too early.
    NotYetValid {
        this_update: Seconds,
    },
    Current,
    /// There is none of its issuer, or none that is for such certificates.
    None,
}

/// What one revocation file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    pub entries: usize,
    /// The latest thisUpdate of its CRLs, if it has any.
    this_update: Option<Seconds>,
}

impl LoadedFile {
    /// When all of its CRLs will be valid, if they are not yet.
    pub fn begins_after(&self, now: UnixTime) -> Option<String> {
        let this_update = self
            .this_update
            .filter(|this_update| *this_update > seconds(now))?;
        Some(format_utc(this_update))
    }
}

/// Why a revocation file is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationError {
    /// Lines count from 1.
    NotASerial {
        line: usize,
    },
    Pem(PemError),
    /// A PEM block that is no CRL.
    Label {
        label: String,
    },
    /// A PEM file without a block.
    NoCrl,
    Crl(CrlFault),
    TooManySerials,
}

impl RevocationSet {
    /// Nothing is revoked.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Serials held, each counted once per issuer.
    pub fn len(&self) -> usize {
        let by_issuer: usize = self.issuers.iter().map(|issuer| issuer.serials.len()).sum();
        self.any_issuer.len() + by_issuer
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `issuer`: content octets of the Name, without tag and length; `serial`: content octets of the INTEGER.
    pub fn lookup(&self, issuer: &[u8], serial: &[u8]) -> Listed {
        if self.any_issuer.contains(serial) {
            return Listed::Yes(Source::SerialList);
        }
        match self.issuer(issuer) {
            Some(set) if set.serials.contains(serial) => Listed::Yes(Source::Crl),
            _ => Listed::No,
        }
    }

    /// When the next CRL of this issuer is due, if there is a CRL of it.
    pub fn next_update(&self, issuer: &[u8]) -> Option<UnixTime> {
        let due = self.issuer(issuer)?.scopes.iter().map(Scope::next_update);
        let since_1970 = u64::try_from(due.min()?).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            since_1970,
        )))
    }

    /// Whether there is any CRL, of whatever issuer.
    pub fn has_crls(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Memory held by the serials, in bytes.
    pub fn bytes(&self) -> usize {
        let by_issuer: usize = self.issuers.iter().map(|issuer| issuer.serials.bytes()).sum();
        self.any_issuer.bytes() + by_issuer
    }

    /// Whether the CRLs of `issuer` answer for `certificate`, now. Of several that do, each must be current.
    pub(super) fn coverage(&self, issuer: &[u8], certificate: &Covered<'_>, now: UnixTime) -> Coverage {
        let scopes = self.issuer(issuer).map_or(&[][..], |set| &set.scopes);
        let covering = scopes.iter().filter(|scope| scope.covers(certificate));
        let worst = covering.map(|scope| scope.coverage(seconds(now))).min();
        worst.unwrap_or(Coverage::None)
    }

    /// How many serials the CRLs of `issuer` list, if there is one.
    pub(super) fn entries_of(&self, issuer: &[u8]) -> Option<usize> {
        self.issuer(issuer).map(|set| set.serials.len())
    }

    fn issuer(&self, issuer: &[u8]) -> Option<&IssuerSet> {
        self.issuers.iter().find(|set| *set.issuer == *issuer)
    }
}

impl fmt::Debug for RevocationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSet")
            .field("serials", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'s> RevocationSetBuilder<'s> {
    pub fn new(store: &'s TrustStore) -> Self {
        Self {
            store,
            any_issuer: SerialSetBuilder::default(),
            issuers: Vec::new(),
        }
    }

    /// Adds one file, whatever it is: PEM CRLs (several allowed), a DER CRL, or a serial list.
    /// After an error the builder is of no use.
    pub fn add_file(&mut self, bytes: &[u8]) -> Result<LoadedFile, RevocationError> {
        if looks_like_crl(bytes) {
            self.add_crl(bytes)
        } else {
            self.add_serial_list(bytes)
        }
    }

    pub fn add_serial_list(&mut self, text: &[u8]) -> Result<LoadedFile, RevocationError> {
        let mut entries = 0;
        for serial in serial_list::parse(text) {
            self.any_issuer.insert(&serial?)?;
            entries += 1;
        }
        Ok(LoadedFile {
            entries,
            this_update: None,
        })
    }

    /// One CRL in DER or any number in PEM; each must be signed by a CA of the store.
    pub fn add_crl(&mut self, pem_or_der: &[u8]) -> Result<LoadedFile, RevocationError> {
        if looks_like_der(pem_or_der) {
            return self.add_der_crl(pem_or_der);
        }
        let mut file = LoadedFile {
            entries: 0,
            this_update: None,
        };
        pem::for_each_block(pem_or_der, |block| {
            if block.label != "X509 CRL" {
                let label = block.label;
                return Err(RevocationError::Label { label });
            }
            let crl = self.add_der_crl(&block.der)?;
            file.entries += crl.entries;
            file.this_update = file.this_update.max(crl.this_update);
            Ok(())
        })?;
        match file.this_update {
            Some(_) => Ok(file),
            None => Err(RevocationError::NoCrl),
        }
    }

    pub fn build(self) -> RevocationSet {
        RevocationSet {
            any_issuer: self.any_issuer.build(),
            issuers: self.issuers.into_iter().map(IssuerSetBuilder::build).collect(),
        }
    }

    fn add_der_crl(&mut self, der: &[u8]) -> Result<LoadedFile, RevocationError> {
        let crl = Crl::read(der, self.store)?;
        let issuer = self.issuer_mut(crl.issuer);
        issuer.note_scope(crl.scope(), crl.period)?;
        issuer.serials.reserve(crl.entries);
        let mut entries = 0;
        crl.for_each_serial(|serial| {
            entries += 1;
            Ok::<(), RevocationError>(issuer.serials.insert(serial)?)
        })?;
        Ok(LoadedFile {
            entries,
            this_update: Some(crl.period.this_update),
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the position was found, or the element just pushed"
    )]
    fn issuer_mut(&mut self, issuer: &[u8]) -> &mut IssuerSetBuilder {
        let found = self.issuers.iter().position(|set| *set.issuer == *issuer);
        let position = found.unwrap_or_else(|| {
            self.issuers.push(IssuerSetBuilder {
                issuer: issuer.into(),
                serials: SerialSetBuilder::default(),
                scopes: Vec::new(),
            });
            self.issuers.len() - 1
        });
        &mut self.issuers[position]
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASerial { line } => write!(
                f,
                "line {line} is not a serial number; write hexadecimal digits, in pairs if separated by colons, or a comment (#)"
            ),
            Self::Pem(error) => error.fmt(f),
            Self::Label { label } => write!(
                f,
                "the file holds a PEM block \"{label}\"; only X509 CRL blocks belong there"
            ),
            Self::NoCrl => f.write_str("the file holds no CRL"),
            Self::Crl(fault) => write!(f, "the CRL {fault}"),
            Self::TooManySerials => f.write_str("there are more than 4294967295 serial numbers"),
        }
    }
}

impl std::error::Error for RevocationError {}

impl From<BadLine> for RevocationError {
    fn from(BadLine { line }: BadLine) -> Self {
        Self::NotASerial { line }
    }
}

impl From<PemError> for RevocationError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

impl From<CrlFault> for RevocationError {
    fn from(fault: CrlFault) -> Self {
        Self::Crl(fault)
    }
}

impl From<TooManySerials> for RevocationError {
    fn from(TooManySerials: TooManySerials) -> Self {
        Self::TooManySerials
    }
}

struct IssuerSet {
    /// Raw content octets of the Name.
    issuer: Box<[u8]>,
    serials: SerialSet,
    /// Never empty.
    scopes: Vec<Scope>,
}

struct IssuerSetBuilder {
    issuer: Box<[u8]>,
    serials: SerialSetBuilder,
    /// One for each issuing distribution point.
    scopes: Vec<Scope>,
}

impl IssuerSetBuilder {
    fn note_scope(&mut self, point: Option<&[u8]>, period: Period) -> Result<(), CrlFault> {
        match self.scopes.iter_mut().find(|known| known.is_of(point)) {
            Some(known) => known.add(period),
            None => self
                .scopes
                .push(Scope::read(point, period).ok_or(CrlFault::Partitioned)?),
        }
        Ok(())
    }

    fn build(self) -> IssuerSet {
        IssuerSet {
            issuer: self.issuer,
            serials: self.serials.build(),
            scopes: self.scopes,
        }
    }
}

fn looks_like_crl(bytes: &[u8]) -> bool {
    looks_like_der(bytes) || pem::has_block(bytes)
}

/// A SEQUENCE in the long form of length, which every CRL needs. (0x30 alone is also the digit `0` of a serial list.)
fn looks_like_der(bytes: &[u8]) -> bool {
    matches!(bytes, [super::der::SEQUENCE, length, ..] if length & 0x80 != 0)
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
