//! What connection functions are told, and what their answers mean.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use super::testing::*;
use super::*;
use crate::trust::CertificateFacts;
use crate::trust::test_pki::{Ca, leaf};

/// The pattern of the launch article: serials without colons are the keys.
const REVOCATION: &str = "import cf from 'cloudfront';

async function connectionHandler(connection) {
    const kvsHandle = cf.kvs();
    // Get client certificate serial number
    const clientCertSerialNumber = connection.clientCertificate.certificates.leaf.serialNumber;
    // Remove colons: keys have none
    const serialNumber = clientCertSerialNumber.replaceAll(\":\", \"\");
    if (await kvsHandle.exists(serialNumber)) {
        console.log(`Connection ${connection.connectionId} denied`);
        connection.logCustomData(`REVOKED:${serialNumber}`);
        return connection.deny();
    }
    connection.allow();
}
";

#[test]
fn the_articles_revocation_function_denies_who_is_listed_and_nobody_else() {
    let listed = function_with(REVOCATION, &[("00b143ed", "")]);
    let outcome = call(&listed);
    assert_eq!(outcome.decision, Decision::Deny(Denial::Called));
    assert_eq!(outcome.custom_data.as_deref(), Some("REVOKED:00b143ed"));
    assert_eq!(
        outcome.console,
        ["Connection NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg== denied"]
    );
    let unlisted = function_with(REVOCATION, &[("b143ed", "")]);
    let outcome = call(&unlisted);
    assert_eq!(outcome.decision, Decision::Allow);
    assert_eq!(outcome.custom_data, None);
}

#[test]
fn a_function_of_several_thousand_calls_stays_the_same() {
    let listed = function_with(REVOCATION, &[("00b143ed", "")]);
    for _ in 0..5_000 {
        assert_eq!(call(&listed).decision, Decision::Deny(Denial::Called));
    }
}
