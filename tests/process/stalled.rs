//! Clients that keep others waiting: streams that do not move, bodies that trickle, heads that never end; and
//! origins that may be slow.

use bothways_tests::http2_streams::{CANCEL, End, Http2};
use bothways_tests::origin::Origin;
use bothways_tests::tcp::open_narrow;
use bothways_tests::tls_client::{Connection, Ending};
use bothways_tests::{Client, Config, Distribution, Server};

const DRIVERS: [&str; 2] = ["auto", "epoll"];

fn config(origin: &Origin) -> Config {
    let distribution = Distribution::edge("none")
        .proxies_to(&origin.url())
        .origin_setting("origin_read_timeout = 4");
    Config::new().distribution(distribution)
}

fn stalled(server: &Server, body: &str) -> u64 {
    let series = format!("bothways_bodies_stalled_total{{body=\"{body}\"}}");
    server.metrics().get(&series)
}

#[test]
fn a_stream_whose_window_stays_closed_is_reset_whatever_else_its_connection_says() {
    let origin = Origin::start();
    for (path, window) in [
        ("/bytes/200000", 0),
        ("/bytes/200000", 1),
        ("/chunked/200000", 100),
    ] {
        let server = Server::start(config(&origin).limit("idle_timeout_ms", 2_000));
        let mut http2 = Http2::connect(Client::new(), server.address(), window);
        let still = http2.get(path);
        // Another one moves all the time, and the connection has PINGs and WINDOW_UPDATEs.
        let reset = loop {
            let other = http2.get("/reply/204");
            assert_eq!(
                http2
                    .wait_for(bothways_tests::http2_streams::HEADERS, other)
                    .unwrap()
                    .stream,
                other
            );
            http2.ping().unwrap();
            http2.open_window(0, 1).unwrap();
            if stalled(&server, "response") > 0 {
                break http2
                    .wait_for(bothways_tests::http2_streams::RST_STREAM, still)
                    .unwrap();
            }
        };
        assert_eq!(reset.code(), CANCEL, "{path} with {window}");
        let other = http2.get("/reply/204");
        assert_eq!(http2.answer(other).end, End::Whole, "the connection goes on");
    }
}

#[test]
fn a_window_that_is_opened_octet_by_octet_is_as_good_as_closed() {
    let origin = Origin::start();
    let server = Server::start(config(&origin).limit("idle_timeout_ms", 2_000));
    let mut http2 = Http2::connect(Client::new(), server.address(), 0);
    let stream = http2.get("/bytes/200000");
    http2
        .wait_for(bothways_tests::http2_streams::HEADERS, stream)
        .unwrap();
    while stalled(&server, "response") == 0 {
        http2.open_window(stream, 1).unwrap();
    }
    assert_eq!(http2.answer(stream).end, End::Reset(CANCEL));
}

#[test]
fn a_fixed_response_that_is_not_read_is_reset_too() {
    let distribution = Distribution::edge("none").answers(&"x".repeat(100_000));
    let config = Config::new().distribution(distribution);
    let server = Server::start(config.limit("idle_timeout_ms", 2_000));
    let mut http2 = Http2::connect(Client::new(), server.address(), 10);
    let stream = http2.get("/");
    let answer = http2.answer(stream);
    assert_eq!((answer.body.len(), answer.end), (10, End::Reset(CANCEL)));
    assert_eq!(stalled(&server, "response"), 1);
}

fn narrow(client: &Client, server: &Server) -> Connection {
    client.connect_over(open_narrow(server.address())).unwrap()
}

#[test]
fn an_http_1_client_that_does_not_read_is_closed_and_its_record_says_why() {
    let origin = Origin::start();
    for driver in DRIVERS {
        let server = Server::start(config(&origin).driver(driver).limit("idle_timeout_ms", 2_000));
        let client = Client::new();
        let mut connection = narrow(&client, &server);
        connection
            .write(client.request("GET", "/bytes/20000000", ""))
            .unwrap();
        let record = server.record_of(connection.port);
        assert_eq!(
            record.text("closedBy"),
            Some("response_stalled"),
            "{}",
            record.line
        );
        assert!(
            record.text("reason").unwrap().contains("idle_timeout_ms"),
            "{}",
            record.line
        );
        assert_eq!(stalled(&server, "response"), 1);
        let cut = "bothways_connections_cut_total{reason=\"response_stalled\"}";
        assert_eq!(server.metrics().get(cut), 1);
    }
}

#[test]
fn a_body_that_trickles_is_given_up_as_the_clients_fault() {
    let origin = Origin::start();
    let config = config(&origin).limit("idle_timeout_ms", 2_000);
    // More than one octet for each look at the counters.
    let server = Server::start(config.limit("body_bytes_per_s_min", 1_000_000));
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    let head = client.request("POST", "/sum", "Content-Length: 100000\r\n");
    connection.write(head).unwrap();
    // Each octet renews origin_read_timeout.
    while stalled(&server, "request") == 0 {
        connection.write("x").unwrap();
    }
    let response = connection.read_response().unwrap();
    assert_eq!(
        (response.status, response.header("connection")),
        (408, Some("close"))
    );
    let log = server.log();
    assert!(
        !log.iter().any(|line| line.contains("from the origin")),
        "{log:#?}"
    );

    let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
    let stream = http2.ask("POST", "/sum", false);
    while stalled(&server, "request") == 1 {
        assert!(http2.send_body(stream, b"x", false));
    }
    assert_eq!(http2.answer(stream).status, 408);
}

#[test]
fn a_body_that_stops_is_the_clients_fault_and_not_the_origins() {
    let origin = Origin::start();
    let server = Server::start(config(&origin));
    let client = Client::new();
    let head = client.request("POST", "/sum", "Content-Length: 9\r\n");
    let mut connection = client.connect(server.address()).unwrap();
    connection.write(format!("{head}123")).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 408);
    assert_eq!(server.metrics().requests("4xx"), 1);
}

#[test]
fn the_idle_time_limit_does_not_end_a_wait_for_an_origin() {
    let origin = Origin::start();
    for driver in DRIVERS {
        let server = Server::start(config(&origin).driver(driver).limit("idle_timeout_ms", 1_000));
        let client = Client::new();
        let mut http1 = client.connect(server.address()).unwrap();
        http1.write(client.request("GET", "/stall", "")).unwrap();
        let mut http2 = Http2::connect(Client::new(), server.address(), 65_535);
        let stream = http2.get("/stall");
        // The limit has come over others meanwhile, which are closed.
        for _ in 0..2 {
            let mut idle = client.connect(server.address()).unwrap();
            assert_eq!(idle.wait_for_close(), Ending::Eof);
        }
        assert_eq!(http1.read_response().unwrap().status, 504, "{driver}");
        let answer = http2.answer(stream);
        assert_eq!((answer.status, answer.end), (504, End::Whole), "{driver}");
        let line = server.wait_for_log("no response from the origin");
        assert!(line.contains("origin_read_timeout"), "{line}");
    }
}

#[test]
fn the_front_of_a_next_head_has_the_time_of_a_head() {
    let origin = Origin::start();
    for driver in DRIVERS {
        let server = Server::start(config(&origin).driver(driver).limit("header_timeout_ms", 3_000));
        let client = Client::new();
        let half = "GET / HTT";
        let mut together = client.connect(server.address()).unwrap();
        together
            .write(format!("{}{half}", client.request("GET", "/reply/204", "")))
            .unwrap();
        let mut within = client.connect(server.address()).unwrap();
        within.write(client.request("GET", "/gate", "")).unwrap();
        origin.wait_for_request("/gate", 1);
        within.write(half).unwrap();
        let mut body = client.connect(server.address()).unwrap();
        let head = client.request("POST", "/sum", "Content-Length: 3\r\n");
        body.write(format!("{head}abc{half}")).unwrap();
        origin.open_gate();
        let mut behind = client.connect(server.address()).unwrap();
        assert!(behind.exchange(&client.request("GET", "/", "")).is_ok());
        behind.write(half).unwrap();
        for connection in [&mut together, &mut within, &mut body] {
            assert!(connection.read_response().is_ok());
        }
        for connection in [&mut together, &mut within, &mut body, &mut behind] {
            assert_eq!(connection.wait_for_close(), Ending::Eof, "{driver}");
            let record = server.record_of(connection.port);
            assert_eq!(record.text("closedBy"), Some("header_timeout"), "{}", record.line);
        }
        let cut = "bothways_connections_cut_total{reason=\"header_timeout\"}";
        assert_eq!(server.metrics().get(cut), 4);
    }
}
