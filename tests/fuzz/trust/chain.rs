//! Any certificates are verified, or rejected with a reason; or merely read, as in mode passthrough. The
//! input is a chain, leaf first, each certificate behind its length in three bytes, as in a TLS Certificate
//! message.
#![no_main]

use bothways_trust::{
    Mode, Policy, Rejected, RevocationSet, Rules, TrustStore, UncheckedClient, VerifiedClient,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let store = TrustStore::from_pem("fuzz", include_bytes!("../seeds/ca.pem"))
        .expect("the seed CA is a trust store");
    Policy::new(
        "E0FUZZ",
        Rules::new(Mode::Required),
        Arc::new(store),
        Arc::new(RevocationSet::empty()),
    )
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let chain = split(bytes);
    let Some((leaf, intermediates)) = chain.split_first() else {
        return;
    };
    let verdict = POLICY.verify(leaf, intermediates, now());
    let reversed: Vec<_> = intermediates.iter().rev().cloned().collect();
    let in_another_order = POLICY.verify(leaf, &reversed, now());
    let reason = |verdict: &Result<VerifiedClient, Rejected>| verdict.as_ref().err().map(ToString::to_string);
    assert_eq!(
        reason(&verdict),
        reason(&in_another_order),
        "no verdict depends on the order"
    );
    if let Ok(client) = verdict {
        assert!(
            POLICY.readmit(&client, now()).is_ok(),
            "who was admitted is still admitted a moment later"
        );
        assert!(
            POLICY.reassess(&client, now()).is_ok(),
            "and stays connected when nothing has changed"
        );
    }
    if let Ok(client) = UncheckedClient::read(leaf, intermediates) {
        assert!(client.client_cert().is_ascii());
        assert_eq!(client.client_cert_chain().is_some(), !intermediates.is_empty());
    }
});

fn split(mut bytes: &[u8]) -> Vec<CertificateDer<'_>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<3>() {
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let (certificate, rest) = rest.split_at(length.min(rest.len()));
        chain.push(CertificateDer::from(certificate));
        bytes = rest;
    }
    chain
}

/// A fixed moment at which the seeds are valid, so that a find can be replayed.
fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}
