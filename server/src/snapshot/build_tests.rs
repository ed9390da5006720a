//! Parts that a reload keeps, and parts that it loads anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bothways_test_pki::{Ca, bundle};
use tempfile::TempDir;

use super::*;

const EDGE: &str = r#"
[[listeners]]
address = "127.0.0.1:0"

[[connection_functions]]
name = "gate"
code = "gate.js"

[[functions]]
name = "rewrite"
code = "rewrite.js"

[[trust_stores]]
name = "partners"
ca_bundle = "partners.pem"
revocations = ["partners.txt", "partners.crl"]

[[trust_stores]]
name = "staff"
ca_bundle = "staff.pem"
revocations = ["staff.txt"]

[[distributions]]
id = "E1"
aliases = ["one.example"]
certificate = "one.pem"
private_key = "one.key"
viewer_mtls = { mode = "required", trust_store = "partners", connection_function = "gate" }
[[distributions.origins]]
id = "page"
fixed_response = { body_file = "page.html" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "page"

[[distributions]]
id = "E2"
aliases = ["two.example"]
certificate = "two.pem"
private_key = "two.key"
viewer_mtls = { mode = "optional", trust_store = "staff" }
[[distributions.origins]]
id = "app"
url = "http://127.0.0.1:9"
[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
function_associations = { viewer_request = "rewrite" }
"#;

const GATE: &str = "function connectionHandler(connection) { connection.allow(); }";
const REWRITE: &str = "function handler(event) { return event.request; }";

/// A folder with all files of [`EDGE`], and the snapshot in force.
struct Edge {
    folder: TempDir,
    partners: Ca,
    vault: Arc<SessionVault>,
    directory: Directory,
    table: AddressTable,
    snapshot: Snapshot,
}

impl Edge {
    fn new() -> Self {
        let (folder, partners) = (tempfile::tempdir().unwrap(), Ca::root("Partners"));
        let write = |file: &str, content: &[u8]| fs::write(folder.path().join(file), content).unwrap();
        write("partners.pem", bundle(&[&partners]).as_bytes());
        write("partners.txt", b"05\n");
        write("partners.crl", &partners.crl(&[&[6]]));
        write("staff.pem", bundle(&[&Ca::root("Staff")]).as_bytes());
        write("staff.txt", b"0a\n0b\n");
        for name in ["one", "two"] {
            let [certificate, key] = identity();
            write(&format!("{name}.pem"), certificate.as_bytes());
            write(&format!("{name}.key"), key.as_bytes());
        }
        write("gate.js", GATE.as_bytes());
        write("rewrite.js", REWRITE.as_bytes());
        write("page.html", b"welcome");
        let vault = Arc::new(SessionVault::new(8, Duration::from_secs(60)));
        let (directory, table) = (Directory::default(), AddressTable::default());
        let config = bothways_config::parse(&folder.path().join("edge.toml"), EDGE).unwrap();
        let built = build(&config, 1, &vault, &directory, &table, None).unwrap();
        let snapshot = built.snapshot;
        Self {
            folder,
            partners,
            vault,
            directory,
            table,
            snapshot,
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(file), content).unwrap();
    }

    /// The snapshot that follows, with `text` for its configuration.
    fn rebuilt(&self, text: &str) -> Result<Snapshot, String> {
        let config = bothways_config::parse(&self.path("edge.toml"), text).unwrap();
        let built = build(
            &config,
            2,
            &self.vault,
            &self.directory,
            &self.table,
            Some(&self.snapshot),
        );
        built
            .map(|built| built.snapshot)
            .map_err(|error| error.to_string())
    }

    /// Kinds of the parts that a reload with `text` loads anew, and how many of each.
    fn loaded(&self, text: &str) -> Vec<(&'static str, usize)> {
        let counts = self.rebuilt(text).unwrap().parts.counts(&self.snapshot.parts);
        let loaded = counts.iter().filter(|count| count.loaded > 0);
        loaded.map(|count| (count.kind, count.loaded)).collect()
    }
}

/// A certificate and its key, in PEM.
fn identity() -> [String; 2] {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["one.example".to_owned()]).unwrap();
    [params.self_signed(&key).unwrap().pem(), key.serialize_pem()]
}

fn distribution<'s>(snapshot: &'s Snapshot, host: &str) -> &'s Arc<Distribution> {
    let host = bothways_config::HostName::parse(host).unwrap();
    snapshot.distribution_for(Some(&host)).unwrap()
}

#[test]
fn an_unchanged_reload_keeps_every_part() {
    let edge = Edge::new();
    assert_eq!(edge.loaded(EDGE), []);
    let (before, after) = (&edge.snapshot, edge.rebuilt(EDGE).unwrap());
    for counts in after.parts.counts(&before.parts) {
        assert!(counts.kept > 0, "{counts:?}");
    }
    for (before, after) in before.revocations.iter().zip(&after.revocations) {
        assert!(Arc::ptr_eq(&before.set, &after.set));
    }
    for host in ["one.example", "two.example"] {
        let (before, after) = (distribution(before, host), distribution(&after, host));
        assert!(Arc::ptr_eq(&before.tls, &after.tls));
        assert!(Arc::ptr_eq(&before.site, &after.site));
        assert!(Arc::ptr_eq(&before.counters, &after.counters));
    }
}

#[track_caller]
fn assert_loaded(change: impl FnOnce(&Edge), expected: &[(&'static str, usize)]) {
    let edge = Edge::new();
    change(&edge);
    assert_eq!(edge.loaded(EDGE), expected);
}

#[test]
fn a_changed_file_loads_its_part_and_what_is_made_of_it() {
    const JUDGED: [(&str, usize); 3] = [("revocations", 1), ("client policy", 1), ("TLS configuration", 1)];
    assert_loaded(|edge| edge.write("staff.txt", "0a\n0c\n"), &JUDGED);
    let more = |edge: &Edge| edge.write("partners.crl", edge.partners.crl(&[&[6], &[7]]));
    assert_loaded(more, &JUDGED);
    // Which CRL is believed depends on the bundle, so the lists are read again with it.
    let other = |edge: &Edge| edge.write("partners.pem", bundle(&[&Ca::root("Other"), &edge.partners]));
    assert_loaded(other, &[&[("bundle", 1)], &JUDGED[..]].concat());
    let renewed = |edge: &Edge| {
        let [certificate, key] = identity();
        edge.write("one.pem", certificate);
        edge.write("one.key", key);
    };
    assert_loaded(renewed, &[("identity", 1), ("TLS configuration", 1)]);
    assert_loaded(
        |edge| edge.write("page.html", "goodbye"),
        &[("body", 1), ("site", 1)],
    );
    // Tickets name the version of the connection function.
    let gate = |edge: &Edge| edge.write("gate.js", GATE.replace("allow", "deny"));
    assert_loaded(gate, &[("TLS configuration", 1)]);
    let rewrite = |edge: &Edge| {
        edge.write(
            "rewrite.js",
            REWRITE.replace("event.request", "{ statusCode: 403 }"),
        )
    };
    assert_loaded(rewrite, &[("site", 1)]);
}

#[test]
fn a_changed_key_loads_what_it_shapes() {
    let edge = Edge::new();
    let judged = [("client policy", 1), ("TLS configuration", 1)];
    let with = |old: &str, new: &str| edge.loaded(&EDGE.replace(old, new));
    assert_eq!(
        with("mode = \"required\"", "mode = \"optional\""),
        [&judged[..], &[("site", 1)]].concat()
    );
    let lenient = "[\"staff.txt\"]\nout_of_date_crl = \"accept_and_log\"";
    assert_eq!(with("[\"staff.txt\"]", lenient), judged);
    let bound = "[{ file = \"staff.txt\", may_be_empty = true }]";
    assert_eq!(
        with("[\"staff.txt\"]", bound),
        [&[("revocations", 1)], &judged[..]].concat()
    );
    let limits = "[limits]\nverdicts_per_core = 16\n[[listeners]]";
    assert_eq!(
        with("[[listeners]]", limits),
        [("TLS configuration", 2), ("site", 2)]
    );
    assert_eq!(with("two.example", "deux.example"), [("hosts", 1), ("site", 2)]);
    assert_eq!(with("127.0.0.1:9", "127.0.0.1:7"), [("site", 1)]);
    // Counters bear the name of the trust store, which knows its name itself.
    let renamed = [
        ("bundle", 1),
        ("revocations", 1),
        ("client policy", 1),
        ("TLS configuration", 1),
        ("site", 1),
    ];
    assert_eq!(with("\"staff\"", "\"employees\""), renamed);
}

#[test]
fn a_file_that_is_touched_or_moved_is_no_change() {
    let edge = Edge::new();
    let file = File::options().write(true).open(edge.path("staff.txt")).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))
        .unwrap();
    edge.write("partners.crl", fs::read(edge.path("partners.crl")).unwrap());
    assert_eq!(edge.loaded(EDGE), []);
    fs::rename(edge.path("page.html"), edge.path("home.html")).unwrap();
    let moved = EDGE.replace("page.html", "home.html");
    assert_eq!(edge.loaded(&moved), [("site", 1)], "the body itself is kept");
}

#[test]
fn a_file_of_the_same_size_and_dates_is_seen() {
    let edge = Edge::new();
    let before = fs::metadata(edge.path("partners.txt")).unwrap();
    let modified = before.modified().unwrap();
    // In place, and then by another file of that name.
    for content in ["07\n", "08\n"] {
        if content == "08\n" {
            edge.write("new.txt", content);
            fs::rename(edge.path("new.txt"), edge.path("partners.txt")).unwrap();
        } else {
            edge.write("partners.txt", content);
        }
        let file = File::options()
            .write(true)
            .open(edge.path("partners.txt"))
            .unwrap();
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        let after = fs::metadata(edge.path("partners.txt")).unwrap();
        assert_eq!(
            (after.mtime_nsec(), after.len()),
            (before.mtime_nsec(), before.len())
        );
        let kinds: Vec<_> = edge.loaded(EDGE).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["revocations", "client policy", "TLS configuration"]);
    }
}

#[test]
fn kept_revocations_are_what_a_loss_is_measured_by() {
    let mut edge = Edge::new();
    edge.snapshot = edge.rebuilt(EDGE).unwrap();
    assert_eq!(edge.snapshot.revocations[1].set.len(), 2);
    let emptied = EDGE.replace("[\"staff.txt\"]", "[]");
    let refused = edge.rebuilt(&emptied).unwrap_err();
    assert!(refused.contains("where 2 serial numbers are"), "{refused}");
}

#[test]
fn a_fault_in_a_changed_file_is_told_as_at_a_start() {
    let edge = Edge::new();
    // The first fault in the order of the configuration is the one that is told.
    edge.write("staff.txt", "no serial number\n");
    fs::remove_file(edge.path("two.key")).unwrap();
    let refused = edge.rebuilt(EDGE).unwrap_err();
    assert!(refused.contains("trust_stores[1].revocations[0]"), "{refused}");
    edge.write("staff.txt", "0a\n0b\n");
    let refused = edge.rebuilt(EDGE).unwrap_err();
    assert!(
        refused.contains("distributions[1].private_key: cannot read "),
        "{refused}"
    );
}
