//! The command line, as a shell sees it.

use std::path::Path;
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

#[test]
fn no_subcommand_is_a_usage_error() {
    let output = bothways(Path::new("."), &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_admitted_client_is_explained_with_exit_code_0() {
    let bench = Bench::new();
    let output = bench.explain(&["client.pem"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "distribution E1, trust store partners",
        "subject  O=Example, CN=client",
        "ok     candidate issuers: CA O=Example, CN=Root of the trust store",
        "ok     path to the trust store: the client certificate ← CA O=Example, CN=Root of the trust store",
        "ok     revocation: ",
        "admitted: Success",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_refused_client_is_explained_with_reason_status_and_alert() {
    let bench = Bench::new();
    let output = bench.explain(&["client.pem", "--at", "2031-01-01T00:00:00Z", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["admitted"], false);
    assert_eq!(json["connectionStatus"], "Failed:ClientCertExpired");
    assert_eq!(json["alert"]["name"], "certificate_expired");
    assert_eq!(json["alert"]["number"], 45);
    assert_eq!(json["presented"][0]["subject"], "O=Example, CN=client");
    let steps = json["steps"].as_array().expect("steps");
    let last = steps.last().expect("one at least");
    assert_eq!(last["passed"], false);
    assert_eq!(last["detail"], json["reason"]);
}

#[test]
fn the_distribution_that_ignores_expiry_admits_the_same_client() {
    let bench = Bench::new();
    let arguments = ["client.pem", "--at", "2031-01-01T00:00:00Z"];
    assert_eq!(bench.explain_for("E1", &arguments).status.code(), Some(1));
    let output = bench.explain_for("E2", &arguments);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("which ignore_certificate_expiry lets pass"),
        "{text}"
    );
}

#[test]
fn the_connection_function_has_the_last_word_in_an_explanation_too() {
    let bench = Bench::new();
    bench.write("gate.js", GATE);
    let output = bench.explain_for("E4", &["client.pem", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["admitted"], false);
    assert_eq!(json["connectionStatus"], "Failed:ConnectionFunctionDenied");
    assert_eq!(json["alert"]["number"], 49);
    assert_eq!(json["alert"]["name"], "access_denied");
    assert_eq!(json["reason"], "connection function \"gate\" denied the client");
    assert_eq!(
        json["connectionFunction"]["connectionLogCustomData"],
        "four.example.com"
    );
    let last = json["steps"]
        .as_array()
        .expect("steps")
        .last()
        .expect("one")
        .clone();
    assert_eq!(
        (&last["check"], &last["passed"]),
        (&"connection function".into(), &false.into())
    );
}

#[test]
fn the_connection_function_is_told_address_and_name_and_may_admit() {
    let bench = Bench::new();
    bench.write("gate.js", GATE);
    let arguments = [
        "client.pem",
        "--client-ip",
        "192.0.2.7",
        "--sni",
        "other.example.com",
    ];
    let output = bench.explain_for("E4", &arguments);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "ok     connection function: \"gate\" allows the client",
        "custom data other.example.com",
        "console     O=Example, CN=client",
        "admitted: Success",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_client_that_is_refused_before_is_not_shown_to_the_connection_function() {
    let bench = Bench::new();
    bench.write("gate.js", GATE);
    let output = bench.explain_for("E4", &["client.pem", "--at", "2031-01-01T00:00:00Z", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["connectionStatus"], "Failed:ClientCertExpired");
    assert!(json["connectionFunction"].is_null(), "{json}");
}

#[test]
fn in_passthrough_the_connection_function_alone_decides() {
    let bench = Bench::new();
    bench.write("gate.js", GATE);
    let denied = bench.explain_for("E5", &["client.pem"]);
    assert_eq!(denied.status.code(), Some(1), "{}", stdout(&denied));
    let admitted = bench.explain_for("E5", &["client.pem", "--client-ip", "192.0.2.7"]);
    let text = stdout(&admitted);
    assert_eq!(admitted.status.code(), Some(0), "{text}");
    assert!(text.contains("distribution E5, mode passthrough"), "{text}");
}

#[test]
fn what_cannot_be_explained_is_a_usage_error_with_a_remedy() {
    let bench = Bench::new();
    let cases = [
        (
            bench.explain_for("E9", &["client.pem"]),
            "no distribution has the id",
        ),
        (
            bench.explain_for("E3", &["client.pem"]),
            "asks no client for a certificate",
        ),
        (bench.explain(&["missing.pem"]), "missing.pem: cannot be read"),
        (bench.explain(&["edge.toml"]), "holds no CERTIFICATE block"),
        (
            bench.explain(&["client.pem", "--at", "yesterday"]),
            "2026-11-20T00:00:00Z",
        ),
    ];
    for (output, remedy) in cases {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(remedy), "{remedy}\n{error}");
    }
}

/// A folder with a configuration, a CA bundle and a client.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        let mut root = params("Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (root_key, key) = (generate(), generate());
        write("ca.pem", &root.self_signed(&root_key).expect("a root").pem());
        let issuer = Issuer::new(root, root_key);
        let client = params("client").signed_by(&key, &issuer).expect("a client");
        write("client.pem", &format!("subject=client\n{}", client.pem()));
        write("edge.toml", CONFIG);
        write(
            "gate.js",
            "function connectionHandler(connection) { connection.allow(); }",
        );
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).expect("a file");
    }

    fn explain(&self, arguments: &[&str]) -> Output {
        self.explain_for("E1", arguments)
    }

    fn explain_for(&self, distribution: &str, arguments: &[&str]) -> Output {
        let fixed = ["explain", "--config", "edge.toml", "--distribution", distribution];
        bothways(self.0.path(), &[&fixed, arguments].concat())
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let distinguished_name = &mut params.distinguished_name;
    distinguished_name.push(DnType::OrganizationName, "Example");
    distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = match name {
        "client" => date_time_ymd(2030, 1, 1),
        _ => date_time_ymd(2040, 1, 1),
    };
    params
}

fn generate() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn bothways(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bothways"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the binary was built")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const CONFIG: &str = r#"
[[listeners]]
address = "127.0.0.1:0"

[[trust_stores]]
name = "partners"
ca_bundle = "ca.pem"

[[distributions]]
id = "E1"
aliases = ["one.example.com"]
certificate = "server.pem"
private_key = "server.key"
viewer_mtls = { mode = "required", trust_store = "partners" }
origins = [{ id = "app", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "app" }]

[[distributions]]
id = "E2"
aliases = ["two.example.com"]
certificate = "server.pem"
private_key = "server.key"
viewer_mtls = { mode = "required", trust_store = "partners", ignore_certificate_expiry = true }
origins = [{ id = "app", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "app" }]

[[distributions]]
id = "E3"
aliases = ["three.example.com"]
certificate = "server.pem"
private_key = "server.key"
origins = [{ id = "app", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "app" }]

[[connection_functions]]
name = "gate"
code = "gate.js"

[[distributions]]
id = "E4"
aliases = ["*.example.org", "four.example.com"]
certificate = "server.pem"
private_key = "server.key"
viewer_mtls = { mode = "required", trust_store = "partners", connection_function = "gate" }
origins = [{ id = "app", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "app" }]

[[distributions]]
id = "E5"
aliases = ["five.example.com"]
certificate = "server.pem"
private_key = "server.key"
viewer_mtls = { mode = "passthrough", connection_function = "gate" }
origins = [{ id = "app", fixed_response = { body = "ok" } }]
behaviors = [{ path_pattern = "*", origin = "app" }]
"#;

const GATE: &str = "function connectionHandler(connection) {
    console.log(connection.clientCertificate.certificates.leaf.subject);
    connection.logCustomData(connection.tls.sni);
    if (connection.clientIp === '192.0.2.7') { connection.allow(); } else { connection.deny(); }
}";
