//! Building the [`RevocationSet`] of one trust store from its revocation files.
//!
//! Owns what is read into which issuer's set. Runs when a configuration is loaded, never on a core.

use rustls_pki_types::UnixTime;

use super::canonical_name;
use super::crl::Crl;
use super::crl_scope::{Period, Scope};
use super::der;
use super::hex::colon_hex;
use super::key_id::KeyId;
use super::list_issuer;
use super::names;
use super::pem;
use super::revocation::{IssuerSet, LoadedCrl, RevocationSet, RevokedAnchor, Source, unix_time};
use super::revocation_error::RevocationError;
use super::revocation_file::{FileFault, Format};
use super::serial_list::{self, Spelling};
use super::serials::SerialSetBuilder;
use super::signature::{BadSignature, Signed};
use super::store::{Anchor, TrustStore};
use super::time::{Seconds, format_utc, seconds};

/// Collects the revocation files of one trust store.
pub struct RevocationSetBuilder<'s> {
    store: &'s TrustStore,
    any_issuer: SerialSetBuilder,
    issuers: Vec<IssuerSetBuilder>,
    crls: Vec<LoadedCrl>,
}

/// Rules that the configuration gives for a file, beside the file's name.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct ListRules<'a> {
    /// The CA whose serial numbers a list holds: its subject, or the SHA-256 of its certificate in hex.
    pub issuer: Option<&'a str>,
    /// A serial list without an entry is one.
    pub may_be_empty: bool,
    /// Its name is that of a CRL, so that what else could pass for a serial list is none: "404", for
    /// instance.
    pub is_named_as_crl: bool,
}

/// Content of one revocation file, in brief.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadedFile {
    pub entries: usize,
    /// A serial list that seems to be written in decimal digits.
    pub looks_decimal: bool,
    /// The latest thisUpdate of its CRLs, if it has any.
    this_update: Option<Seconds>,
    /// The latest nextUpdate of its CRLs, if it has any.
    next_update: Option<Seconds>,
}

impl LoadedFile {
    /// Time from which all of its CRLs will be valid, if they are not yet.
    pub fn begins_after(&self, now: UnixTime) -> Option<String> {
        let begins = self.this_update.filter(|begins| *begins > seconds(now))?;
        Some(format_utc(begins))
    }

    /// Time at which the last of its CRLs was to be replaced, if it has passed.
    pub fn ended_before(&self, now: UnixTime) -> Option<String> {
        let ended = self.next_update.filter(|ended| *ended < seconds(now))?;
        Some(format_utc(ended))
    }
}

struct IssuerSetBuilder {
    spellings: Vec<Box<[u8]>>,
    key: KeyId,
    by_list: SerialSetBuilder,
    by_crl: SerialSetBuilder,
    /// Scopes, one for each issuing distribution point.
    scopes: Vec<Scope>,
}

impl<'s> RevocationSetBuilder<'s> {
    pub fn new(store: &'s TrustStore) -> Self {
        Self {
            store,
            any_issuer: SerialSetBuilder::default(),
            issuers: Vec::new(),
            crls: Vec::new(),
        }
    }

    /// Adds one file of which the configuration says nothing but the name.
    pub fn add_file(&mut self, bytes: &[u8]) -> Result<LoadedFile, RevocationError> {
        self.add_file_as(bytes, &ListRules::default())
    }

    /// Adds one file, whatever it is: PEM CRLs (several allowed), a DER CRL, or a serial list.
    /// After an error the builder is of no use.
    pub fn add_file_as(
        &mut self,
        bytes: &[u8],
        rules: &ListRules<'_>,
    ) -> Result<LoadedFile, RevocationError> {
        match (Format::of(bytes), rules.issuer) {
            (Ok(Format::Der | Format::Pem), Some(_)) => Err(RevocationError::IssuerOfCrl),
            (Ok(Format::Der), None) => self.add_crl(bytes),
            (Ok(Format::Pem), None) => self.add_pem(bytes),
            (Ok(Format::SerialList), None) if rules.is_named_as_crl => Err(FileFault::NotTheCrl.into()),
            (Ok(Format::SerialList), None) => self.add_unbound_list(bytes, rules.may_be_empty),
            (Ok(Format::SerialList), Some(issuer)) => self.add_list_of(issuer, bytes, rules.may_be_empty),
            (Err(FileFault::Empty | FileFault::NoEntries), issuer) if rules.may_be_empty => {
                issuer.map_or(Ok(()), |issuer| list_issuer::find(issuer, self.store).map(drop))?;
                Ok(LoadedFile::default())
            }
            (Err(fault), _) => Err(fault.into()),
        }
    }

    pub fn build(self) -> RevocationSet {
        let mut issuers: Vec<_> = self.issuers.into_iter().map(IssuerSetBuilder::build).collect();
        for set in &mut issuers {
            set.certified_by = certified_by(set, self.store);
        }
        let anchors = self.store.anchors().iter();
        RevocationSet {
            any_issuer: self.any_issuer.build(),
            revoked_anchors: anchors
                .filter_map(|anchor| revoked(anchor, &issuers, self.store))
                .collect(),
            issuers,
            crls: self.crls,
        }
    }

    fn add_unbound_list(&mut self, text: &[u8], may_be_empty: bool) -> Result<LoadedFile, RevocationError> {
        let (store, any_issuer) = (self.store, &mut self.any_issuer);
        let cas = CaSerials::of(store);
        read_list(text, may_be_empty, |line, serial| {
            if let Some(ca) = cas.find(serial) {
                let (serial, ca) = (colon_hex(serial), ca.subject_text.clone());
                return Err(RevocationError::ListsACa { line, serial, ca });
            }
            Ok(any_issuer.insert(serial)?)
        })
    }

    fn add_list_of(
        &mut self,
        issuer: &str,
        text: &[u8],
        may_be_empty: bool,
    ) -> Result<LoadedFile, RevocationError> {
        let mut loaded = LoadedFile::default();
        // A CA has a key or two.
        for anchor in list_issuer::find(issuer, self.store)? {
            let set = self.issuer_mut(&anchor.subject, anchor.key);
            loaded = read_list(text, may_be_empty, |_, serial| Ok(set.by_list.insert(serial)?))?;
        }
        Ok(loaded)
    }

    fn add_pem(&mut self, text: &[u8]) -> Result<LoadedFile, RevocationError> {
        let mut file = LoadedFile::default();
        pem::for_each_block(text, |block| {
            if block.label != "X509 CRL" {
                let label = block.label;
                return Err(RevocationError::Label { label });
            }
            // Told in its words, which the parser does not have.
            if block.der.is_empty() {
                return Err(FileFault::Cut { octets: 0, of: None }.into());
            }
            let crl = self.add_crl(&block.der)?;
            file.entries += crl.entries;
            file.this_update = file.this_update.max(crl.this_update);
            file.next_update = file.next_update.max(crl.next_update);
            Ok(())
        })?;
        Ok(file)
    }

    fn add_crl(&mut self, der: &[u8]) -> Result<LoadedFile, RevocationError> {
        let crl = Crl::read(der, self.store)?;
        let set = self.issuer_mut(crl.issuer, crl.key);
        set.by_crl.reserve(crl.count());
        let mut entries = 0;
        crl.for_each_serial(|serial| {
            entries += 1;
            Ok::<(), RevocationError>(set.by_crl.insert(serial)?)
        })?;
        let period = crl.period;
        set.note_scope(crl.scope, period);
        self.crls.push(LoadedCrl {
            issuer: names::display(crl.issuer),
            key: crl.key,
            this_update: unix_time(period.this_update),
            next_update: unix_time(period.next_update),
            entries,
        });
        Ok(LoadedFile {
            entries,
            looks_decimal: false,
            this_update: Some(period.this_update),
            next_update: Some(period.next_update),
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the position was found, or the element just pushed"
    )]
    fn issuer_mut(&mut self, name: &[u8], key: KeyId) -> &mut IssuerSetBuilder {
        let found = self.issuers.iter().position(|set| set.is(name, key));
        let position = found.unwrap_or_else(|| {
            self.issuers.push(IssuerSetBuilder::new(name, key, self.store));
            self.issuers.len() - 1
        });
        &mut self.issuers[position]
    }
}

impl IssuerSetBuilder {
    fn new(name: &[u8], key: KeyId, store: &TrustStore) -> Self {
        let subjects = store.anchors().iter().map(|anchor| &*anchor.subject);
        let mut spellings: Vec<Box<[u8]>> = vec![name.into()];
        for subject in subjects.filter(|subject| canonical_name::is_same(subject, name)) {
            if !spellings.iter().any(|known| **known == *subject) {
                spellings.push(subject.into());
            }
        }
        Self {
            spellings,
            key,
            by_list: SerialSetBuilder::default(),
            by_crl: SerialSetBuilder::default(),
            scopes: Vec::new(),
        }
    }

    fn is(&self, name: &[u8], key: KeyId) -> bool {
        let mut spellings = self.spellings.iter();
        self.key == key && spellings.any(|known| canonical_name::is_same(known, name))
    }

    fn note_scope(&mut self, scope: Scope, period: Period) {
        match self.scopes.iter_mut().find(|known| known.is_same(&scope)) {
            Some(known) => known.add(period),
            None => self.scopes.push(scope),
        }
    }

    fn build(self) -> IssuerSet {
        IssuerSet {
            spellings: self.spellings,
            key: self.key,
            certified_by: Vec::new(),
            by_list: self.by_list.build(),
            by_crl: self.by_crl.build(),
            scopes: self.scopes,
        }
    }
}

/// Calls `take` with line and serial of each entry.
fn read_list(
    text: &[u8],
    may_be_empty: bool,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), RevocationError>,
) -> Result<LoadedFile, RevocationError> {
    let mut spelling = Spelling::default();
    let mut entries = 0;
    for entry in serial_list::parse(text, &mut spelling) {
        let (line, serial) = entry?;
        take(line, &serial)?;
        entries += 1;
    }
    if entries == 0 && !may_be_empty {
        return Err(FileFault::NoEntries.into());
    }
    Ok(LoadedFile {
        entries,
        looks_decimal: spelling.looks_decimal(),
        ..LoadedFile::default()
    })
}

/// The serial numbers of the CAs of a store; a list of millions is held against them.
struct CaSerials<'s> {
    store: &'s TrustStore,
    /// True for each octet that any of the serial numbers ends with.
    last_octets: [bool; 256],
}

impl<'s> CaSerials<'s> {
    fn of(store: &'s TrustStore) -> Self {
        let mut last_octets = [false; 256];
        for anchor in store.anchors() {
            let last = usize::from(last_octet(&anchor.serial));
            if let Some(known) = last_octets.get_mut(last) {
                *known = true;
            }
        }
        Self { store, last_octets }
    }

    fn find(&self, serial: &[u8]) -> Option<&'s Anchor> {
        if self.last_octets.get(usize::from(last_octet(serial))) == Some(&false) {
            return None;
        }
        let serial = der::magnitude(serial);
        let mut anchors = self.store.anchors().iter();
        anchors.find(|anchor| der::magnitude(&anchor.serial) == serial)
    }
}

fn last_octet(serial: &[u8]) -> u8 {
    serial.last().copied().unwrap_or(0)
}

/// Keys that vouch for that of `set` in a certificate of the store that is self-issued (RFC 5280 §3.2): the
/// CA's own statement that both are its keys.
fn certified_by(set: &IssuerSet, store: &TrustStore) -> Vec<KeyId> {
    let named = || {
        store
            .anchors()
            .iter()
            .filter(|anchor| set.is_named(&anchor.subject))
    };
    let is_statement = |anchor: &&Anchor| anchor.key == set.key && set.is_named(&anchor.issuer);
    let signed_by = |statement: &Anchor, other: &Anchor| {
        let signed = Signed::parse(&statement.der);
        other.key != set.key && signed.is_some_and(|signed| signed.verify(&other.public_key).is_ok())
    };
    let mut keys = Vec::new();
    for statement in named().filter(is_statement) {
        keys.extend(
            named()
                .filter(|other| signed_by(statement, other))
                .map(|other| other.key),
        );
    }
    keys
}

/// Tells if one of the issuers revokes `anchor`, a CA of the store. A CRL may also list its own signer, as
/// in OpenSSL. A serial list that is bound to a CA means certificates that this CA has issued.
fn revoked(anchor: &Anchor, issuers: &[IssuerSet], store: &TrustStore) -> Option<RevokedAnchor> {
    let source = |set: &IssuerSet| {
        if set.by_crl.contains(&anchor.serial) {
            return Some(Source::Crl);
        }
        (set.key != anchor.key && set.by_list.contains(&anchor.serial)).then_some(Source::SerialList)
    };
    let named = issuers.iter().filter(|set| set.is_named(&anchor.issuer));
    let (source, _) = named
        .filter_map(|set| Some((source(set)?, set)))
        .find(|(_, set)| may_have_signed(set.key, anchor, store))?;
    Some(RevokedAnchor {
        digest: anchor.digest,
        source,
        subject: anchor.subject_text.clone(),
    })
}

/// Also where the signature cannot be checked: that can only refuse more.
fn may_have_signed(key: KeyId, anchor: &Anchor, store: &TrustStore) -> bool {
    let signer = store.anchors().iter().find(|signer| signer.key == key);
    match (Signed::parse(&anchor.der), signer) {
        (Some(signed), Some(signer)) => signed.verify(&signer.public_key) != Err(BadSignature::WrongKey),
        _ => true,
    }
}
