//! Choice of the behavior for a path, however the path is spelt.

use bothways_tests::config::EDGE_NAME;
use bothways_tests::curl::Curl;
use bothways_tests::origin::{Origin, Received};
use bothways_tests::{Client, Config, Distribution, Server};

const REFUSED: &str = "bothways_requests_refused_total{reason=\"ambiguous_path\"}";

/// Paths that some origin takes for `/private/x`, or for something else than `/private/x`.
const AMBIGUOUS: [&str; 19] = [
    "/%70rivate/x",
    "//private/x",
    "/./private/x",
    "/x/../private/x",
    "/private/../y",
    "/x/%2e%2e/private/x",
    "/x/..%2fprivate/x",
    "/private%2fx",
    "/%2570rivate/x",
    "/x/%252e%252e/private/x",
    "/x/..\\private\\x",
    "/x/..%5cprivate/x",
    "/x/..;/private/x",
    "/private;a=b/x",
    "/x/%c0%ae%c0%ae/private/x",
    "/%u0070rivate/x",
    "/private./x",
    "/private/x%00.html",
    "/%2525252570rivate/x",
];

fn guarded(origin: &Origin) -> Server {
    let distribution = Distribution::edge("none").proxies_to(&origin.url());
    Server::start(Config::new().distribution(distribution.answers_at("/private/*", "guarded")))
}

#[test]
fn a_path_that_could_be_another_behaviors_is_refused_over_both_http_versions() {
    let origin = Origin::start();
    let server = guarded(&origin);
    for http2 in [false, true] {
        for path in AMBIGUOUS {
            let curl = Curl::new(server.address(), EDGE_NAME);
            let output = if http2 { curl.http2() } else { curl }.get(path);
            assert_eq!(
                (output.code, output.status),
                (0, 400),
                "http2 {http2}, {path}: {output:?}"
            );
            let text = String::from_utf8_lossy(&output.body).into_owned();
            assert!(text.contains("more than one way"), "{path}: {text}");
        }
    }
    assert_eq!(origin.connections(), 0, "nothing reached the origin");
    assert_eq!(server.metrics().get(REFUSED), 2 * AMBIGUOUS.len() as u64);
    let told = server.wait_for_log("ambiguous_path");
    assert!(
        told.contains("/private/*") && told.contains("a request was refused"),
        "{told}"
    );
    assert_eq!(server.next_record().status(), "Success");
}

#[test]
fn a_path_is_matched_in_its_normal_form_and_goes_to_the_origin_as_it_came() {
    let origin = Origin::start();
    let server = guarded(&origin);
    let client = Client::new();
    for path in [
        "/private/x",
        "/private//x",
        "/private/%61",
        "/private/a/../x",
        "/private/a%2Fb",
    ] {
        let attempt = client.send(
            server.address(),
            &client.request("GET", path, "Connection: close\r\n"),
        );
        assert_eq!(attempt.outcome.response().text(), "guarded", "{path}");
    }
    for path in [
        "/a//b/./c/../%7e?//private/x",
        "/a%20b;v=1",
        "/group%2Fproject",
        "/caf%C3%A9",
    ] {
        let attempt = client.send(
            server.address(),
            &client.request("GET", path, "Connection: close\r\n"),
        );
        assert_eq!(Received::parse(&attempt.outcome.response().body).target(), path);
    }
    assert_eq!(server.metrics().get(REFUSED), 0);
}

#[test]
fn where_all_paths_are_served_alike_any_spelling_is() {
    let origin = Origin::start();
    let server =
        Server::start(Config::new().distribution(Distribution::edge("none").proxies_to(&origin.url())));
    let client = Client::new();
    for path in AMBIGUOUS {
        let attempt = client.send(
            server.address(),
            &client.request("GET", path, "Connection: close\r\n"),
        );
        assert_eq!(Received::parse(&attempt.outcome.response().body).target(), path);
    }
}

#[test]
fn a_redirect_to_https_is_chosen_by_the_same_rule() {
    let origin = Origin::start();
    let distribution = Distribution::edge("none").proxies_to(&origin.url()).redirects();
    let distribution = distribution.answers_at("/private/*", "guarded");
    let server = Server::start(Config::new().listener("http").distribution(distribution));
    let status = |path: &str| Curl::new(server.listener(1), EDGE_NAME).get_plain(path).status;
    assert_eq!(status("/x"), 301);
    assert_eq!(status("/private/x"), 403);
    assert_eq!(status("/x/../private/x"), 400);
}
