//! Changes of a server without cores: their order, their answers, and what is left when one is refused.
#![allow(clippy::unwrap_used)]

use std::fs;

use arc_swap::ArcSwap;
use bothways_config::LogFormat;
use bothways_state::key_values::Store;
use crossbeam_channel::unbounded;
use tempfile::TempDir;

use super::testing::put;
use super::*;
use crate::admission::SessionVault;
use crate::logs::{Lane, Shipper, Sink};
use crate::metrics::Registry;
use crate::snapshot::{self, Publication, Snapshot};

const CONFIG: &str = r#"
[[listeners]]
address = "127.0.0.1:0"

[[key_value_stores]]
name = "first"
import = "first.json"

[[key_value_stores]]
name = "second"
import = "second.json"

[[connection_functions]]
name = "gate"
code = "gate.js"

[[distributions]]
id = "E1"
default = true
certificate = "server.pem"
private_key = "server.key"
[[distributions.origins]]
id = "app"
fixed_response = { body = "ok" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
"#;

struct Fixture {
    folder: TempDir,
    snapshot: Arc<ArcSwap<Snapshot>>,
    registry: Arc<Registry>,
    thread: OperationsThread,
    heard: Receiver<&'static str>,
    _shipper: Shipper,
}

/// Notes what the cores are told.
struct Heard(Sender<&'static str>);

impl Cores for Heard {
    fn snapshot_published(&self) {
        self.0.send("snapshot").unwrap();
    }

    fn function_published(&self) {
        self.0.send("function").unwrap();
    }
}

fn start() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    let identity = rcgen::generate_simple_self_signed(["edge.example.com".to_owned()]).unwrap();
    write("server.pem", &identity.cert.pem());
    write("server.key", &identity.signing_key.serialize_pem());
    write("first.json", r#"{"data":[]}"#);
    write("second.json", r#"{"data":[]}"#);
    write("gate.js", "function connectionHandler(c) { c.allow(); }");
    write("edge.toml", CONFIG);
    let started = snapshot::load_config(&folder.path().join("edge.toml")).unwrap();
    let vault = Arc::new(SessionVault::new(1, started.limits.ticket_lifetime));
    let registry = Arc::new(Registry::new(1));
    let origin_addresses = Arc::default();
    let built = snapshot::build(&started, 1, &vault, &registry.named, &origin_addresses, None).unwrap();
    let snapshot = Arc::new(ArcSwap::from_pointee(built.snapshot));
    let counters = registry.process.clone();
    let sink = Sink::Stdout.open().unwrap();
    let lane = Lane::new(LogFormat::Json, sink, counters.records.lane());
    let (_, shipper) = Shipper::start(vec![lane], 1, counters).unwrap();
    let (cores, heard) = unbounded();
    let running = Running {
        started,
        snapshot: snapshot.clone(),
        origin_addresses,
        vault,
        registry: registry.clone(),
        log: shipper.remote(),
        progress: Progress::default(),
    };
    Fixture {
        folder,
        snapshot,
        registry,
        thread: OperationsThread::start(running, Heard(cores)).unwrap(),
        heard,
        _shipper: shipper,
    }
}

impl Fixture {
    fn operations(&self) -> &Operations {
        self.thread.operations()
    }

    fn store(&self, name: &str) -> Arc<Store> {
        let snapshot = self.snapshot.load();
        let mut stores = snapshot.key_value_stores.iter();
        stores.find(|store| store.name() == name).unwrap().clone()
    }

    fn generation(&self) -> u64 {
        self.snapshot.load().generation
    }

    fn write_file(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Holds the file of the first store, which every reload has to read.
    fn hold_up_reloads(&self) -> bothways_state::key_values::Written {
        let KeyValuesWrite {
            store,
            change,
            if_match,
            now,
        } = put(&self.store("first"), "held");
        store.prepare(change, if_match, now).unwrap()
    }

    /// Writes the second store. What was asked for before has had its turn, or waits for it, afterwards.
    fn write_second(&self, key: &str) {
        let write = put(&self.store("second"), key);
        let written = self.operations().write_key_values(write).unwrap().recv().unwrap();
        assert!(written.unwrap().get(key).is_some());
    }
}

#[test]
fn a_write_goes_on_beside_a_reload_that_hangs_and_a_publication_follows_the_reload() {
    let fixture = start();
    fixture.write_file("gate.js", "function connectionHandler(c) { c.deny(); }");
    let held = fixture.hold_up_reloads();
    let reloaded = fixture.operations().reload().unwrap();
    let published = fixture.operations().publish_function("gate".to_owned()).unwrap();
    fixture.write_second("revoked");
    assert!(reloaded.is_empty() && published.is_empty());
    assert_eq!(fixture.generation(), 1);

    held.publish();
    let report = reloaded.recv().unwrap().unwrap();
    assert_eq!((report.generation, report.distributions), (2, 1));
    // The reload has read the new code already.
    assert_eq!(published.recv(), Ok(Ok(Publication::Unchanged)));
    assert_eq!(fixture.heard.try_iter().collect::<Vec<_>>(), ["snapshot"]);
    assert!(
        fixture.store("first").current().get("held").is_some(),
        "written under the reload"
    );

    fixture.write_file("gate.js", "function connectionHandler(c) { c.allow(); }");
    let published = fixture.operations().publish_function("gate".to_owned()).unwrap();
    assert_eq!(published.recv(), Ok(Ok(Publication::Published)));
    assert_eq!(fixture.heard.try_iter().collect::<Vec<_>>(), ["function"]);
}

#[test]
fn what_is_asked_for_while_a_reload_is_under_way_is_one_more_after_it_and_is_counted() {
    let fixture = start();
    let process = &fixture.registry.process;
    let held = fixture.hold_up_reloads();
    let first = fixture.operations().reload().unwrap();
    for _ in 0..3 {
        fixture.operations().hang_up();
    }
    let last = fixture.operations().reload().unwrap();
    fixture.write_second("k");
    assert_eq!(process.reloads_deferred.get(), 4);
    assert!(process.job_began.get() > 0);
    drop(held);
    // The first store's file was edited behind its back, as far as the reload can tell.
    assert_eq!(first.recv().unwrap().unwrap().generation, 2);
    assert_eq!(last.recv().unwrap().unwrap().generation, 3);
    fixture.write_second("l");
    assert_eq!((process.job_began.get(), fixture.generation()), (0, 3));
    assert_eq!(fixture.heard.try_iter().count(), 2);
}

#[test]
fn a_change_that_is_refused_is_answered_with_the_reason_and_leaves_all_as_it_was() {
    let fixture = start();
    fixture.write_file("first.json", "{");
    let refused = fixture.operations().reload().unwrap().recv().unwrap();
    assert!(refused.unwrap_err().contains("first.json"));
    let unknown = fixture.operations().publish_function("gat".to_owned()).unwrap();
    assert!(unknown.recv().unwrap().is_err());
    let write = put(&fixture.store("first"), "k");
    let refused = fixture
        .operations()
        .write_key_values(write)
        .unwrap()
        .recv()
        .unwrap();
    assert_eq!(refused.unwrap_err().etag, fixture.store("first").current().etag());
    assert_eq!((fixture.generation(), fixture.heard.try_iter().count()), (1, 0));
    let reopened = fixture.operations().reopen_logs().unwrap().recv().unwrap();
    assert!(reopened.is_ok(), "{reopened:?}");
}

#[test]
fn at_the_end_whoever_waits_hears_that_no_answer_comes_and_writes_go_on() {
    let fixture = start();
    let held = fixture.hold_up_reloads();
    let reloaded = fixture.operations().reload().unwrap();
    let published = fixture.operations().publish_function("gate".to_owned()).unwrap();
    fixture.thread.close();
    assert!(published.recv().is_err());
    assert!(fixture.operations().reload().unwrap().recv().is_err());
    held.publish();
    assert!(reloaded.recv().is_err());
    fixture.write_second("k");
    assert_eq!((fixture.generation(), fixture.heard.try_iter().count()), (1, 0));
    let operations = fixture.operations().clone();
    drop(fixture.thread);
    assert!(operations.reopen_logs().unwrap().recv().is_err());
}
