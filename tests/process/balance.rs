//! Connections that stay are spread over the cores, whatever the kernel's hash makes of their addresses, and
//! none is lost on the way.

use bothways_tests::metrics::Metrics;
use bothways_tests::server::Reload;
use bothways_tests::tls_client::{Connection, local_port, open};
use bothways_tests::{Client, Config, Distribution, Pki, Record, Server};

/// Connections to open until chance must have given enough of them to one core.
const ATTEMPTS_MAX: usize = 1_000;

/// A series of one core.
fn of_core(metrics: &Metrics, what: &str, core: usize) -> u64 {
    metrics.get(&format!("bothways_core_connections_{what}{{core=\"{core}\"}}"))
}

fn handed_over(metrics: &Metrics) -> u64 {
    metrics.sum("bothways_core_connections_handed_over_total")
}

/// Connections to a server with two cores.
struct Crowd<'a> {
    server: &'a Server,
    client: Client,
    open: Vec<Connection>,
    /// Ports of all that were ever opened.
    ports: Vec<u16>,
}

impl<'a> Crowd<'a> {
    fn new(server: &'a Server) -> Self {
        Self {
            server,
            client: Client::with_identity(&Pki::shared().client("alice")),
            open: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// A connection that has had one response.
    fn answered(&mut self) -> Connection {
        let mut connection = self.client.connect(self.server.address()).unwrap();
        self.ports.push(connection.port);
        let outcome = connection.exchange(&self.client.request("GET", "/", ""));
        assert!(outcome.is_ok(), "{outcome:?}");
        connection
    }

    /// Keeps what core 0 serves and closes what core 1 does, until `enough`.
    fn skew_until(&mut self, enough: impl Fn(&Metrics) -> bool) {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.server.metrics();
            if enough(&before) {
                return;
            }
            let open_on_1 = of_core(&before, "open", 1);
            let connection = self.answered();
            if of_core(&self.server.metrics(), "open", 1) == open_on_1 {
                self.open.push(connection);
                continue;
            }
            drop(connection);
            self.server
                .wait_for_metrics("the end of a connection", |metrics| {
                    of_core(metrics, "open", 1) == open_on_1
                });
        }
        panic!("the kernel gives core 0 nothing: {:#?}", self.server.metrics());
    }

    fn keep_until(&mut self, count: usize) {
        while self.open.len() < count {
            let connection = self.answered();
            self.open.push(connection);
        }
    }

    /// Ends what is open. Returns the ports of all.
    fn leave(self) -> Vec<u16> {
        self.ports
    }
}

/// Each connection has one record, and it succeeded.
fn assert_recorded(records: &[Record], mut ports: Vec<u16>) {
    let mut recorded: Vec<u16> = records.iter().filter_map(Record::client_port).collect();
    recorded.sort_unstable();
    ports.sort_unstable();
    assert_eq!(recorded, ports);
    for record in records {
        assert_eq!(record.status(), "Success", "{}", record.line);
    }
}

#[test]
fn connections_that_stay_are_spread_over_the_cores_and_each_has_one_record() {
    const STAY: usize = 120;
    for driver in ["auto", "epoll"] {
        let server = Server::start(Config::edge("required").cores(2).driver(driver));
        let mut crowd = Crowd::new(&server);
        crowd.skew_until(|metrics| of_core(metrics, "handed_over_total", 0) > 0);
        crowd.keep_until(STAY);

        let metrics = server.metrics();
        let open = [0, 1].map(|core| of_core(&metrics, "open", core));
        let (least, most) = (open[0].min(open[1]), open[0].max(open[1]));
        assert_eq!(least + most, STAY as u64, "{driver}: {open:?}");
        assert!(most <= least + (least / 4).max(8) + 1, "{driver}: {open:?}");
        assert_eq!(
            metrics.get("bothways_connections_accepted_total"),
            crowd.ports.len() as u64,
            "{driver}: each is accepted once"
        );
        let request = crowd.client.request("GET", "/", "");
        for connection in &mut crowd.open {
            assert!(connection.exchange(&request).is_ok(), "{driver}");
        }
        let ports = crowd.leave();
        assert_recorded(&server.stop(), ports);
    }
}

#[test]
fn connections_stay_where_the_kernel_put_them_if_told_so() {
    const SKEWED: u64 = 15;
    let config = Config::edge("required").cores(2).balance_connections(false);
    let server = Server::start(config.clone());
    let mut crowd = Crowd::new(&server);
    crowd.skew_until(|metrics| of_core(metrics, "open", 0) >= SKEWED);
    let metrics = server.metrics();
    assert_eq!(of_core(&metrics, "open", 1), 0);
    assert_eq!(handed_over(&metrics), 0);

    server.write_config(&config.balance_connections(true));
    let reload = server.reload();
    assert!(
        matches!(&reload, Reload::Refused(why) if why.contains("runtime: this cannot change")),
        "{reload:?}"
    );
    let ports = crowd.leave();
    assert_recorded(&server.stop(), ports);
}

#[test]
fn a_core_alone_hands_nothing_over() {
    let server = Server::start(Config::edge("required"));
    let mut crowd = Crowd::new(&server);
    crowd.keep_until(20);
    assert_eq!(handed_over(&server.metrics()), 0);
    let ports = crowd.leave();
    assert_recorded(&server.stop(), ports);
}

/// Core 1 is held by a function while core 0 hands connections over to it and the order to drain comes: it
/// hears of both at once.
#[test]
fn what_was_handed_over_to_a_core_that_is_told_to_drain_is_served_and_has_its_record() {
    const HELD: &str = "function handler(event) {
        if (event.request.uri === '/hold') { for (;;) { } }
        return event.request;
    }";
    for driver in ["auto", "epoll"] {
        let distribution = Distribution::edge("none")
            .behavior_setting("function_associations = { viewer_request = \"hold\" }");
        let config = Config::new()
            .viewer_function("hold", HELD, None)
            .distribution(distribution);
        let config = config.limit("function_time_ms", 1_000);
        let server = Server::start(
            config
                .limit("handshake_timeout_ms", 30_000)
                .cores(2)
                .driver(driver),
        );
        let mut crowd = Crowd::new(&server);
        crowd.skew_until(|metrics| handed_over(metrics) > 0);
        // Core 1, which has none, gets this one from the kernel or from core 0.
        let mut holds = crowd.answered();
        let before = server.metrics();
        assert_eq!(of_core(&before, "open", 1), 1, "{before:#?}");

        holds.write(crowd.client.request("GET", "/hold", "")).unwrap();
        let mut waiting = Vec::new();
        while handed_over(&server.metrics()) < handed_over(&before) + 3 {
            assert!(waiting.len() < ATTEMPTS_MAX, "{:#?}", server.metrics());
            waiting.push(open(server.address()));
        }
        server.terminate();
        crowd.ports.extend(waiting.iter().map(local_port));
        for tcp in waiting {
            let attempt = crowd.client.get_over(tcp);
            assert!(attempt.outcome.is_ok(), "{driver}: {attempt:?}");
        }
        assert_eq!(holds.read_response().unwrap().status, 502, "{driver}");
        drop(holds);
        let ports = crowd.leave();
        assert_recorded(&server.drained(), ports);
    }
}

#[test]
fn a_drain_in_the_middle_of_handing_over_loses_no_record() {
    const ROUNDS: usize = 5;
    const BURST: usize = 40;
    for round in 0..ROUNDS {
        let server = Server::start(Config::edge("none").cores(2));
        let mut crowd = Crowd::new(&server);
        crowd.skew_until(|metrics| handed_over(metrics) > 0);
        let burst: Vec<_> = (0..BURST).map(|_| open(server.address())).collect();
        server.terminate();
        crowd.ports.extend(burst.iter().map(local_port));
        for tcp in burst {
            let attempt = crowd.client.get_over(tcp);
            assert!(attempt.outcome.is_ok(), "round {round}: {attempt:?}");
        }
        let ports = crowd.leave();
        assert_recorded(&server.drained(), ports);
    }
}
