//! A gate is asked once, and nobody comes in without its word.

use std::cell::Cell;
use std::rc::Rc;

use rustls::AlertDescription;

use super::super::gate::Barred;
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
        gate: Some(gate),
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
        let data = notes.ruling.and_then(|ruling| ruling.custom_data);
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
