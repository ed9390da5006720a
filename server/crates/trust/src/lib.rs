//! Admission of clients: trust stores, revocation sets, and the verdict on the certificates that a client
//! presents.
//!
//! This module alone can make a [`VerifiedClient`], so a value of that type is proof that [`Policy::verify`]
//! accepted the chain. (It is no proof that the peer holds the key: TLS's CertificateVerify is, and is never
//! skipped.)
//!
//! ```text
//! bundle ─▶ TrustStore ──┐
//! serial lists, CRLs ─▶ RevocationSet ──┐
//!                        └─▶ Policy ◀───┘        one per distribution, immutable, shared by all cores
//!                              │ verify(leaf, intermediates, now)
//!                              │   sizes ─▶ each path by names and signatures: conditions, key and usages,
//!                              │            standing (validity, revocation)
//!                              ▼
//!                  VerifiedClient | Rejected { kind, reason, facts }
//!                              │ readmit(client, now): resumption
//!                              │ reassess(client, now): open connections after a reload
//! ```
//!
//! Invariants:
//! - Pure: no file, no socket, no clock (`now` is an argument), no state between calls. Any thread may run
//!   it.
//! - Bytes from outside never reach a panic, and nothing is allocated by a length that they merely claim.
//! - Whatever is unclear is refused: an unreadable extension, a CRL that cannot be verified, a name that is
//!   no name.
//! - Signatures are checked by webpki with `webpki::ALL_VERIFICATION_ALGS`, RSASSA-PSS by the same
//!   cryptography (`pss`), and by nothing else.
//!
//! Not here: the TLS alert and the status code of a [`RejectedKind`] (the server's `admission` and
//! `worker`), reading files (`state`).

// Standard output and error are the operator's, and printing waits where nobody reads them.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![warn(unreachable_pub)]

mod attributes;
mod canonical_name;
mod case;
mod certificate;
mod certificate_fault;
mod certificate_header;
mod certificate_policies;
mod conditions;
mod constrained_names;
mod crl;
mod crl_extensions;
mod crl_fault;
mod crl_scope;
mod dead_end;
mod der;
mod details;
mod digest;
mod extensions;
mod facts;
mod foreign_format;
pub mod header_name;
mod hex;
mod issuers;
mod key;
mod key_id;
mod list_issuer;
mod memo;
mod name_constraints;
mod name_forms;
mod names;
mod nearest;
mod path;
mod pem;
mod policy;
mod presented;
pub mod probes;
mod pss;
mod purpose;
mod reassess;
mod required_purposes;
mod revocation;
mod revocation_builder;
mod revocation_error;
mod revocation_file;
mod rules;
mod serial_list;
mod serials;
mod signature;
mod store;
mod time;
mod trace;
mod unchecked;
mod v1_leaf;
mod verdict;

#[cfg(test)]
mod test_pki;

pub use canonical_name::{CanonicalName, is_same as is_same_name};
pub use certificate_header::CertificateHeader;
pub use crl_fault::CrlFault;
pub use details::CertificateDetails;
pub use digest::sha256;
pub use facts::{CertificateFacts, not_after};
pub use foreign_format::ForeignFormat;
pub use key_id::KeyId;
pub use memo::{MemoUse, VerdictMemo};
pub use pem::PemError;
pub use policy::Policy;
pub use purpose::{Purpose, UnknownPurpose};
pub use revocation::{Listed, LoadedCrl, RevocationSet, Source};
pub use revocation_builder::{ListRules, LoadedFile, RevocationSetBuilder};
pub use revocation_error::RevocationError;
pub use revocation_file::FileFault;
pub use rules::{Mode, OutOfDate, Rules, WithoutCrl};
pub use store::{AnchorFault, StoreError, TrustStore};
pub use time::{format_rfc3339, parse_rfc3339};
pub use trace::{Check, Step};
pub use unchecked::UncheckedClient;
pub use verdict::{Rejected, RejectedKind, VerifiedClient};
