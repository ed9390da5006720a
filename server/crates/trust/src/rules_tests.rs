//! Each rule that an operator can set, from both sides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, ExtendedKeyUsagePurpose};
use rustls_pki_types::CertificateDer;

use super::super::purpose::Purpose;
use crate::test_pki::{Ca, Raw, ca, leaf, now, ruled, store};
use crate::{Check, Policy, RejectedKind, Rules, TrustStore, WithoutCrl};

const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

fn requiring(store: &Arc<TrustStore>, purposes: &[&[u8]]) -> Policy {
    ruled(store, &[], |rules| {
        rules.required_purposes = purposes
            .iter()
            .map(|octets| Purpose::from_octets(octets))
            .collect();
    })
}

fn purposes(ca: &Ca, purposes: &[ExtendedKeyUsagePurpose]) -> CertificateDer<'static> {
    ca.issue(leaf("client").with(|params| params.extended_key_usages = purposes.to_vec()))
}

#[track_caller]
fn refusal(policy: &Policy, chain: &[CertificateDer<'static>]) -> (RejectedKind, String) {
    let rejected = policy.verify(&chain[0], &chain[1..], now()).unwrap_err();
    (rejected.kind, rejected.reason)
}

#[test]
fn every_required_purpose_must_be_there() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning};
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let policy = requiring(&store, &[CLIENT_AUTH, CODE_SIGNING]);
    let both = purposes(&root, &[CodeSigning, ClientAuth]);
    assert!(policy.verify(&both, &[], now()).is_ok());
    assert_eq!(
        refusal(&policy, &[purposes(&root, &[ClientAuth])]),
        (
            RejectedKind::IntentInvalid,
            "the extended key usage of the client certificate is clientAuth; this trust store requires \
             codeSigning too"
                .to_owned()
        )
    );
}

#[test]
fn an_absent_extended_key_usage_is_refused_once_one_is_required() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let policy = requiring(&store, &[CLIENT_AUTH]);
    let reason = "the client certificate has no extended key usage; this trust store requires clientAuth";
    for client in [root.issue(leaf("client")), Raw::v1().signed_by(&root)] {
        assert!(requiring(&store, &[]).verify(&client, &[], now()).is_ok());
        let refused = refusal(&policy, &[client]);
        assert_eq!(refused, (RejectedKind::IntentInvalid, reason.to_owned()));
    }
}

#[test]
fn the_depth_of_a_chain_is_the_operators_choice() {
    let mut cas = vec![Ca::root("CA 1")];
    for level in 2..=8 {
        let next = cas.last().unwrap().intermediate(ca(&format!("CA {level}")));
        cas.push(next);
    }
    let root = store(&[&cas[0]]);
    for length in 2..=9 {
        let issuer = &cas[length - 2];
        let intermediates = cas[1..length - 1].iter().map(|ca| ca.der.clone());
        let chain: Vec<_> = std::iter::once(issuer.issue(leaf("client")))
            .chain(intermediates)
            .collect();
        for most in 2..=8 {
            for ignore_expiry in [false, true] {
                let policy = ruled(&root, &[], |rules: &mut Rules| {
                    rules.chain_depth_max = most;
                    rules.ignore_expiry = ignore_expiry;
                });
                let verdict = policy.verify(&chain[0], &chain[1..], now());
                assert_eq!(verdict.is_ok(), length <= most, "{length} of at most {most}");
                if let Err(rejected) = verdict {
                    assert_eq!(rejected.kind, RejectedKind::MaxChainDepthExceeded);
                }
            }
        }
    }
}

#[test]
fn a_ca_without_a_crl_is_accepted_told_or_refused_as_the_store_says() {
    let (with, without) = (Ca::root("With"), Ca::root("Without"));
    let store = store(&[&with, &without]);
    let crl = with.crl(&[&[1]]);
    let verdict = |ca: &Ca, rule| {
        let policy = ruled(&store, &[&crl], |rules| rules.ca_without_crl = rule);
        policy.verify(&ca.issue(leaf("client")), &[], now())
    };
    for rule in [WithoutCrl::Accept, WithoutCrl::AcceptAndLog, WithoutCrl::Reject] {
        let client = verdict(&with, rule).unwrap();
        assert_eq!(client.caveat(), None, "the other issuer is nothing to this one");
    }
    let reason = "no CRL of O=Example, CN=Without that covers the client certificate is loaded";
    assert_eq!(verdict(&without, WithoutCrl::Accept).unwrap().caveat(), None);
    assert_eq!(
        verdict(&without, WithoutCrl::AcceptAndLog).unwrap().caveat(),
        Some(reason)
    );
    let rejected = verdict(&without, WithoutCrl::Reject).unwrap_err();
    assert_eq!(
        (rejected.kind, rejected.reason.as_str()),
        (RejectedKind::RevocationUnknown, reason)
    );
}

#[test]
fn a_crl_for_users_does_not_answer_for_a_ca() {
    let root = Ca::root("Root");
    let point = || CrlDistributionPoint {
        uris: vec!["http://crl.example.com/1".to_owned()],
    };
    let inter = root.intermediate(ca("Inter").with(|params| params.crl_distribution_points = vec![point()]));
    let chain = [inter.issue(leaf("client")), inter.der.clone()];
    let store = store(&[&root]);
    let scoped = |scope| {
        root.crl_with(&[&[1]], |crl| {
            crl.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: point(),
                scope,
            });
        })
    };
    let caveat = |of_root: &[u8]| {
        let log = |rules: &mut Rules| rules.ca_without_crl = WithoutCrl::AcceptAndLog;
        let client = ruled(&store, &[of_root], log).verify(&chain[0], &chain[1..], now());
        client.unwrap().caveat().unwrap().to_owned()
    };
    let of_leaf = "no CRL of O=Example, CN=Inter that covers the client certificate is loaded";
    let of_inter = "no CRL of O=Example, CN=Root that covers intermediate O=Example, CN=Inter is loaded";
    assert_eq!(caveat(&scoped(None)), of_leaf);
    assert_eq!(caveat(&scoped(Some(CrlScope::CaCertsOnly))), of_leaf);
    assert_eq!(
        caveat(&scoped(Some(CrlScope::UserCertsOnly))),
        format!("{of_leaf}; {of_inter}")
    );
}

#[test]
fn a_partition_answers_for_its_own_distribution_point_only() {
    let root = Ca::root("Root");
    let store = store(&[&root]);
    let point = |uri: &str| CrlDistributionPoint {
        uris: vec![uri.to_owned()],
    };
    let crl = root.crl_with(&[&[9]], |crl| {
        crl.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: point("http://crl.example.com/1"),
            scope: None,
        });
    });
    let policy = ruled(&store, &[&crl], |rules| rules.ca_without_crl = WithoutCrl::Reject);
    let naming = |uri: &str| leaf("client").with(|params| params.crl_distribution_points = vec![point(uri)]);
    let verdict = |draft| policy.verify(&root.issue(draft), &[], now());
    assert!(verdict(naming("http://crl.example.com/1")).is_ok());
    for other in [naming("http://crl.example.com/2"), leaf("client")] {
        let rejected = verdict(other).unwrap_err();
        assert_eq!(rejected.kind, RejectedKind::RevocationUnknown);
    }
    let listed = naming("http://crl.example.com/2").serial(&[9]);
    let rejected = verdict(listed).unwrap_err();
    assert_eq!(
        rejected.kind,
        RejectedKind::Revoked,
        "what is listed is revoked whatever the scope"
    );
}

#[test]
fn the_steps_end_with_the_check_that_failed() {
    let root = Ca::root("Root");
    let policy = ruled(&store(&[&root]), &[b"09"], |_| {});
    let (verdict, steps) = policy.explain(&root.issue(leaf("client")), &[], now());
    assert!(verdict.is_ok());
    assert!(steps.iter().all(|step| step.passed));
    assert_eq!(steps[0].check, Check::Size);
    assert_eq!(steps.last().unwrap().check, Check::RevocationSource);
    let (verdict, steps) = policy.explain(&root.issue(leaf("client").serial(&[9])), &[], now());
    let last = steps.last().unwrap();
    assert_eq!((last.check, last.passed), (Check::Revocation, false));
    assert_eq!(last.detail, verdict.unwrap_err().reason);
}
