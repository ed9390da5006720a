//! A gate is asked once, and nobody comes in without its word; who the client is.

use std::cell::Cell;
use std::rc::Rc;

use bothways_test_pki::{Ca, bundle, leaf, now};
use bothways_trust::{Mode, Policy, RejectedKind, RevocationSetBuilder, Rules, TrustStore};
use rustls::AlertDescription;

use super::super::gate::{Barred, Gate};
use super::*;
use crate::metrics::FailureCode;

/// Notes with a gate that counts how often it is asked, and bars with this code.
fn notes(bars: Option<FailureCode>) -> (HandshakeNotes, Rc<Cell<u32>>) {
    let asked = Rc::new(Cell::new(0));
    let count = asked.clone();
    let gate: Gate = Box::new(move |_| {
        count.set(count.get() + 1);
        let reason = "not today".to_owned();
        Ruling {
            barred: bars.map(|code| Barred { code, reason }),
            custom_data: Some("seen".into()),
        }
    });
    let notes = HandshakeNotes {
        gate: GateState::Closed(gate),
        ..HandshakeNotes::default()
    };
    (notes, asked)
}

fn alert(error: &Error) -> Option<AlertDescription> {
    match error {
        Error::InvalidCertificate(error) => Some(error.clone().into()),
        _ => None,
    }
}

#[test]
fn a_gate_that_was_asked_within_the_handshake_is_not_asked_at_its_end() {
    let (mut notes, asked) = notes(None);
    assert_eq!(with_notes(&mut notes, pass_gate), Ok(()));
    assert!(notes.pass_gate_at_the_end(&ClientAuth::NotPresented, false));
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_gate_that_nobody_asked_within_the_handshake_is_asked_at_its_end() {
    for bars in [None, Some(FailureCode::ConnectionFunctionDenied)] {
        let (mut notes, asked) = notes(bars);
        let admitted = notes.pass_gate_at_the_end(&ClientAuth::NotPresented, true);
        assert_eq!((admitted, asked.get()), (bars.is_none(), 1));
        let data = notes.take_custom_data();
        assert_eq!(data.as_deref(), Some("seen"));
    }
}

#[test]
fn a_client_that_is_barred_gets_alert_access_denied_and_no_second_hearing() {
    let (mut notes, asked) = notes(Some(FailureCode::ConnectionFunctionError));
    for _ in 0..2 {
        let error = with_notes(&mut notes, pass_gate).err();
        assert_eq!(
            error.as_ref().and_then(alert),
            Some(AlertDescription::AccessDenied)
        );
    }
    assert!(!notes.pass_gate_at_the_end(&ClientAuth::NotPresented, false));
    assert_eq!(asked.get(), 1);
}

#[test]
fn where_no_gate_has_ruled_nobody_comes_in() {
    let mut notes = HandshakeNotes::default();
    assert!(with_notes(&mut notes, pass_gate).is_err());
    assert!(!notes.pass_gate_at_the_end(&ClientAuth::NotPresented, false));
}

#[test]
fn the_client_is_who_was_shown_or_who_a_resumed_ticket_stands_for_and_nobody_in_any_other_case() {
    let owner = || SessionOwner {
        client: ClientAuth::Unchecked(unchecked()),
        authenticated_at: now(),
    };
    let rows = [
        (false, Shown::Nothing, Some("not presented")),
        (false, Shown::Ticket(owner()), Some("not presented")),
        (false, Shown::Verified(verified()), Some("verified")),
        (false, Shown::Unchecked(unchecked()), Some("unchecked")),
        (false, Shown::Rejected(rejected()), None),
        (true, Shown::Ticket(owner()), Some("unchecked")),
        (true, Shown::Nothing, None),
        (true, Shown::Verified(verified()), None),
        (true, Shown::Unchecked(unchecked()), None),
        (true, Shown::Rejected(rejected()), None),
    ];
    for (row, (resumed, shown, expected)) in rows.into_iter().enumerate() {
        let notes = HandshakeNotes {
            shown,
            ..HandshakeNotes::default()
        };
        let told = notes.client(resumed).ok().map(|client| match client {
            ClientAuth::Verified(_) => "verified",
            ClientAuth::Unchecked(_) => "unchecked",
            ClientAuth::NotPresented => "not presented",
        });
        assert_eq!(told, expected, "row {row}");
    }
}

fn verified() -> VerifiedClient {
    let root = Ca::root("Root");
    let store = TrustStore::from_pem("partners", bundle(&[&root]).as_bytes()).expect("a bundle");
    let store = Arc::new(store);
    let revocations = Arc::new(RevocationSetBuilder::new(&store).build());
    let policy = Policy::new("E1", Rules::new(Mode::Required), store, revocations);
    let client = policy.verify(&root.issue(leaf("client")), &[], now());
    client.expect("a good client")
}

fn unchecked() -> UncheckedClient {
    UncheckedClient::read(&Ca::root("Root").issue(leaf("client")), &[]).expect("a certificate")
}

fn rejected() -> Rejected {
    Rejected {
        kind: RejectedKind::Untrusted,
        reason: "nobody knows it".to_owned(),
        facts: None,
    }
}
