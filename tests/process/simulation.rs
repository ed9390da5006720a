//! Origins and viewers that misbehave by a seed, all at once: whatever they do, each viewer gets the answer
//! to its own request, or an error.
//!
//! `BOTHWAYS_SIMULATION_SEEDS` says how many seeds are tried (default 2), `BOTHWAYS_SIMULATION_FROM` the
//! first one.

use std::io;

use bothways_tests::scripted::{Scripted, Visit, response, target};
use bothways_tests::tls_client::Connection;
use bothways_tests::{Client, Config, Distribution, Server};

const VIEWERS: u64 = 4;
const REQUESTS: u64 = 30;

/// SplitMix64: the n-th number of a seed.
pub fn number(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn answer_to(path: &str) -> String {
    format!("the answer to {path}")
}

/// Serves one connection as a bad origin, which takes whatever it has not read for a next request.
fn misbehave(visit: &mut Visit, seed: u64) -> io::Result<()> {
    let mut turn = 0;
    while let Some(head) = visit.head()? {
        let body = answer_to(target(&head));
        let whole = response(200, &body);
        turn += 1;
        match number(seed ^ visit.number as u64, turn) % 14 {
            // Early, and the body is never read.
            0 | 1 => visit.say(&whole)?,
            2 => {
                visit.say(&whole[..whole.len() - 3])?;
                visit.say(&whole[whole.len() - 3..])?;
            }
            3 => visit.say(&format!("{whole}{}", response(200, "poison")))?,
            4 => {
                visit.body(&head)?;
                visit.say(&format!("{whole}HTTP/1.1 2"))?;
            }
            5 => return visit.reset(),
            6 => return Ok(()),
            7 => {
                visit.say(&whole[..20])?;
                return visit.reset();
            }
            8 => {
                visit.say(&whole[..whole.len() - 3])?;
                return Ok(());
            }
            9 => {
                visit.body(&head)?;
                visit.say(&format!("HTTP/1.1 102 Processing\r\n\r\n{whole}"))?;
            }
            10 => {
                visit.body(&head)?;
                return visit.say(&format!("HTTP/1.0 200 OK\r\n\r\n{body}"));
            }
            11 => {
                visit.body(&head)?;
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                visit.say(&format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))?;
            }
            _ => {
                visit.body(&head)?;
                visit.say(&whole)?;
            }
        }
    }
    Ok(())
}

/// Results of one viewer's requests.
#[derive(Default)]
struct Tally {
    answered: u64,
    refused: u64,
    broken: u64,
}

/// Sends one request as `kind` says; true: the connection may be used again.
fn ask(connection: &mut Connection, client: &Client, path: &str, kind: u64, tally: &mut Tally) -> bool {
    // What is sent before the answer is there must be harmless: no proxy can tell that an origin has not read
    // what it was sent whole.
    let smuggled = client.request("GET", &format!("/smuggled{path}"), "");
    let harmless = "x".repeat(smuggled.len());
    let head = client.request("POST", path, &format!("Content-Length: {}\r\n", smuggled.len()));
    let (before, between, behind) = match kind % 5 {
        0 => (head, String::new(), smuggled),
        1 => (head, harmless, String::new()),
        2 => (head + &harmless, String::new(), String::new()),
        _ => (client.request("GET", path, ""), String::new(), String::new()),
    };
    let whole = connection.write(before).and_then(|()| {
        connection.write(between)?;
        let response = connection.read_response()?;
        connection.write(behind)?;
        Ok(response)
    });
    let Ok(response) = whole else {
        tally.broken += 1;
        return false;
    };
    match response.status {
        200 => assert_eq!(response.text(), answer_to(path), "somebody else's answer"),
        status => assert!((400..600).contains(&status), "{response:?}"),
    }
    match response.status {
        200 => tally.answered += 1,
        _ => tally.refused += 1,
    }
    response.header("connection") != Some("close")
}

fn viewer(server: &Server, seed: u64, viewer: u64) -> Tally {
    let (client, mut tally) = (Client::new(), Tally::default());
    let mut connection = None;
    for turn in 0..REQUESTS {
        let mut going = match connection.take() {
            Some(going) => going,
            None => client.connect(server.address()).expect("a handshake"),
        };
        let path = format!("/viewer-{viewer}/{turn}");
        if ask(
            &mut going,
            &client,
            &path,
            number(!seed, viewer * REQUESTS + turn),
            &mut tally,
        ) {
            connection = Some(going);
        }
    }
    tally
}

/// A number that the environment gives.
pub fn from_environment(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect(name))
}

#[test]
fn whatever_origins_and_viewers_do_nobody_gets_anothers_answer() {
    let first = from_environment("BOTHWAYS_SIMULATION_FROM", 1);
    for seed in first..first + from_environment("BOTHWAYS_SIMULATION_SEEDS", 2) {
        let origin = Scripted::start(move |visit| misbehave(visit, seed));
        let distribution = Distribution::edge("none")
            .proxies_to(&origin.url())
            .origin_setting("origin_read_timeout = 1")
            .origin_setting("connection_attempts = 1");
        let driver = if seed.is_multiple_of(2) { "epoll" } else { "auto" };
        let server = Server::start(Config::new().distribution(distribution).driver(driver));
        println!("seed {seed}");
        let server = &server;
        let tallies = std::thread::scope(|scope| {
            let viewers: Vec<_> = (0..VIEWERS)
                .map(|number| scope.spawn(move || viewer(server, seed, number)))
                .collect();
            viewers
                .into_iter()
                .map(|viewer| viewer.join().expect("no viewer has another's answer"))
                .collect::<Vec<_>>()
        });
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let (answered, refused, broken) = (
            sum(|tally| tally.answered),
            sum(|tally| tally.refused),
            sum(|tally| tally.broken),
        );
        assert_eq!(answered + refused + broken, VIEWERS * REQUESTS, "seed {seed}");
        assert!(
            answered > VIEWERS * REQUESTS / 4,
            "seed {seed}: {answered} answered"
        );
        let metrics = server.wait_for_metrics("no connection", |metrics| {
            metrics.get("bothways_connections_open") == 0
        });
        // A response that broke off was counted by its head.
        let good = metrics.requests("2xx");
        assert!(
            (answered..=answered + broken).contains(&good),
            "seed {seed}: {good}"
        );
        assert!(
            metrics.requests("5xx") + metrics.requests("4xx") >= refused,
            "seed {seed}"
        );
    }
}
