//! The decision, told step by step to whoever asks.
//!
//! The checks report here as they pass or fail, so an explanation is the decision and not a second opinion.
//! Online nobody listens: [`Silent`] ignores everything, its calls are compiled away, and no sentence is
//! written.

use std::fmt;

use super::verdict::Refusal;

/// A check and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub check: Check,
    pub passed: bool,
    /// The finding, or the reason why the client is refused.
    pub detail: String,
}

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    Size,
    Encoding,
    Candidates,
    Path,
    Key,
    KeyUsage,
    ExtendedKeyUsage,
    Validity,
    Revocation,
    RevocationSource,
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Encoding => "encoding",
            Self::Candidates => "candidate issuers",
            Self::Path => "path to the trust store",
            Self::Key => "key",
            Self::KeyUsage => "key usage",
            Self::ExtendedKeyUsage => "extended key usage",
            Self::Validity => "validity",
            Self::Revocation => "revocation",
            Self::RevocationSource => "revocation source",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A listener to the steps of a decision.
pub(super) trait Trace {
    fn passed(&mut self, check: Check, detail: impl FnOnce() -> String);

    fn failed(&mut self, check: Check, refusal: &Refusal);

    /// True if somebody wants to be told.
    fn listens(&self) -> bool;

    /// Reports how `check` ended, and hands its result on.
    fn report<T>(
        &mut self,
        check: Check,
        result: Result<T, Refusal>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Refusal> {
        match &result {
            Ok(found) => self.passed(check, || detail(found)),
            Err(refusal) => self.failed(check, refusal),
        }
        result
    }
}

/// Nobody.
pub(super) struct Silent;

impl Trace for Silent {
    fn passed(&mut self, _: Check, _: impl FnOnce() -> String) {}

    fn failed(&mut self, _: Check, _: &Refusal) {}

    fn listens(&self) -> bool {
        false
    }
}

/// Keeps the check that failed, to compare how far two paths came.
pub(super) struct Furthest(pub(super) Check);

impl Trace for Furthest {
    fn passed(&mut self, _: Check, _: impl FnOnce() -> String) {}

    fn failed(&mut self, check: Check, _: &Refusal) {
        self.0 = check;
    }

    fn listens(&self) -> bool {
        false
    }
}

impl Trace for Vec<Step> {
    fn passed(&mut self, check: Check, detail: impl FnOnce() -> String) {
        self.push(Step {
            check,
            passed: true,
            detail: detail(),
        });
    }

    fn failed(&mut self, check: Check, refusal: &Refusal) {
        self.push(Step {
            check,
            passed: false,
            detail: refusal.reason.clone(),
        });
    }

    fn listens(&self) -> bool {
        true
    }
}
