//! Connections to origins that are used again: nobody ever gets an answer that is not to its own request.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use bothways_tests::http2_streams::{End, Http2};
use bothways_tests::origin::DRIP;
use bothways_tests::scripted::{Scripted, Visit, response, target};
use bothways_tests::{Client, Config, Distribution, Server};

const DRIVERS: [&str; 2] = ["auto", "epoll"];

fn server(origin: &Scripted, driver: &'static str) -> Server {
    patient(origin, driver, 30)
}

/// With this `origin_read_timeout`, in seconds.
fn patient(origin: &Scripted, driver: &'static str, seconds: u64) -> Server {
    let distribution = Distribution::edge("none")
        .proxies_to(&origin.url())
        .origin_setting(&format!("origin_read_timeout = {seconds}"))
        .origin_setting("connection_attempts = 1");
    Server::start(Config::new().distribution(distribution).driver(driver))
}

fn spoilt(server: &Server, reason: &str) -> u64 {
    let series = format!("bothways_origin_connections_spoilt_total{{reason=\"{reason}\"}}");
    server.metrics().get(&series)
}

/// Takes whatever it reads for requests, answers a POST without reading its body, and keeps the connection.
fn answers_before_it_reads(visit: &mut Visit, early: &str) -> io::Result<()> {
    while let Some(head) = visit.head()? {
        match head.start_line.starts_with("POST ") {
            true => visit.say(early)?,
            false => visit.answer(target(&head))?,
        }
    }
    Ok(())
}

const EARLY: [&str; 3] = [
    "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
];

#[test]
fn an_answer_before_the_end_of_its_request_costs_the_connection() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for driver in DRIVERS {
        for early in EARLY {
            let origin = Scripted::start(|visit| answers_before_it_reads(visit, early));
            let server = server(&origin, driver);
            let client = Client::new();
            for round in 1..=3 {
                let mut attacker = client.connect(server.address()).unwrap();
                let length = format!("Content-Length: {}\r\n", smuggled.len());
                attacker.write(client.request("POST", "/", &length)).unwrap();
                assert_eq!(attacker.read_response().unwrap().status, 403);
                attacker.write(smuggled).unwrap();
                for turn in 0..3 {
                    let path = format!("/own-{turn}");
                    let response = client.send(
                        server.address(),
                        &client.request("GET", &path, "Connection: close\r\n"),
                    );
                    assert_eq!(response.outcome.response().text(), path, "{driver}: {early}");
                }
                assert_eq!(spoilt(&server, "early_answer"), round, "{driver}: {early}");
            }
        }
    }
}

#[test]
fn an_answer_that_began_too_early_costs_the_connection_however_late_it_ends() {
    let (goes_on, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let origin = Scripted::start(move |visit| {
        while let Some(head) = visit.head()? {
            if head.start_line.starts_with("POST ") {
                visit.say("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nn")?;
                let _opened = gate.lock().unwrap().recv();
                visit.say("o")?;
            } else {
                visit.answer(target(&head))?;
            }
        }
        Ok(())
    });
    let server = server(&origin, "auto");
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut attacker = Http2::connect(Client::new(), server.address(), 65_535);
    let stream = attacker.ask("POST", "/", false);
    attacker
        .wait_for(bothways_tests::http2_streams::HEADERS, stream)
        .unwrap();
    assert!(attacker.send_body(stream, smuggled, true));
    let next = attacker.get("/own");
    assert_eq!(attacker.answer(next).body, b"/own");
    goes_on.send(()).unwrap();
    server.wait_for_metrics("an early answer", |metrics| {
        metrics.get("bothways_origin_connections_spoilt_total{reason=\"early_answer\"}") == 1
    });
    let next = attacker.get("/again");
    let answer = attacker.answer(next);
    assert_eq!((answer.body, answer.end), (b"/again".to_vec(), End::Whole));
}

#[test]
fn what_an_origin_says_behind_its_answer_answers_nobody() {
    let poison = response(200, "poison");
    for driver in DRIVERS {
        for answer in [
            response(200, "own"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n".to_owned(),
            "HTTP/1.1 304 Not\r\nContent-Length: 3\r\n\r\n".to_owned(),
        ] {
            for rest in [
                poison.clone(),
                poison[..9].to_owned(),
                "\r\n\r\n".to_owned() + &poison,
            ] {
                let said = format!("{answer}{rest}");
                let origin = Scripted::start(move |visit| {
                    while visit.head()?.is_some() {
                        visit.say(&said)?;
                    }
                    Ok(())
                });
                let server = server(&origin, driver);
                let client = Client::new();
                let mut connection = client.connect(server.address()).unwrap();
                for _ in 0..4 {
                    let outcome = connection.exchange(&client.request("GET", "/", ""));
                    let response = outcome.response();
                    assert!(
                        ["own", ""].contains(&&*response.text()) && response.status < 400,
                        "{driver}: {response:?}"
                    );
                }
                assert_eq!(origin.connections(), 4, "{driver}");
            }
        }
    }
}

#[test]
fn what_an_origin_says_on_an_idle_connection_answers_nobody_and_is_counted() {
    for driver in DRIVERS {
        let (speak, told) = channel::<()>();
        let told = Mutex::new(told);
        let origin = Scripted::start(move |visit| {
            let Some(head) = visit.head()? else { return Ok(()) };
            visit.answer(target(&head))?;
            if visit.number == 0 {
                let _told = told.lock().unwrap().recv();
                visit.answer("poison")?;
            }
            visit.drain().map(drop)
        });
        let server = server(&origin, driver);
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        let mut ask = |path: &str| {
            connection
                .exchange(&client.request("GET", path, ""))
                .response()
                .text()
        };
        assert_eq!(ask("/first"), "/first");
        speak.send(()).unwrap();
        server.wait_for_metrics("unasked bytes", |metrics| {
            metrics.get("bothways_origin_connections_spoilt_total{reason=\"unasked_bytes\"}") == 1
        });
        assert_eq!(ask("/second"), "/second", "{driver}");
    }
}

#[test]
fn a_chunked_response_leaves_its_connection_for_the_next() {
    let origin = Scripted::start(|visit| {
        while visit.head()?.is_some() {
            visit.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n")?;
        }
        Ok(())
    });
    let server = server(&origin, "auto");
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    for _ in 0..5 {
        let outcome = connection.exchange(&client.request("GET", "/", ""));
        assert_eq!(outcome.response().text(), "own");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_and_connection_close_leave_no_connection() {
    for head in [
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
    ] {
        let origin = Scripted::start(move |visit| {
            visit.head()?;
            visit.say(head)?;
            visit.say("own")
        });
        let server = server(&origin, "auto");
        let client = Client::new();
        let mut connection = client.connect(server.address()).unwrap();
        for number in 1..=3 {
            let outcome = connection.exchange(&client.request("GET", "/", ""));
            assert_eq!(outcome.response().text(), "own", "{head}");
            assert_eq!(origin.connections(), number, "{head}");
        }
    }
}

/// Answers the first request of a connection; ends it at the second, with a reset where `resets`.
fn ends_at_the_second(visit: &mut Visit, resets: bool) -> io::Result<()> {
    let Some(head) = visit.head()? else { return Ok(()) };
    visit.body(&head)?;
    visit.answer(target(&head))?;
    visit.octet()?;
    if resets { visit.reset() } else { Ok(()) }
}

#[test]
fn a_kept_connection_that_ends_under_an_idempotent_request_is_replaced_once() {
    for driver in DRIVERS {
        for resets in [true, false] {
            let origin = Scripted::start(move |visit| ends_at_the_second(visit, resets));
            let server = server(&origin, driver);
            let client = Client::new();
            let mut connection = client.connect(server.address()).unwrap();
            for (method, headers, status) in [
                ("GET", "", 200),
                ("GET", "", 200),
                ("OPTIONS", "", 200),
                ("PUT", "Content-Length: 0\r\n", 200),
                ("DELETE", "", 200),
                // The connection of the last one is kept.
                ("POST", "Content-Length: 0\r\n", 502),
                ("GET", "", 200),
                ("PATCH", "Content-Length: 0\r\n", 502),
                ("GET", "", 200),
            ] {
                let outcome = connection.exchange(&client.request(method, "/", headers));
                assert_eq!(
                    outcome.response().status,
                    status,
                    "{driver}: {method}, resets {resets}"
                );
            }
            assert_eq!(origin.connections(), 7, "{driver}: resets {resets}");
        }
    }
}

#[test]
fn a_request_is_not_repeated_once_a_byte_of_an_answer_has_come() {
    let origin = Scripted::start(|visit| {
        let Some(head) = visit.head()? else { return Ok(()) };
        visit.answer(target(&head))?;
        visit.head()?;
        visit.say("HTTP/1.1 200 O")?;
        visit.reset()
    });
    let server = server(&origin, "auto");
    let client = Client::new();
    let mut connection = client.connect(server.address()).unwrap();
    for status in [200, 502] {
        let outcome = connection.exchange(&client.request("GET", "/", ""));
        assert_eq!(outcome.response().status, status);
    }
    assert_eq!(origin.connections(), 1);
}

/// Nothing ever comes: a wait that is over when its time is.
fn wait(nothing: &Receiver<()>) {
    let _elapsed = nothing.recv_timeout(DRIP);
}

#[test]
fn every_byte_of_an_origin_counts_against_origin_read_timeout() {
    // Together they take longer than the limit; each of them much less, on a machine that is busy too.
    const PIECES: usize = 8;
    let origin = Scripted::start(|visit| {
        let (_open, nothing) = channel();
        let Some(head) = visit.head()? else { return Ok(()) };
        if target(&head) == "/interim" {
            for _ in 0..PIECES {
                visit.say("HTTP/1.1 102 Processing\r\n\r\n")?;
                wait(&nothing);
            }
            return visit.answer("at last");
        }
        let slow = response(200, "at last");
        for octets in slow.as_bytes().chunks(slow.len() / PIECES) {
            visit.say(std::str::from_utf8(octets).expect("ASCII"))?;
            wait(&nothing);
        }
        visit.drain().map(drop)
    });
    let asks = &|driver, path| {
        let server = patient(&origin, driver, 3);
        let client = Client::new();
        let request = client.request("GET", path, "Connection: close\r\n");
        let attempt = client.send(server.address(), &request);
        assert_eq!(attempt.outcome.response().text(), "at last", "{driver}: {path}");
    };
    std::thread::scope(|scope| {
        for driver in DRIVERS {
            for path in ["/interim", "/slow-head"] {
                scope.spawn(move || asks(driver, path));
            }
        }
    });
}

#[test]
fn the_address_that_was_tried_is_told() {
    let url = bothways_tests::origin::nobody();
    let distribution = Distribution::edge("none").proxies_to(&url);
    let server = Server::start(Config::new().distribution(distribution));
    let client = Client::new();
    let attempt = client.send(
        server.address(),
        &client.request("GET", "/", "Connection: close\r\n"),
    );
    assert_eq!(attempt.outcome.response().status, 502);
    let line = server.wait_for_log("no response from the origin");
    let address = url.strip_prefix("http://").unwrap();
    assert!(line.contains(&format!("cannot connect to {address}: ")), "{line}");
}
