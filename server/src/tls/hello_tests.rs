//! First octets of every kind, whole and one by one.

#![allow(clippy::indexing_slicing)]

use super::super::client_hello::ClientHello;
use super::*;

/// A handshake message of this type and body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short body").to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    [&[kind, 3, 1], &length[..], payload].concat()
}

/// A message in records of so many octets each.
fn records(message: &[u8], octets: usize) -> Vec<u8> {
    message
        .chunks(octets)
        .flat_map(|piece| record(HANDSHAKE, piece))
        .collect()
}

/// Reads `octets` as if they came in segments of so many.
fn read(octets: &[u8], segment: usize) -> Result<Option<Vec<u8>>, Unfit> {
    let mut reader = HelloReader::default();
    let ends = (1..octets.len())
        .filter(|end| end % segment == 0)
        .chain([octets.len()]);
    for end in ends {
        if reader.read(&octets[..end])? {
            return Ok(Some(reader.message(&octets[..end]).to_vec()));
        }
    }
    Ok(None)
}

/// Whole, and octet by octet.
fn answer(octets: &[u8]) -> Answer {
    let whole = read(octets, octets.len()).expect_err("it is refused");
    let slowly = read(octets, 1).expect_err("it is refused");
    assert_eq!(
        whole.answer, slowly.answer,
        "{whole:?}, and octet by octet {slowly:?}"
    );
    assert!(!whole.reason.is_empty());
    whole.answer
}

#[test]
fn a_message_is_whole_however_it_comes() {
    for length in [0, 1, 300, HELLO_BYTES_MAX] {
        let whole = message(CLIENT_HELLO, &vec![7; length]);
        for octets in [16, 100, 16_000] {
            for segment in [1, 1_400, usize::MAX] {
                let sent = records(&whole, octets);
                if sent.len() > WIRE_BYTES_MAX || (segment == 1 && length > 300) {
                    continue;
                }
                assert_eq!(
                    read(&sent, segment),
                    Ok(Some(whole.clone())),
                    "{length} {octets} {segment}"
                );
            }
        }
    }
}

#[test]
fn what_is_behind_the_message_is_not_part_of_it() {
    let whole = message(CLIENT_HELLO, &[7; 10]);
    let behind = [record(HANDSHAKE, &whole), record(20, &[1])].concat();
    assert_eq!(read(&behind, behind.len()), Ok(Some(whole)));
}

#[test]
fn too_much_is_refused_before_it_has_come() {
    let announced = [&[CLIENT_HELLO], &[0, 0x40, 1][..]].concat();
    assert_eq!(
        answer(&record(HANDSHAKE, &announced)),
        Answer::Alert(ILLEGAL_PARAMETER)
    );
    // Before the record is complete, too.
    let begun = [&[HANDSHAKE, 3, 1, 0x3f, 0, CLIENT_HELLO], &[0xff; 3][..]].concat();
    assert_eq!(answer(&begun), Answer::Alert(ILLEGAL_PARAMETER));
    let tiny = records(&message(CLIENT_HELLO, &[7; HELLO_BYTES_MAX]), 1);
    let refused = read(&tiny, 4_096).expect_err("it is refused");
    assert_eq!(refused.answer, Answer::Alert(ILLEGAL_PARAMETER));
}

#[test]
fn what_may_not_come_first_is_answered_with_its_alert() {
    let hello = message(CLIENT_HELLO, &[7; 40]);
    let begun = record(HANDSHAKE, &hello[..10]);
    let then = |next: Vec<u8>| [begun.clone(), next].concat();
    let cases = [
        (
            "another handshake message",
            record(HANDSHAKE, &message(20, &[])),
            10,
        ),
        (
            "a message of no known type",
            record(HANDSHAKE, &message(99, &[])),
            10,
        ),
        ("change_cipher_spec", record(20, &[1]), 10),
        ("application data", record(23, b"x"), 10),
        ("a heartbeat", record(24, &[1, 0, 0]), 10),
        ("a record of an unknown type", record(99, &[0]), 10),
        ("an empty handshake record", record(HANDSHAKE, &[]), 10),
        ("an empty alert", record(ALERT, &[]), 10),
        ("an alert of one octet", record(ALERT, &[2]), 50),
        ("two alerts in a record", record(ALERT, &[1, 0, 1, 0]), 50),
        ("a record of another version", vec![HANDSHAKE, 2, 0, 0, 1, 1], 70),
        ("a record that is too long", vec![HANDSHAKE, 3, 1, 0x40, 1, 1], 22),
        (
            "a record that is much too long",
            vec![HANDSHAKE, 3, 1, 0xff, 0xff, 1],
            22,
        ),
        ("change_cipher_spec in between", then(record(20, &[1])), 10),
        ("application data in between", then(record(23, b"x")), 10),
        ("a warning in between", then(record(ALERT, &[1, 0])), 10),
        ("an empty record in between", then(record(HANDSHAKE, &[])), 10),
        (
            "a long record in between",
            then(vec![HANDSHAKE, 3, 1, 0x40, 1, 1]),
            22,
        ),
        ("a hello of SSL 2.0", vec![0x80, 0x2e, 1, 3, 1], 70),
        ("octets of nobody's", vec![0xff; 64], 10),
        ("zeros", vec![0; 64], 10),
    ];
    for (what, octets, alert) in cases {
        assert_eq!(answer(&octets), Answer::Alert(alert), "{what}");
    }
}

#[test]
fn a_client_that_ends_the_connection_itself_gets_no_answer() {
    let begun = record(HANDSHAKE, &message(CLIENT_HELLO, &[7; 40])[..10]);
    for octets in [
        record(ALERT, &[1, 0]),
        record(ALERT, &[2, 40]),
        [begun, record(ALERT, &[2, 40])].concat(),
    ] {
        assert_eq!(answer(&octets), Answer::Nothing);
        let reason = read(&octets, octets.len()).expect_err("it is refused").reason;
        assert!(
            reason.contains("close_notify") || reason.contains("handshake_failure"),
            "{reason}"
        );
    }
}

#[test]
fn other_protocols_are_called_by_their_name() {
    let said = |octets: &[u8]| read(octets, octets.len()).expect_err("it is refused");
    for request in [
        "GET / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "CONNECT a:443 HTTP/1.1\r\n",
        "PROPFIND /x HTTP/1.1\r\n",
    ] {
        let unfit = said(request.as_bytes());
        assert!(
            matches!(answer(request.as_bytes()), Answer::Foreign(_)),
            "{request}"
        );
        assert!(unfit.reason.contains("plain HTTP"), "{}", unfit.reason);
    }
    for (octets, name) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n", "PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "PROXY protocol"),
        (b"EHLO mail.example\r\n", "EHLO mail"),
        (b"\xc0\xff\x02\x01", "\\xc0\\xff"),
    ] {
        let unfit = said(octets);
        assert!(unfit.reason.contains(name), "{}", unfit.reason);
        assert_eq!(answer(octets), Answer::Alert(UNEXPECTED_MESSAGE), "{name}");
    }
}

#[test]
fn random_octets_never_panic_and_never_take_more_than_the_bound() {
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(seed >> 56).expect("eight bits")
    };
    for round in 0..2_000 {
        let mut octets: Vec<u8> = (0..usize::from(random()) + 10).map(|_| random()).collect();
        // Most of it would end at its first octet.
        if round % 4 > 0 {
            octets[..6].copy_from_slice(&[HANDSHAKE, 3, 1, 0, 200, CLIENT_HELLO]);
        }
        if let Ok(Some(message)) = read(&octets, 1 + usize::from(random())) {
            let _malformed_or_not = ClientHello::parse(&message).map(|hello| hello.check());
        }
    }
}
