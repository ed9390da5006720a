//! Tickets: once, in time, for whom they were made.

use std::time::Duration;

use bothways_test_pki::{Ca, at, bundle, leaf, now};
use bothways_trust::UncheckedClient;
use bothways_trust::{Mode, Policy, RevocationSetBuilder, Rules, TrustStore};

use super::super::client::Verification;
use super::super::vault::{KEY_BYTES, PLAIN_BYTES_MAX, SessionOwner, TICKET_BYTES};
use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// The default policy over a store of one CA.
fn policy(root: &Ca) -> Arc<Policy> {
    let store = TrustStore::from_pem("partners", bundle(&[root]).as_bytes()).unwrap();
    let store = Arc::new(store);
    let revocations = Arc::new(RevocationSetBuilder::new(&store).build());
    Arc::new(Policy::new("E1", Rules::new(Mode::Required), store, revocations))
}

fn scope_of(vault: &Arc<SessionVault>, name: u8) -> TicketScope {
    TicketScope::new(vault.clone(), ClientPolicy::Off([name; 32]))
}

fn vault(per_core_max: usize) -> Arc<SessionVault> {
    Arc::new(SessionVault::new(per_core_max, HOUR))
}

/// A ticket issued at second 0 and bound to an anonymous session.
fn bound_ticket(scope: &TicketScope) -> Vec<u8> {
    let ticket = scope.issue(b"session", at(0)).expect("a ticket");
    let key = note(|notes| notes.issued.take()).expect("its key");
    scope.vault.bind(
        key,
        SessionOwner {
            client: ClientAuth::NotPresented,
            authenticated_at: at(0),
        },
    );
    ticket
}

#[test]
fn a_ticket_is_32_bytes_and_redeems_once() {
    let scope = scope_of(&vault(8), 1);
    let ticket = bound_ticket(&scope);
    assert_eq!(ticket.len(), TICKET_BYTES);
    assert_eq!(scope.redeem(&ticket, at(1)), Ok(b"session".to_vec()));
    assert_eq!(scope.redeem(&ticket, at(1)), Err(TicketDecline::Unknown));
}

#[test]
fn a_ticket_of_an_unfinished_handshake_is_worth_nothing() {
    let scope = scope_of(&vault(8), 1);
    let ticket = scope.issue(b"session", at(0)).expect("a ticket");
    assert_eq!(scope.redeem(&ticket, at(1)), Err(TicketDecline::Unknown));
}

#[test]
fn a_ticket_dies_with_its_lifetime_counted_from_the_full_handshake() {
    let scope = scope_of(&vault(8), 1);
    let ticket = bound_ticket(&scope);
    assert_eq!(scope.redeem(&ticket, at(3_600)), Err(TicketDecline::Expired));
}

#[test]
fn a_ticket_of_another_scope_is_declined() {
    let vault = vault(8);
    let ticket = bound_ticket(&scope_of(&vault, 1));
    assert_eq!(
        scope_of(&vault, 2).redeem(&ticket, at(1)),
        Err(TicketDecline::Policy)
    );
}

#[test]
fn a_guessed_or_misshapen_ticket_is_unknown_and_spoils_nothing() {
    let scope = scope_of(&vault(8), 1);
    let ticket = bound_ticket(&scope);
    let mut guess = ticket.clone();
    *guess.last_mut().expect("32 bytes") ^= 1;
    for bad in [&guess[..], &[], &ticket[..31], &[0; 33], &[0xff; 32]] {
        assert_eq!(scope.redeem(bad, at(1)), Err(TicketDecline::Unknown));
    }
    assert!(scope.redeem(&ticket, at(1)).is_ok());
}

#[test]
fn no_forged_key_does_harm_after_its_slot_was_used() {
    let vault = vault(8);
    let scope = scope_of(&vault, 1);
    for round in 0..64 {
        let ticket = bound_ticket(&scope);
        assert!(scope.redeem(&ticket, at(1)).is_ok(), "round {round}");
        for bit in 0..64 {
            let mut forged = ticket.clone();
            let (key, _) = forged.split_first_chunk_mut::<KEY_BYTES>().expect("32 bytes");
            *key = (u64::from_be_bytes(*key).wrapping_add(1 << bit)).to_be_bytes();
            assert_eq!(scope.redeem(&forged, at(1)), Err(TicketDecline::Unknown));
        }
    }
}

#[test]
fn a_session_of_a_padded_chain_gets_no_ticket() {
    let scope = scope_of(&vault(8), 1);
    assert_eq!(scope.issue(&[0; PLAIN_BYTES_MAX + 1], at(0)), None);
}

#[test]
fn the_oldest_ticket_is_forgotten_at_the_cap() {
    let scope = scope_of(&vault(2), 1);
    let tickets: Vec<_> = (0..3).map(|_| bound_ticket(&scope)).collect();
    let redeemed: Vec<_> = tickets
        .iter()
        .map(|ticket| scope.redeem(ticket, at(1)).is_ok())
        .collect();
    assert_eq!(redeemed, [false, true, true]);
}

#[test]
fn a_ticket_of_another_version_of_the_gate_is_declined() {
    let vault = vault(8);
    let version = Arc::new(std::sync::atomic::AtomicU8::new(1));
    let today = version.clone();
    let gate = GateVersion::told_by(move || [today.load(std::sync::atomic::Ordering::Relaxed); 32]);
    let scope = scope_of(&vault, 1).at_gate(gate);
    let tickets: Vec<_> = (0..2).map(|_| bound_ticket(&scope)).collect();
    let [first, second] = &tickets[..] else {
        unreachable!()
    };
    assert!(scope.redeem(first, at(1)).is_ok());
    version.store(2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(scope.redeem(second, at(1)), Err(TicketDecline::Policy));
    let ungated = bound_ticket(&scope_of(&vault, 1));
    assert_eq!(scope.redeem(&ungated, at(1)), Err(TicketDecline::Policy));
}

#[test]
fn a_ticket_issued_on_one_core_redeems_on_another() {
    let vault = vault(8);
    let ticket = bound_ticket(&scope_of(&vault, 1));
    let redeemed = std::thread::spawn(move || scope_of(&vault, 1).redeem(&ticket, at(1)).is_ok()).join();
    assert!(matches!(redeemed, Ok(true)));
}

/// A client whose leaf is valid until 2030, and the policy that accepted it.
fn verified() -> (ClientPolicy, ClientAuth) {
    let root = Ca::root("Root");
    let policy = policy(&root);
    let client = policy
        .verify(&root.issue(leaf("client")), &[], now())
        .expect("a good client");
    let verification = Verification {
        policy,
        candidate: None,
        advertised: Arc::default(),
    };
    (ClientPolicy::Verify(verification), ClientAuth::Verified(client))
}

/// A ticket of `scope`, issued at `now` to `owner`.
fn ticket_of(scope: &TicketScope, owner: &SessionOwner, now: UnixTime) -> Vec<u8> {
    let ticket = scope.issue(b"session", now).expect("a ticket");
    let key = note(|notes| notes.issued.take()).expect("its key");
    scope.vault.bind(key, owner.clone());
    ticket
}

#[test]
fn renewals_do_not_prolong_the_first_authentication() {
    let (policy, client) = verified();
    let scope = TicketScope::new(vault(8), policy);
    let start = now().as_secs();
    let mut owner = SessionOwner {
        client,
        authenticated_at: now(),
    };
    for minutes in (0..60).step_by(10) {
        let ticket = ticket_of(&scope, &owner, at(start + minutes * 60));
        let redeemed = scope.redeem(&ticket, at(start + minutes * 60 + 599));
        assert!(redeemed.is_ok(), "{minutes} minutes");
        owner = note(|notes| notes.take_owner(true)).expect("its owner");
        assert_eq!(owner.authenticated_at, now());
    }
    let ticket = ticket_of(&scope, &owner, at(start + 3_599));
    assert_eq!(
        scope.redeem(&ticket, at(start + 3_600)),
        Err(TicketDecline::Expired)
    );
}

#[test]
fn no_ticket_outlives_its_clients_chain() {
    let (policy, client) = verified();
    let scope = TicketScope::new(vault(8), policy);
    let owner = SessionOwner {
        client,
        authenticated_at: at(END_OF_2029 - 60),
    };
    let ticket = ticket_of(&scope, &owner, at(END_OF_2029 - 60));
    assert!(scope.redeem(&ticket, at(END_OF_2029)).is_ok());
    let ticket = ticket_of(&scope, &owner, at(END_OF_2029 - 60));
    assert_eq!(
        scope.redeem(&ticket, at(END_OF_2029 + 1)),
        Err(TicketDecline::CertificateExpired)
    );
}

#[test]
fn the_lifetime_that_a_client_is_told_is_what_is_left() {
    let (policy, client) = verified();
    let scope = TicketScope::new(vault(8), policy);
    let told = |client: &ClientAuth, since: u64, now: u64| {
        let owner = SessionOwner {
            client: client.clone(),
            authenticated_at: at(since),
        };
        scope.remaining(&Shown::Ticket(owner), now)
    };
    let start = now().as_secs();
    assert_eq!(told(&client, start, start), 3_600);
    assert_eq!(told(&client, start, start + 3_000), 600);
    assert_eq!(told(&client, start, start + 4_000), 0);
    assert_eq!(told(&client, END_OF_2029 - 60, END_OF_2029 - 60), 60);
    assert_eq!(told(&ClientAuth::NotPresented, start, start), 3_600);
    assert_eq!(scope.remaining(&Shown::Nothing, start), 3_600);
}

#[test]
fn a_ticket_of_one_mode_opens_no_other_even_if_the_scopes_were_the_same() {
    let (policy, client) = verified();
    let anonymous = ClientAuth::NotPresented;
    for other in [ClientPolicy::Off([0; 32]), ClientPolicy::Passthrough([0; 32])] {
        let scope = TicketScope::new(vault(8), other);
        assert_eq!(scope.readmit(&client, now()), Err(TicketDecline::Policy));
        assert_eq!(scope.readmit(&anonymous, now()), Ok(()));
    }
    let scope = TicketScope::new(vault(8), policy);
    assert_eq!(scope.readmit(&client, now()), Ok(()));
    assert_eq!(scope.readmit(&anonymous, now()), Err(TicketDecline::Policy));
    let root = Ca::root("Root");
    let unchecked = UncheckedClient::read(&root.issue(leaf("unchecked")), &[]).expect("a certificate");
    assert_eq!(
        scope.readmit(&ClientAuth::Unchecked(unchecked), now()),
        Err(TicketDecline::Policy)
    );
}

#[test]
fn a_session_is_kept_without_its_clients_certificates_and_comes_back_whole() {
    let root = Ca::root("Root");
    let (shown, issuer) = (root.issue(leaf("shown")), root.issue(leaf("issuer")));
    let client = UncheckedClient::read(&shown, std::slice::from_ref(&issuer)).expect("certificates");
    let plain = [b"version", &*shown, b"length", &*issuer, b"secret"].concat();
    let vault = vault(8);
    let scope = TicketScope::new(vault.clone(), ClientPolicy::Passthrough([0; 32]));
    let ticket = scope.issue(&plain, at(0)).expect("a ticket");
    let key = note(|notes| notes.issued.take()).expect("its key");
    let owner = SessionOwner {
        client: ClientAuth::Unchecked(client),
        authenticated_at: at(0),
    };
    vault.bind(key, owner);
    assert!(vault.kept_bytes(key) < plain.len());
    assert_eq!(scope.redeem(&ticket, at(1)), Ok(plain));
}

/// The notAfter of [`leaf`]: 2030-01-01T00:00:00Z.
const END_OF_2029: u64 = 1_893_456_000;
