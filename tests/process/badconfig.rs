//! Every mistake in the configuration ends `check` and `serve` with code 2 and one message that helps.

use bothways_tests::config::{Config, Distribution, EDGE, TrustStore};
use bothways_tests::pki::{Pki, corrupted};
use bothways_tests::server::{CONFIG_FILE, run_to_end};

fn good() -> Config {
    let crl = Pki::shared().issuing.crl(&[&[1]]);
    let store = TrustStore::partners()
        .revocations("serials.txt", "0a0b\n")
        .revocations("a.crl", crl);
    Config::new()
        .trust_store(store)
        .distribution(Distribution::edge("required"))
}

/// Both commands refuse this text with all of `named` in the message.
fn refuses(config: &Config, text: &str, named: &[&str]) {
    for command in ["check", "serve"] {
        let ended = run_to_end(command, config, text);
        let stderr = &ended.stderr;
        assert_eq!(ended.code, Some(2), "`{command}`: {stderr}");
        let first = stderr.lines().find(|line| line.starts_with("error: "));
        assert!(first.is_some(), "`{command}` says no error: {stderr}");
        for part in named.iter().chain(&[CONFIG_FILE]) {
            assert!(
                stderr.contains(part),
                "`{command}` does not name {part}: {stderr}"
            );
        }
        assert!(
            !stderr.contains("panicked") && !stderr.contains("ready listeners="),
            "`{command}`: {stderr}"
        );
        assert_eq!(ended.stdout, "", "`{command}`");
    }
}

/// The good configuration with one piece of its text replaced.
fn edited(from: &str, to: &str) -> String {
    let text = good().render();
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replacen(from, to, 1)
}

/// A named test per line: what is replaced, by what, and what the message has to name.
macro_rules! edits {
    ($($name:ident: $from:expr, $to:expr => $named:expr;)*) => {
        $(#[test]
        fn $name() {
            refuses(&good(), &edited($from, $to), &$named);
        })*
    };
}

edits! {
    a_key_that_nobody_knows_is_named: "[limits]", "[limits]\nhandshakes_per_cor = 5" => ["handshakes_per_cor"];
    a_table_that_nobody_knows_is_named: "[limits]", "[limit]" => ["limit"];
    text_that_is_no_toml_is_refused: "[limits]", "[limits" => [];
    no_cores_are_too_few: "cores = 1", "cores = 0" => ["cores"];
    a_core_that_the_machine_lacks_is_refused: "cores = 1", "cores = [1000000]" => ["cores", "1000000"];
    a_driver_that_nobody_knows_is_refused: "cores = 1", "cores = 1\ndriver = \"kqueue\"" => ["driver"];
    a_limit_of_nothing_is_refused: "[limits]", "[limits]\nheader_bytes_max = 0" => ["header_bytes_max"];
    an_address_that_is_none_is_refused: "[[listeners]]\naddress = \"127.0.0.1:0\"", "[[listeners]]\naddress = \"localhst\"" => ["listeners[0].address"];
    a_protocol_that_nobody_knows_is_refused: "protocol = \"https\"", "protocol = \"quic\"" => ["protocol"];
    a_missing_certificate_is_named: "certificate = \"E2DX1SLDPK0123.pem\"", "certificate = \"absent.pem\"" => ["distributions[0].certificate", "absent.pem"];
    a_missing_key_is_named: "private_key = \"E2DX1SLDPK0123.key\"", "private_key = \"absent.key\"" => ["distributions[0].private_key", "absent.key"];
    a_missing_bundle_is_named: "ca_bundle = \"partners.pem\"", "ca_bundle = \"absent.pem\"" => ["trust_stores[0].ca_bundle", "absent.pem"];
    a_missing_revocation_file_is_named: "\"serials.txt\"", "\"absent.txt\"" => ["trust_stores[0].revocations", "absent.txt"];
    a_trust_store_that_nobody_made_is_named_with_a_guess: "trust_store = \"partners\"", "trust_store = \"partnrs\"" => ["distributions[0].viewer_mtls.trust_store", "partnrs", "partners"];
    passthrough_with_a_trust_store_is_refused: "mode = \"required\"", "mode = \"passthrough\"" => ["distributions[0].viewer_mtls.trust_store", "passthrough"];
    a_word_about_revocation_that_means_nothing_is_refused: "mode = \"required\"", "mode = \"required\"\non_revocation = \"clsoe\"" => ["distributions[0].viewer_mtls.on_revocation", "close"];
    passthrough_that_is_to_close_the_revoked_is_refused: "mode = \"required\"\ntrust_store = \"partners\"", "mode = \"passthrough\"\non_revocation = \"close\"" => ["distributions[0].viewer_mtls.on_revocation"];
    a_candidate_that_nobody_made_is_named: "mode = \"required\"", "mode = \"required\"\ncandidate_trust_store = \"partnrs\"" => ["distributions[0].viewer_mtls.candidate_trust_store", "partners"];
    a_candidate_that_decides_already_is_refused: "mode = \"required\"", "mode = \"required\"\ncandidate_trust_store = \"partners\"" => ["distributions[0].viewer_mtls.candidate_trust_store", "partners"];
    a_chain_header_where_nothing_would_fill_it_is_refused: "origin = \"app\"", "origin = \"app\"\norigin_request_policy = { headers = [\"Client-Cert\"] }" => ["origin_request_policy.headers[0]", "passthrough"];
    a_mode_that_nobody_knows_is_refused: "mode = \"required\"", "mode = \"mandatory\"" => ["mode"];
    a_security_policy_that_nobody_knows_is_refused: "default = true", "default = true\nsecurity_policy = \"TLSv1.4_2031\"" => ["security_policy", "TLSv1.4_2031"];
    a_security_policy_that_cannot_be_honoured_is_refused: "default = true", "default = true\nsecurity_policy = \"TLSv1_2016\"" => ["security_policy", "TLSv1_2016"];
    an_empty_client_authentication_table_is_refused: "mode = \"required\"\ntrust_store = \"partners\"", "" => ["viewer_mtls"];
    an_origin_that_nobody_made_is_named: "origin = \"app\"", "origin = \"ap\"" => ["distributions[0].behaviors[0].origin", "ap"];
    an_origin_of_two_kinds_is_refused: "id = \"app\"", "id = \"app\"\nurl = \"http://127.0.0.1:1\"" => ["distributions[0].origins[0]"];
    a_last_behavior_that_misses_paths_is_refused: "path_pattern = \"*\"", "path_pattern = \"/a/*\"" => ["path_pattern"];
    a_header_that_is_none_of_the_nine_is_refused: "origin = \"app\"", "origin = \"app\"\norigin_request_policy = { headers = [\"CloudFront-Viewer-Cert-Name\"] }" => ["origin_request_policy", "CloudFront-Viewer-Cert-Name"];
    http_for_viewers_is_refused: "origin = \"app\"", "origin = \"app\"\nviewer_protocol_policy = \"allow-all\"" => ["viewer_protocol_policy"];
    a_record_format_that_nobody_knows_is_refused: "format = \"json\"", "format = \"xml\"" => ["format"];
}

#[test]
fn the_good_configuration_passes_the_check() {
    let ended = run_to_end("check", &good(), &good().render());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_key_that_does_not_fit_its_certificate_is_refused() {
    let config = good().file(&format!("{EDGE}.key"), Pki::shared().client("other").key_pem());
    refuses(&config, &config.render(), &["distributions[0].private_key"]);
}

#[test]
fn a_certificate_file_without_a_certificate_is_refused() {
    let config = good().file(&format!("{EDGE}.pem"), "no PEM at all\n");
    refuses(
        &config,
        &config.render(),
        &["distributions[0].certificate", "E2DX1SLDPK0123.pem"],
    );
}

fn bundle_refused(bundle: &str, named: &[&str]) {
    let config = good().file("partners.pem", bundle);
    let named = [&["trust_stores[0].ca_bundle", "partners.pem"], named].concat();
    refuses(&config, &config.render(), &named);
}

#[test]
fn an_empty_bundle_is_refused() {
    bundle_refused("", &[]);
}

#[test]
fn a_bundle_of_more_than_25_certificates_is_refused() {
    let bundle: String = (0..26)
        .map(|n| bothways_tests::pki::Authority::root(&format!("CA {n}")).pem())
        .collect();
    bundle_refused(&bundle, &["25"]);
}

#[test]
fn a_bundle_with_a_damaged_certificate_is_refused() {
    let bundle = Pki::shared().bundle().replacen("MII", "AAAA", 1);
    bundle_refused(&bundle, &[]);
}

#[test]
fn a_bundle_that_breaks_off_is_refused() {
    let bundle = Pki::shared().bundle();
    bundle_refused(&bundle[..bundle.len() - 60], &[]);
}

fn crl_refused(crl: Vec<u8>) {
    let config = good().file("a.crl", crl);
    refuses(
        &config,
        &config.render(),
        &["trust_stores[0].revocations", "a.crl"],
    );
}

#[test]
fn a_crl_with_a_broken_signature_is_refused() {
    crl_refused(corrupted(Pki::shared().issuing.crl(&[&[1]])));
}

#[test]
fn a_crl_of_a_stranger_is_refused() {
    crl_refused(Pki::shared().strangers.crl(&[&[1]]));
}

#[test]
fn a_crl_that_breaks_off_is_refused() {
    let mut crl = Pki::shared().issuing.crl(&[&[1]]);
    crl.truncate(crl.len() / 2);
    crl_refused(crl);
}

#[test]
fn a_serial_list_with_a_line_that_is_none_is_refused_with_its_number() {
    let config = good().file("serials.txt", "0a0b\n\nzz:zz\n");
    refuses(&config, &config.render(), &["serials.txt", "3"]);
}

#[test]
fn an_alias_of_two_distributions_is_refused() {
    let other = Distribution::new("E9OTHER", &["EDGE.example.com"], "none");
    let config = good().distribution(other);
    refuses(
        &config,
        &config.render(),
        &["distributions[1].aliases", "edge.example.com"],
    );
}

#[test]
fn two_default_distributions_are_refused() {
    let config =
        good().distribution(Distribution::new("E9OTHER", &["other.example.com"], "none").default(true));
    refuses(&config, &config.render(), &["default"]);
}

#[test]
fn two_distributions_of_one_id_are_refused() {
    let config = good().distribution(Distribution::new(EDGE, &["other.example.com"], "none"));
    refuses(&config, &config.render(), &["id", EDGE]);
}

#[test]
fn two_trust_stores_of_one_name_are_refused() {
    let config = good().trust_store(TrustStore::partners());
    refuses(&config, &config.render(), &["trust_stores[1].name", "partners"]);
}

#[test]
fn a_file_for_the_configuration_that_is_not_there_is_named() {
    let path = "/nonexistent/edge.toml";
    for command in ["check", "serve"] {
        let output = std::process::Command::new(bothways_tests::server::binary())
            .args([command, "--config", path])
            .output();
        let output = output.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(path), "{stderr}");
    }
}

#[test]
fn a_port_that_is_taken_is_a_mistake_with_a_message() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = edited(
        "[[listeners]]\naddress = \"127.0.0.1:0\"",
        &format!("[[listeners]]\naddress = \"{address}\""),
    );
    let ended = run_to_end("serve", &good(), &text);
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&address) && !ended.stderr.contains("panicked"),
        "{}",
        ended.stderr
    );
}
