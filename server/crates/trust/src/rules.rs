//! Rules that an operator sets for the clients of a distribution, apart from whom to trust.
//!
//! Owns the switches and their encoding in the policy's digest: who was accepted under other rules is not
//! accepted under these.

use super::purpose::Purpose;

/// Demand for a client certificate. A client that presents a certificate is verified in either mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Required,
    Optional,
}

/// Treatment of the clients of an issuer whose CRL is past its nextUpdate, or before its thisUpdate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfDate {
    Reject,
    /// See [`super::VerifiedClient::caveat`].
    AcceptAndLog,
}

/// Treatment of a client where no CRL covers a certificate of the chain: the CRL of its issuer is not there,
/// or is for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutCrl {
    Accept,
    /// See [`super::VerifiedClient::caveat`].
    AcceptAndLog,
    Reject,
}

/// The rules of one distribution under one trust store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub mode: Mode,
    pub allow_v1: bool,
    /// notBefore and notAfter of every certificate of the chain, anchor included, do not count.
    pub ignore_expiry: bool,
    pub out_of_date_crl: OutOfDate,
    pub ca_without_crl: WithoutCrl,
    /// The leaf must carry each of them; none: an absent extendedKeyUsage is fine.
    pub required_purposes: Vec<Purpose>,
    /// Leaf and anchor count; 2 to 8.
    pub chain_depth_max: usize,
}

impl Rules {
    /// The rules where the configuration says nothing more.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            allow_v1: true,
            ignore_expiry: false,
            out_of_date_crl: OutOfDate::Reject,
            ca_without_crl: WithoutCrl::Accept,
            required_purposes: Vec::new(),
            chain_depth_max: CHAIN_DEPTH_DEFAULT,
        }
    }

    /// Encoding by which verdicts are remembered. No two rules that admit different clients share one, and
    /// none is the beginning of another's. Logging what is accepted makes no difference to who is admitted.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoded = vec![
            u8::from(self.mode == Mode::Required),
            u8::from(self.allow_v1),
            u8::from(self.ignore_expiry),
            u8::from(self.out_of_date_crl == OutOfDate::Reject),
            u8::from(self.ca_without_crl == WithoutCrl::Reject),
        ];
        encoded.extend(length(self.chain_depth_max));
        let mut purposes: Vec<_> = self.required_purposes.iter().map(Purpose::octets).collect();
        purposes.sort_unstable();
        purposes.dedup();
        encoded.extend(length(purposes.len()));
        for purpose in purposes {
            encoded.extend(length(purpose.len()));
            encoded.extend_from_slice(purpose);
        }
        encoded
    }
}

fn length(count: usize) -> [u8; 8] {
    (count as u64).to_be_bytes()
}

/// The service's quota: leaf, two intermediates, anchor.
pub(super) const CHAIN_DEPTH_DEFAULT: usize = 4;
/// [`Rules::encode`] begins with the mode, in so many octets.
pub(super) const MODE_OCTETS: usize = 1;

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
