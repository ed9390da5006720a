//! Scope of a CRL: the certificates that it answers for (RFC 5280 §5.2.5, §6.3.3 b).
//!
//! Owns the issuing distribution point. What a CRL lists is revoked whatever its scope; the scope decides
//! only whether a certificate that is *not* listed has been answered for. A CRL for users says nothing about
//! CAs, and one of several partitions nothing about certificates that do not name its distribution point,
//! which includes those that name none. A point that is named relative to the issuer of the CRL is the
//! directory name that the two make. Refused altogether are CRLs whose scope cannot be compared: indirect
//! ones, those for some reasons only or for attribute certificates.

use super::canonical_name;
use super::crl_fault::CrlFault;
use super::der::{self, Reader};
use super::time::Seconds;

/// The scope of one CRL, and when there is a current one of that scope.
pub(super) struct Scope {
    /// The DER of the issuing distribution point; `None`: every certificate of the issuer.
    encoded: Option<Box<[u8]>>,
    users: bool,
    cas: bool,
    /// The names of the distribution point, one of which a certificate has to share; `None`: there is
    /// no such condition.
    point: Option<Box<[GeneralName]>>,
    /// DER of the name of the CRL's issuer, to which a distribution point can be relative.
    issuer: Box<[u8]>,
    /// The period of each CRL; never empty.
    periods: Vec<Period>,
}

/// Time in which a CRL is the one to ask: from thisUpdate to nextUpdate, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) this_update: Seconds,
    pub(super) next_update: Seconds,
}

/// Answer of the CRLs about a certificate; the worse comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    OutOfDate {
        next_update: Seconds,
    },
    /// OpenSSL's X509_V_ERR_CRL_NOT_YET_VALID: a clock is wrong, or the list of today was overwritten too
    /// early.
    NotYetValid {
        this_update: Seconds,
    },
    Current,
    /// There is none of its issuer, or none that is for such certificates.
    None,
}

/// A certificate that a CRL may answer for.
#[derive(Clone, Copy)]
pub(super) struct Covered<'a> {
    pub(super) is_ca: bool,
    /// Content of its cRLDistributionPoints.
    pub(super) distribution_points: Option<&'a [u8]>,
}

/// RFC 5280 §4.2.1.6. Kept as it is written: only names of one spelling are one, directory names aside.
struct GeneralName {
    tag: u8,
    value: Box<[u8]>,
}

impl Scope {
    /// `point`: DER of the issuing distribution point. `issuer`: the content of a Name.
    pub(super) fn read(point: Option<&[u8]>, issuer: &[u8], period: Period) -> Result<Self, CrlFault> {
        let mut scope = Self {
            encoded: point.map(Into::into),
            users: true,
            cas: true,
            point: None,
            issuer: der::encode(der::SEQUENCE, issuer).ok_or(MALFORMED)?,
            periods: vec![period],
        };
        let Some(point) = point else {
            return Ok(scope);
        };
        let mut fields = Reader::new(der::only(point, der::SEQUENCE).ok_or(MALFORMED)?);
        while !fields.is_empty() {
            let field = fields.next().ok_or(MALFORMED)?;
            let is_set = field.value != [0];
            match field.tag {
                DISTRIBUTION_POINT => {
                    scope.point = Some(names_of_point(field.value, &scope.issuer).ok_or(MALFORMED)?)
                }
                ONLY_USERS => scope.cas &= !is_set,
                ONLY_CAS => scope.users &= !is_set,
                ONLY_SOME_REASONS => return Err(CrlFault::SomeReasons),
                INDIRECT if is_set => return Err(CrlFault::Indirect),
                ONLY_ATTRIBUTES if is_set => return Err(CrlFault::AttributeCertificates),
                INDIRECT | ONLY_ATTRIBUTES => {}
                _ => return Err(MALFORMED),
            }
        }
        match scope.users || scope.cas {
            true => Ok(scope),
            false => Err(CrlFault::NobodysScope),
        }
    }

    /// True if both scopes are the same. The CRLs of one then replace the CRLs of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }

    /// Notes another CRL of this scope.
    pub(super) fn add(&mut self, period: Period) {
        if !self.periods.contains(&period) {
            self.periods.push(period);
        }
    }

    /// The coverage at `now`. The newest of the CRLs that have begun counts, even if its successor lies there
    /// already.
    pub(super) fn coverage(&self, now: Seconds) -> Coverage {
        let has_begun = |period: &&Period| period.this_update <= now;
        let begun = self.periods.iter().filter(has_begun);
        match begun.map(|period| period.next_update).max() {
            Some(next_update) if now > next_update => Coverage::OutOfDate { next_update },
            Some(_) => Coverage::Current,
            None => {
                let begin = self.periods.iter().map(|period| period.this_update);
                Coverage::NotYetValid {
                    this_update: begin.min().unwrap_or(Seconds::MAX),
                }
            }
        }
    }

    pub(super) fn covers(&self, certificate: &Covered<'_>) -> bool {
        let covers_role = if certificate.is_ca { self.cas } else { self.users };
        covers_role
            && match &self.point {
                None => true,
                Some(point) => certificate
                    .distribution_points
                    .is_some_and(|named| self.shares_name(named, point).unwrap_or(false)),
            }
    }

    /// True if one of the distribution points of a certificate is `point`.
    fn shares_name(&self, distribution_points: &[u8], point: &[GeneralName]) -> Option<bool> {
        let mut points = Reader::new(der::only(distribution_points, der::SEQUENCE)?);
        while !points.is_empty() {
            let fields = points.expect(der::SEQUENCE)?.value;
            if self.is_point(fields, point).unwrap_or(false) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// True if the distribution point with these `fields` is `point`. A distribution point for some reasons
    /// only is never the same. Nor is a distribution point whose CRLs another CA issues.
    fn is_point(&self, fields: &[u8], point: &[GeneralName]) -> Option<bool> {
        let mut fields = Reader::new(fields);
        let name = fields.expect(DISTRIBUTION_POINT)?.value;
        if !fields.is_empty() {
            let crl_issuer = fields.expect(CRL_ISSUER)?.value;
            let is_own = any_name(crl_issuer, |tag, name| {
                tag == DIRECTORY_NAME && is_same_name(name, &self.issuer)
            })?;
            if !is_own || !fields.is_empty() {
                return Some(false);
            }
        }
        let known = |tag, value: &[u8]| point.iter().any(|known| known.is(tag, value));
        match name_of_point(name)? {
            (FULL_NAME, names) => any_name(names, known),
            (_, relative) => Some(known(DIRECTORY_NAME, &relative_to(&self.issuer, relative)?)),
        }
    }
}

impl GeneralName {
    fn is(&self, tag: u8, value: &[u8]) -> bool {
        self.tag == tag
            && (*self.value == *value || (tag == DIRECTORY_NAME && is_same_name(&self.value, value)))
    }
}

/// Both: DER of a Name.
fn is_same_name(left: &[u8], right: &[u8]) -> bool {
    let name = |encoded| der::only(encoded, der::SEQUENCE);
    match (name(left), name(right)) {
        (Some(left), Some(right)) => canonical_name::is_same(left, right),
        _ => false,
    }
}

fn names_of_point(name: &[u8], issuer: &[u8]) -> Option<Box<[GeneralName]>> {
    let mut all = Vec::new();
    let mut take = |tag, value: &[u8]| {
        all.push(GeneralName {
            tag,
            value: value.into(),
        });
        false
    };
    match name_of_point(name)? {
        (FULL_NAME, names) => any_name(names, take)?,
        (_, relative) => take(DIRECTORY_NAME, &relative_to(issuer, relative)?),
    };
    Some(all.into())
}

/// The choice of a DistributionPointName and its content.
fn name_of_point(name: &[u8]) -> Option<(u8, &[u8])> {
    let mut choice = Reader::new(name);
    let name = choice.next().filter(|_| choice.is_empty())?;
    matches!(name.tag, FULL_NAME | RELATIVE_NAME).then_some((name.tag, name.value))
}

/// Asks about one name after the other, until the answer is yes. `None`: one is malformed.
fn any_name(names: &[u8], mut is: impl FnMut(u8, &[u8]) -> bool) -> Option<bool> {
    let mut names = Reader::new(names);
    while !names.is_empty() {
        let name = names.next()?;
        if is(name.tag, name.value) {
            return Some(true);
        }
    }
    Some(false)
}

/// The RDN with the content `relative` behind the RDNs of `issuer`, which is DER of a Name (RFC 5280
/// §4.2.1.13).
fn relative_to(issuer: &[u8], relative: &[u8]) -> Option<Box<[u8]>> {
    let last = der::encode(der::SET, relative)?;
    let rdns = [der::only(issuer, der::SEQUENCE)?, &last].concat();
    der::encode(der::SEQUENCE, &rdns)
}

const MALFORMED: CrlFault = CrlFault::Malformed("the issuing distribution point");
const DISTRIBUTION_POINT: u8 = 0xa0;
const ONLY_USERS: u8 = 0x81;
const ONLY_CAS: u8 = 0x82;
const ONLY_SOME_REASONS: u8 = 0x83;
const INDIRECT: u8 = 0x84;
const ONLY_ATTRIBUTES: u8 = 0x85;
const FULL_NAME: u8 = 0xa0;
const RELATIVE_NAME: u8 = 0xa1;
const CRL_ISSUER: u8 = 0xa2;
const DIRECTORY_NAME: u8 = 0xa4;
