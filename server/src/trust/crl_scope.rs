//! Which certificates a CRL answers for (RFC 5280 §5.2.5, §6.3.3 b).
//!
//! Owns the issuing distribution point. What a CRL lists is revoked whatever its scope; the scope decides only whether a certificate
//! that is *not* listed has been answered for. A CRL for users says nothing about CAs, and one of several partitions nothing about
//! certificates that do not name its distribution point, which includes those that name none. Refused altogether are CRLs whose scope
//! cannot be compared: indirect ones, those for some reasons only or for attribute certificates, those whose point is named relative to
//! the issuer.

use super::canonical_name;
use super::crl::Period;
use super::crl_fault::CrlFault;
use super::der::{self, Reader};
use super::revocation::Coverage;
use super::time::Seconds;

/// The scope of one CRL, and when there is a current one of that scope.
pub(super) struct Scope {
    /// The DER of the issuing distribution point; `None`: every certificate of the issuer.
    encoded: Option<Box<[u8]>>,
    users: bool,
    cas: bool,
    /// The names of the distribution point, one of which a certificate has to share; `None`: there is no such condition.
    point: Option<Box<[GeneralName]>>,
    /// One for each CRL; never empty.
    periods: Vec<Period>,
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
    /// `point`: DER of the issuing distribution point.
    pub(super) fn read(point: Option<&[u8]>, period: Period) -> Result<Self, CrlFault> {
        let mut scope = Self {
            encoded: point.map(Into::into),
            users: true,
            cas: true,
            point: None,
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
                DISTRIBUTION_POINT => scope.point = Some(point_of_crl(field.value)?),
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

    /// Whether both are the same, so that the CRLs of one replace those of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }

    /// Notes another CRL of this scope.
    pub(super) fn add(&mut self, period: Period) {
        if !self.periods.contains(&period) {
            self.periods.push(period);
        }
    }

    /// Of the CRLs that have begun the newest counts: that its successor lies there already takes nothing from it.
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
                    .is_some_and(|named| shares_name(named, point).unwrap_or(false)),
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

fn shares_name(distribution_points: &[u8], point: &[GeneralName]) -> Option<bool> {
    let mut points = Reader::new(der::only(distribution_points, der::SEQUENCE)?);
    while !points.is_empty() {
        let mut fields = Reader::new(points.expect(der::SEQUENCE)?.value);
        let Some(name) = fields.next() else { continue };
        // Further fields name reasons or another issuer: such a CRL is none that is loaded.
        if name.tag != DISTRIBUTION_POINT || !fields.is_empty() {
            continue;
        }
        let Some(mut names) = full_name(name.value) else {
            continue;
        };
        while !names.is_empty() {
            let name = names.next()?;
            if point.iter().any(|known| known.is(name.tag, name.value)) {
                return Some(true);
            }
        }
    }
    Some(false)
}

fn point_of_crl(name: &[u8]) -> Result<Box<[GeneralName]>, CrlFault> {
    let mut names = full_name(name).ok_or(CrlFault::RelativeName)?;
    let mut all = Vec::new();
    while !names.is_empty() {
        let name = names.next().ok_or(MALFORMED)?;
        all.push(GeneralName {
            tag: name.tag,
            value: name.value.into(),
        });
    }
    Ok(all.into())
}

/// The GeneralNames of a DistributionPointName; `None`: it is relative to the issuer, or none.
fn full_name(name: &[u8]) -> Option<Reader<'_>> {
    let mut choice = Reader::new(name);
    let name = choice.expect(FULL_NAME)?;
    choice.is_empty().then(|| Reader::new(name.value))
}

const MALFORMED: CrlFault = CrlFault::Malformed("the issuing distribution point");
const DISTRIBUTION_POINT: u8 = 0xa0;
const ONLY_USERS: u8 = 0x81;
const ONLY_CAS: u8 = 0x82;
const ONLY_SOME_REASONS: u8 = 0x83;
const INDIRECT: u8 = 0x84;
const ONLY_ATTRIBUTES: u8 = 0x85;
const FULL_NAME: u8 = 0xa0;
const DIRECTORY_NAME: u8 = 0xa4;
