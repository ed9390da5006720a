//! A minimal rustls server that lets the harness's clients be tested without the server under test.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::pki::{Leaf, Pki};

/// Serves connections one after the other until the process ends; requires a client certificate of the
/// partners.
pub fn start() -> SocketAddr {
    let pki = Pki::shared();
    let mut roots = RootCertStore::empty();
    roots.add(pki.root.certificate().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let identity = pki.servers.issue(Leaf::server(&["stand-in.example"]));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key())
        .unwrap();
    config.send_tls13_tickets = 1;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        listener
            .incoming()
            .flatten()
            .for_each(|tcp| serve(tcp, config.clone()))
    });
    address
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    let mut request = [0; 4096];
    if stream.read(&mut request).is_ok() {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n");
        stream.conn.send_close_notify();
    }
    while stream.conn.wants_write() && stream.conn.write_tls(&mut stream.sock).is_ok() {}
    let _ = stream.sock.shutdown(Shutdown::Write);
    let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
}

mod tests {
    use crate::curl::Curl;
    use crate::pki::{Authority, Leaf, Pki};
    use crate::raw_client::Raw;
    use crate::s_client::SClient;
    use crate::tls_client::{Client, Ending, FirstFlight, Outcome, Version};

    #[test]
    fn the_client_is_served_over_both_versions_and_resumes() {
        let address = super::start();
        let identity = Pki::shared().client("alice");
        for version in [Version::Tls12, Version::Tls13] {
            let client = Client::speaking(version, Some(&identity));
            let (first, second) = (client.get(address).outcome, client.get(address).outcome);
            assert_eq!(first.response().text(), "ok\n", "{version:?}");
            assert!(
                !first.resumed() && second.resumed(),
                "{version:?}: {first:?} {second:?}"
            );
        }
    }

    #[test]
    fn the_client_sees_alerts_and_how_the_stream_ends_after_them() {
        let address = super::start();
        for version in [Version::Tls12, Version::Tls13] {
            let nobody = Client::speaking(version, None).get(address).outcome;
            assert_eq!(nobody, Outcome::Alert(116, Ending::Eof), "{version:?}");
            let stranger = Pki::shared().strangers.issue(Leaf::client("mallory"));
            let outcome = Client::speaking(version, Some(&stranger)).get(address).outcome;
            assert_eq!(outcome, Outcome::Alert(48, Ending::Eof), "{version:?}");
        }
    }

    #[test]
    fn flawed_certificates_have_the_flaw_that_they_are_made_with() {
        let address = super::start();
        let pki = Pki::shared();
        let outcome = |identity| {
            Client::speaking(Version::Tls13, Some(&identity))
                .get(address)
                .outcome
        };
        let leaf = || Leaf::client("flawed");
        assert!(outcome(pki.issuing.issue(leaf())).is_ok());
        assert_eq!(
            outcome(pki.issuing.issue(leaf().expired())),
            Outcome::Alert(45, Ending::Eof)
        );
        assert_eq!(
            outcome(pki.issuing.issue(leaf().not_yet_valid())),
            Outcome::Alert(45, Ending::Eof)
        );
        let server_only = leaf().purposes(&[rcgen::ExtendedKeyUsagePurpose::ServerAuth]);
        assert_eq!(
            outcome(pki.issuing.issue(server_only)),
            Outcome::Alert(43, Ending::Eof)
        );
        assert!(outcome(pki.issuing.issue(leaf().purposes(&[]))).is_ok());
        let forged = Authority::forged("Partners Root CA").issue(leaf());
        assert!(matches!(outcome(forged), Outcome::Alert(..)));
        let version_1 = outcome(pki.issuing.issue_v1(leaf()));
        assert!(
            matches!(version_1, Outcome::Alert(..)),
            "webpki knows no version 1: {version_1:?}"
        );
    }

    #[test]
    fn a_cut_up_client_hello_is_still_one() {
        let address = super::start();
        let identity = Pki::shared().client("slow");
        for flight in [
            FirstFlight::ByteByByte,
            FirstFlight::Records(1),
            FirstFlight::Records(100),
        ] {
            let client = Client::with_identity(&identity).first_flight(flight);
            assert!(client.get(address).outcome.is_ok(), "{flight:?}");
        }
    }

    #[test]
    fn garbage_gets_an_answer_that_ends() {
        let mut raw = Raw::connect(super::start());
        raw.send(b"GET / HTTP/1.1\r\n\r\n");
        raw.finish();
        assert_ne!(raw.read_to_end().1, Ending::Timeout);
    }

    #[test]
    fn curl_is_served_with_a_certificate_and_shows_the_alert_without() {
        let address = super::start();
        let identity = Pki::shared().client("curl");
        let good = Curl::new(address, "stand-in.example")
            .identity(&identity)
            .get("/");
        assert_eq!(
            (good.code, good.status, good.body.as_slice()),
            (0, 200, &b"ok\n"[..]),
            "{good:?}"
        );
        assert_ne!(good.port, 0);
        let bad = Curl::new(address, "stand-in.example").get("/");
        assert_ne!(bad.code, 0);
        assert!(bad.stderr.contains("certificate required"), "{bad:?}");
    }

    #[test]
    fn s_client_is_served_and_offers_one_session_as_often_as_it_is_told_to() {
        let address = super::start();
        let identity = Pki::shared().client("openssl");
        let client = SClient::new(address, "stand-in.example").identity(&identity);
        let first = client.clone().saving_session().get();
        assert!(first.body_contains("ok") && !first.reused, "{first:?}");
        let second = client.clone().offering_session().get();
        assert!(second.body_contains("ok") && second.reused, "{second:?}");
        let without = SClient::new(address, "stand-in.example").get();
        assert_eq!(without.alert, Some(116), "{without:?}");
    }

    #[test]
    fn version_1_certificates_are_what_openssl_calls_version_1() {
        let identity = Pki::shared().issuing.issue_v1(Leaf::client("old"));
        let workdir = crate::workdir::Workdir::new();
        let file = workdir.write("leaf.pem", identity.leaf_pem());
        let issuer = workdir.write("ca.pem", Pki::shared().bundle());
        let openssl = |args: &[&std::ffi::OsStr]| {
            let output = std::process::Command::new("openssl").args(args).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let text = openssl(&[
            "x509".as_ref(),
            "-noout".as_ref(),
            "-text".as_ref(),
            "-in".as_ref(),
            file.as_ref(),
        ]);
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
        let verified = openssl(&[
            "verify".as_ref(),
            "-CAfile".as_ref(),
            issuer.as_ref(),
            file.as_ref(),
        ]);
        assert!(verified.contains(": OK"), "{verified}");
    }
}
