//! HTTP/2 clients that misbehave by a seed, all at once, with origins that do: windows that stay closed or
//! open octet by octet, bodies that stop or trickle, resets, PINGs and WINDOW_UPDATEs all the while. Each
//! stream ends within its limits, each client gets the answer to its own request, and a client that behaves
//! gets all of its answers meanwhile.
//!
//! No test looks at a clock: time is told by the server, which closes an idle connection after
//! `idle_timeout_ms`. So many of them that were closed one after the other are a bound that a busy machine
//! moves as well.
//!
//! `BOTHWAYS_SIMULATION_SEEDS` says how many seeds are tried (default 2), `BOTHWAYS_SIMULATION_FROM` the
//! first one.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use bothways_tests::http2_streams::{Answer, CANCEL, End, Http2};
use bothways_tests::metrics::Metrics;
use bothways_tests::scripted::{Scripted, Visit, response, target};
use bothways_tests::tls_client::Ending;
use bothways_tests::{Client, Config, Distribution, Pki, Server, TrustStore};

use crate::simulation::{from_environment, number};

const EVIL: [&str; 3] = ["evil-0", "evil-1", "evil-2"];
const ROUNDS: u64 = 2;
const STREAMS: u64 = 12;
const FRAME_BYTES: usize = 16_384;
/// A stream that nobody moves is over after one idle time and a look or two of the server's; the rest is for
/// machines that are busy.
const IDLE_TIMES_MAX: u32 = 12;

/// Some are longer than a frame, than a window, and than what the server holds of a stream.
fn answer_to(path: &str) -> String {
    let length = [0, 30, 20_000, 200_000][path.len() % 4];
    let line = format!("the answer to {path};");
    line.repeat(length / line.len() + 1)
}

/// Serves one connection as an origin that misbehaves where it is asked to.
fn misbehave(visit: &mut Visit) -> io::Result<()> {
    while let Some(head) = visit.head()? {
        let path = target(&head);
        let body = answer_to(path);
        let whole = response(200, &body);
        match path.rsplit('=').next().and_then(|manner| manner.parse().ok()) {
            // Early, and the body is never read.
            Some(0) => visit.say(&whole)?,
            Some(1) => {
                visit.say(&whole[..whole.len() - 1])?;
                return visit.reset();
            }
            Some(2) => return Ok(()),
            // Silence.
            Some(3) => visit.drain().map(|_| ())?,
            Some(4) => {
                visit.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for piece in body.as_bytes().chunks(3_000) {
                    let piece = String::from_utf8_lossy(piece);
                    visit.say(&format!("{:x}\r\n{piece}\r\n", piece.len()))?;
                }
                visit.say("0\r\n\r\n")?;
            }
            Some(_) | None => {
                visit.body(&head)?;
                visit.say(&whole)?;
            }
        }
    }
    Ok(())
}

/// A stream of a client that misbehaves.
struct Stream {
    number: u32,
    path: String,
    /// An octet of the window, or of the body, now and then.
    dribbles: bool,
    uploads: bool,
}

/// Results of one client's streams.
#[derive(Default)]
struct Tally {
    asked: u64,
    cancelled: u64,
    whole: u64,
    refused: u64,
    shares: u64,
    stalled_responses: u64,
    stalled_requests: u64,
    broken: u64,
    /// With their connection, their answer having been given to HTTP/2 whole.
    left: u64,
    refused_in_part: u64,
    headless: u64,
    stalled_errors: u64,
}

impl Tally {
    fn note(&mut self, stream: &Stream, answer: &Answer) {
        let wanted = answer_to(&stream.path);
        if answer.status == 200 {
            assert!(
                wanted.as_bytes().starts_with(&answer.body),
                "somebody else's answer"
            );
        }
        match (answer.status, answer.end) {
            (200, End::Whole) => {
                assert_eq!(answer.body.len(), wanted.len(), "{}", stream.path);
                self.whole += 1;
            }
            (status, End::Whole) => {
                assert!(
                    [408, 502, 503, 504].contains(&status),
                    "{}: {status}",
                    stream.path
                );
                self.refused += 1;
                self.shares += u64::from(status == 503);
                self.stalled_requests += u64::from(status == 408);
            }
            (200, End::Reset(CANCEL)) => self.stalled_responses += 1,
            (200, End::Reset(_)) => self.broken += 1,
            (0, _) => self.headless += 1,
            // The connection was idle: all that is left of the answer is with HTTP/2 (a frame at most), which
            // waits for the window.
            (200, End::Closed) => {
                assert!(wanted.len() - answer.body.len() <= FRAME_BYTES, "{}", stream.path);
                self.left += 1;
            }
            // An error whose few words did not fit into the window either.
            (status, End::Reset(_) | End::Closed) => {
                assert!(
                    [408, 502, 503, 504].contains(&status),
                    "{}: {status}",
                    stream.path
                );
                self.refused_in_part += 1;
                self.shares += u64::from(status == 503);
                self.stalled_errors += u64::from(answer.end == End::Reset(CANCEL));
            }
        }
    }

    fn add(mut self, other: &Self) -> Self {
        let pairs = [
            (&mut self.asked, other.asked),
            (&mut self.cancelled, other.cancelled),
            (&mut self.whole, other.whole),
            (&mut self.refused, other.refused),
            (&mut self.shares, other.shares),
            (&mut self.stalled_responses, other.stalled_responses),
            (&mut self.stalled_requests, other.stalled_requests),
            (&mut self.broken, other.broken),
            (&mut self.left, other.left),
            (&mut self.refused_in_part, other.refused_in_part),
            (&mut self.headless, other.headless),
            (&mut self.stalled_errors, other.stalled_errors),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
        self
    }
}

/// A client that misbehaves, on one connection after the other.
struct Evil {
    address: SocketAddr,
    client: Client,
    seed: u64,
    drawn: u64,
    tally: Tally,
}

impl Evil {
    fn draw(&mut self, below: u64) -> u64 {
        self.drawn += 1;
        number(self.seed, self.drawn) % below
    }

    fn round(&mut self, round: u64) {
        // However many numbers the last one has drawn, while it waited.
        self.drawn = round * 10_000;
        let window = [0, 1, 100, 16_384, 1 << 20][self.draw(5) as usize];
        let mut http2 = Http2::connect(self.client.clone(), self.address, window);
        http2.open_window(0, 1 << 24).unwrap();
        let mut streams: Vec<_> = (0..STREAMS)
            .filter_map(|turn| self.begin(&mut http2, &format!("/{}/{round}/{turn}", self.seed)))
            .collect();
        for _ in 0..IDLE_TIMES_MAX {
            streams.retain(|stream| match http2.ended(stream.number) {
                None => true,
                Some(answer) => {
                    self.tally.note(stream, &answer);
                    false
                }
            });
            if streams.is_empty() {
                return;
            }
            if self.keep_going(&mut http2, &streams).is_err() {
                // Nothing was under way there any more.
                for stream in &streams {
                    self.tally.note(stream, &http2.answer(stream.number));
                }
                return;
            }
        }
        let left: Vec<_> = streams.iter().map(|stream| &stream.path).collect();
        panic!("streams that do not end: {left:?}");
    }

    /// Opens a stream and does something odd to it; none where that was to give it up.
    fn begin(&mut self, http2: &mut Http2, path: &str) -> Option<Stream> {
        let padding = "x".repeat(self.draw(4) as usize);
        let path = format!("{path}{padding}?manner={}", self.draw(9));
        self.tally.asked += 1;
        let uploads = self.draw(3) == 0;
        let method = if uploads { "POST" } else { "GET" };
        let mut stream = Stream {
            number: http2.ask(method, &path, !uploads),
            path,
            dribbles: false,
            uploads,
        };
        match self.draw(6) {
            0 => stream.dribbles = true,
            1 => {
                http2.cancel(stream.number).unwrap();
                self.tally.cancelled += 1;
                return None;
            }
            2 if uploads => {
                http2.send_body(stream.number, b"a whole body", true);
            }
            2 | 3 => http2.open_window(stream.number, 1 << 20).unwrap(),
            // Never moves of itself.
            _ => {}
        }
        if self.draw(2) == 0 {
            http2.round_trip().unwrap();
        }
        Some(stream)
    }

    /// Until the server has closed an idle connection: no stream moves, but for the octets of those that
    /// dribble.
    fn keep_going(&mut self, http2: &mut Http2, streams: &[Stream]) -> io::Result<()> {
        let mut idle = self.client.connect(self.address).unwrap();
        for stream in streams.iter().filter(|stream| stream.dribbles) {
            if stream.uploads {
                http2.send_octet(stream.number)?;
            } else {
                http2.open_window(stream.number, 1)?;
            }
        }
        for _ in 0..self.draw(20) {
            http2.open_window(0, 1)?;
            http2.round_trip()?;
        }
        assert_eq!(idle.wait_for_close(), Ending::Eof);
        http2.round_trip()
    }
}

/// A client that behaves: each of its requests is answered, whole.
fn good(address: SocketAddr, client: &Client, evil_goes_on: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while evil_goes_on.load(Ordering::SeqCst) {
        let mut http2 = Http2::connect(client.clone(), address, 1 << 20);
        http2.open_window(0, 1 << 24).unwrap();
        for turn in 0..5 {
            let path = format!("/good{}", "x".repeat(turn));
            let stream = http2.get(&path);
            let answer = http2.answer(stream);
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{path}");
            assert!(
                answer.body == answer_to(&path).as_bytes(),
                "somebody else's answer"
            );
            tally.asked += 1;
            tally.whole += 1;
        }
    }
    tally
}

fn run(server: &Server, seed: u64) -> (Tally, Tally) {
    let address = server.address();
    let client = |name| Client::with_identity(&Pki::shared().client(name));
    let evil_goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let well_behaved = scope.spawn(|| good(address, &client("good"), &evil_goes_on));
        let evil: Vec<_> = (0u64..)
            .zip(EVIL)
            .map(|(index, name)| {
                let mut evil = Evil {
                    address,
                    client: client(name),
                    seed: number(seed, index) >> 32,
                    drawn: 0,
                    tally: Tally::default(),
                };
                scope.spawn(move || {
                    (0..ROUNDS).for_each(|round| evil.round(round));
                    evil.tally
                })
            })
            .collect();
        let ended: Vec<_> = evil.into_iter().map(|evil| evil.join()).collect();
        evil_goes_on.store(false, Ordering::SeqCst);
        let well_served = well_behaved.join().expect("a client that is served");
        let sum = |sum: Tally, evil: std::thread::Result<Tally>| sum.add(&evil.expect("streams that end"));
        (ended.into_iter().fold(Tally::default(), sum), well_served)
    })
}

/// The server's own account is that of its clients; streams of whose answers these have seen nothing may be
/// in any of its sums.
fn compare(metrics: &Metrics, evil: &Tally, good: &Tally) {
    let may_be = |what: &str, counted: u64, seen: u64| {
        let range = seen..=seen + evil.cancelled + evil.headless;
        assert!(
            range.contains(&counted),
            "{what}: {counted} counted, {range:?} seen"
        );
    };
    let series = |name: &str, label: &str, value: &str| {
        metrics.get(&format!("bothways_{name}_total{{{label}=\"{value}\"}}"))
    };
    let ended = evil.whole
        + evil.refused
        + evil.stalled_responses
        + evil.broken
        + evil.left
        + evil.refused_in_part
        + evil.headless;
    assert_eq!(ended + evil.cancelled, evil.asked);
    may_be(
        "answers",
        metrics.requests("2xx"),
        good.whole + evil.whole + evil.stalled_responses + evil.broken + evil.left,
    );
    may_be(
        "errors",
        metrics.requests("4xx") + metrics.requests("5xx"),
        evil.refused + evil.refused_in_part,
    );
    may_be(
        "shares",
        series("requests_limited", "limit", "origin_requests_per_client"),
        evil.shares,
    );
    assert_eq!(
        series("requests_limited", "limit", "origin_connections_per_core"),
        0
    );
    may_be(
        "stalled responses",
        series("bodies_stalled", "body", "response"),
        evil.stalled_responses + evil.stalled_errors,
    );
}

#[test]
fn whatever_streams_do_they_end_and_nobody_else_waits_for_them() {
    let first = from_environment("BOTHWAYS_SIMULATION_FROM", 1);
    for seed in first..first + from_environment("BOTHWAYS_SIMULATION_SEEDS", 2) {
        println!("seed {seed}");
        let origin = Scripted::start(misbehave);
        let distribution = Distribution::edge("required")
            .proxies_to(&origin.url())
            .origin_setting("origin_read_timeout = 1")
            .origin_setting("connection_attempts = 1");
        let config = Config::new()
            .trust_store(TrustStore::partners())
            .distribution(distribution)
            .driver(if seed.is_multiple_of(2) { "epoll" } else { "auto" })
            .limit("idle_timeout_ms", 700)
            // A body that trickles behind an answer is read on for so long.
            .limit("lingering_time_ms", 1_000)
            // Two for each client, so that there is room for the one that behaves whatever the three others
            // take.
            .limit("origin_connections_per_core", 8);
        let server = Server::start(config);
        let (evil, good) = run(&server, seed);
        assert!(
            good.whole > 0 && evil.shares > 0 && evil.stalled_responses > 0,
            "seed {seed}"
        );
        let metrics = server.wait_for_metrics("no connection", |metrics| {
            metrics.get("bothways_connections_open") == 0
        });
        compare(&metrics, &evil, &good);
    }
}
