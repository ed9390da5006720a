//! Which certificates a CRL answers for (RFC 5280 §5.2.5, §6.3.3 b).
//!
//! Owns the issuing distribution point. What a CRL lists is revoked whatever its scope; the scope decides only whether a certificate
//! that is *not* listed has been answered for. A CRL for users says nothing about CAs, and one of several partitions nothing about
//! certificates that name another distribution point. Only URIs are compared. webpki has refused by then what cannot be understood:
//! indirect CRLs, those for some reasons only or for attribute certificates, those whose distribution point has no full name.

use super::crl::Period;
use super::der::{self, Reader};
use super::revocation::Coverage;
use super::time::Seconds;

/// The scope of one CRL, and when there is a current one of that scope.
pub(super) struct Scope {
    /// The DER of the issuing distribution point; `None`: every certificate of the issuer.
    point: Option<Box<[u8]>>,
    users: bool,
    cas: bool,
    uris: Vec<Box<[u8]>>,
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

impl Scope {
    /// `None`: not an issuing distribution point.
    pub(super) fn read(point: Option<&[u8]>, period: Period) -> Option<Self> {
        let mut scope = Self {
            point: point.map(Into::into),
            users: true,
            cas: true,
            uris: Vec::new(),
            periods: vec![period],
        };
        let Some(point) = point else {
            return Some(scope);
        };
        let mut fields = Reader::new(der::only(point, der::SEQUENCE)?);
        while !fields.is_empty() {
            let field = fields.next()?;
            let is_set = field.value != [0];
            match field.tag {
                DISTRIBUTION_POINT => scope.uris = uris(field.value)?,
                ONLY_USERS if is_set => scope.cas = false,
                ONLY_CAS if is_set => scope.users = false,
                _ => {}
            }
        }
        Some(scope)
    }

    /// Notes another CRL of this scope.
    pub(super) fn add(&mut self, period: Period) {
        if !self.periods.contains(&period) {
            self.periods.push(period);
        }
    }

    /// When the newest CRL of this scope is to be replaced.
    pub(super) fn next_update(&self) -> Seconds {
        let due = self.periods.iter().map(|period| period.next_update);
        due.max().unwrap_or(Seconds::MIN)
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

    pub(super) fn is_of(&self, point: Option<&[u8]>) -> bool {
        self.point.as_deref() == point
    }

    pub(super) fn covers(&self, certificate: &Covered<'_>) -> bool {
        let covers_role = if certificate.is_ca { self.cas } else { self.users };
        covers_role && (self.point.is_none() || self.covers_point(certificate.distribution_points))
    }

    /// A certificate without distribution points is covered by any partition, as webpki has it.
    fn covers_point(&self, named: Option<&[u8]>) -> bool {
        match named {
            Some(named) => self.shares_uri(named).unwrap_or(false),
            None => true,
        }
    }

    fn shares_uri(&self, distribution_points: &[u8]) -> Option<bool> {
        let mut points = Reader::new(der::only(distribution_points, der::SEQUENCE)?);
        while !points.is_empty() {
            let mut fields = Reader::new(points.expect(der::SEQUENCE)?.value);
            let name = fields.next()?;
            // Further fields name reasons or another issuer: such a CRL is none that is loaded.
            if name.tag != DISTRIBUTION_POINT || !fields.is_empty() {
                continue;
            }
            let named = uris(name.value).unwrap_or_default();
            if named.iter().any(|uri| self.uris.contains(uri)) {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// The URIs of a DistributionPointName; none if it is relative to the issuer.
fn uris(name: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut choice = Reader::new(name);
    let name = choice.next().filter(|_| choice.is_empty())?;
    let mut names = Reader::new(match name.tag {
        FULL_NAME => name.value,
        _ => return Some(Vec::new()),
    });
    let mut uris = Vec::new();
    while !names.is_empty() {
        let name = names.next()?;
        if name.tag == URI {
            uris.push(name.value.into());
        }
    }
    Some(uris)
}

const DISTRIBUTION_POINT: u8 = 0xa0;
const ONLY_USERS: u8 = 0x81;
const ONLY_CAS: u8 = 0x82;
const FULL_NAME: u8 = 0xa0;
const URI: u8 = 0x86;
