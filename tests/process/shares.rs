//! No client takes all the connections to an origin.

use bothways_tests::http2_streams::Http2;
use bothways_tests::origin::Origin;
use bothways_tests::{Client, Config, Distribution, Pki, Server, TrustStore};

fn config(origin: &Origin, mode: &'static str) -> Config {
    Config::new()
        .trust_store(TrustStore::partners())
        .distribution(Distribution::edge(mode).proxies_to(&origin.url()))
        .limit("origin_connections_per_core", 8)
}

fn refused(server: &Server) -> u64 {
    let series = "bothways_requests_limited_total{limit=\"origin_requests_per_client\"}";
    server.metrics().get(series)
}

#[test]
fn one_client_has_a_share_on_all_its_connections_and_others_have_theirs() {
    let origin = Origin::start();
    let server = Server::start(config(&origin, "required"));
    let [alice, bob] = ["alice", "bob"].map(|name| Pki::shared().client(name));
    let connect = |identity| Http2::connect(Client::with_identity(identity), server.address(), 65_535);
    let mut first = connect(&alice);
    let waiting = [first.get("/gate"), first.get("/gate")];
    origin.wait_for_request("/gate", 2);
    // A quarter of eight is two, on this connection and on any other of hers.
    let third = first.get("/");
    assert_eq!(first.answer(third).status, 503);
    let mut second = connect(&alice);
    let fourth = second.get("/");
    assert_eq!(second.answer(fourth).status, 503);
    assert_eq!(refused(&server), 2);
    let line = server.wait_for_log("no response from the origin");
    assert!(line.contains("origin_requests_per_client"), "{line}");

    let mut other = connect(&bob);
    let fifth = other.get("/");
    assert_eq!(other.answer(fifth).status, 200);

    origin.open_gate();
    for stream in waiting {
        assert_eq!(first.answer(stream).status, 200);
    }
    let sixth = second.get("/");
    assert_eq!(second.answer(sixth).status, 200, "there is room again");
}

#[test]
fn clients_without_a_verified_certificate_are_told_by_their_address() {
    let origin = Origin::start();
    for mode in ["none", "passthrough"] {
        let server = Server::start(config(&origin, mode).limit("origin_requests_per_client", 1));
        let [alice, bob] = ["alice", "bob"].map(|name| Client::with_identity(&Pki::shared().client(name)));
        let before = origin.requests_for("/stall");
        let mut first = Http2::connect(alice, server.address(), 65_535);
        first.get("/stall");
        origin.wait_for_request("/stall", before + 1);
        let mut second = Http2::connect(bob, server.address(), 65_535);
        let stream = second.get("/");
        assert_eq!(second.answer(stream).status, 503, "{mode}");
        assert_eq!(refused(&server), 1, "{mode}");
    }
}
