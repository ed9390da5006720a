//! Refusals in origins and behaviors.

use bothways_trust::CertificateHeader;

use super::*;

#[test]
fn an_origin_is_a_url_or_a_fixed_response() {
    let url = "distributions[0].origins[0].url";
    let origin = "distributions[0].origins[0]";
    let fixed = "distributions[0].origins[0].fixed_response";
    spoiled![
        (
            "http://127.0.0.1:9000",
            "https://127.0.0.1:9000",
            url,
            ["not supported yet", "http://host:port"]
        ),
        ("http://127.0.0.1:9000", "ftp://a", url, ["no http:// URL"]),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", url, ["no http:// URL"]),
        (
            "http://127.0.0.1:9000",
            "http://a/b",
            url,
            ["more than a host and a port"]
        ),
        (
            "http://127.0.0.1:9000",
            "http://a?b",
            url,
            ["more than a host and a port"]
        ),
        ("http://127.0.0.1:9000", "http://u:p@a", url, ["user name"]),
        ("http://127.0.0.1:9000", "http://", url, ["no usable host"]),
        ("http://127.0.0.1:9000", "http://a:99999", url, ["port"]),
        ("http://127.0.0.1:9000", "http://a:0", url, ["port 0"]),
        (
            "url = \"http://127.0.0.1:9000\"",
            "",
            origin,
            ["neither url nor fixed_response"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "url = \"http://a\"\nfixed_response = {}",
            origin,
            ["both url and fixed_response"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { body = \"a\", body_file = \"b\" }",
            fixed,
            ["both body and body_file"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { status = 199 }",
            "distributions[0].origins[0].fixed_response.status",
            ["200 to 599"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { status = 204, body = \"a\" }",
            fixed,
            ["no body"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { headers = { Content-Length = \"1\" } }",
            "distributions[0].origins[0].fixed_response.headers.Content-Length",
            ["by itself"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "fixed_response = { headers = { x = \"a\\r\\nb\" } }",
            "distributions[0].origins[0].fixed_response.headers.x",
            ["cannot stand in a header"]
        ),
        (
            "url = \"http://127.0.0.1:9000\"",
            "connection_attempts = 1\nfixed_response = {}",
            "distributions[0].origins[0].connection_attempts",
            ["remove this key"]
        ),
    ];
}

#[test]
fn an_origin_has_bounds_and_an_id_of_its_own() {
    let url = "url = \"http://127.0.0.1:9000\"";
    for (name, range) in [
        ("connection_attempts", "1 to 3"),
        ("connection_timeout", "1 to 10"),
        ("origin_read_timeout", "1 to 180"),
        ("origin_keepalive_timeout", "1 to 180"),
    ] {
        let message = message(&good_with(url, &format!("{url}\n{name} = 0")));
        assert!(
            message.contains(&format!("distributions[0].origins[0].{name}: 0 is out of range")),
            "{message}"
        );
        assert!(message.contains(range), "{message}");
    }
    let twice = good_with(
        url,
        &format!("{url}\n[[distributions.origins]]\nid = \"app\"\n{url}"),
    );
    assert!(message(&twice).contains("distributions[0].origins[1].id: \"app\" is the id of"));
    let none = good_with(
        "[[distributions.origins]]\nid = \"app\"\nurl = \"http://127.0.0.1:9000\"",
        "",
    );
    assert!(message(&none).contains("distributions[0].origins: there is no origin"));
}

#[test]
fn a_fixed_response_is_taken_as_written() {
    let fixed =
        "fixed_response = { status = 404, body_file = \"gone.html\", headers = { X-Why = \"gone\" } }";
    let config = parse_text(&good_with("url = \"http://127.0.0.1:9000\"", fixed)).unwrap();
    let OriginTarget::Fixed(response) = &config.distributions[0].origins[0].target else {
        panic!("fixed")
    };
    assert_eq!(response.status, 404);
    let FixedBody::File(file) = &response.body else {
        panic!("a file")
    };
    assert_eq!(file.place, Place::File(PathBuf::from("config/gone.html")));
    assert_eq!(
        file.key.to_string(),
        "distributions[0].origins[0].fixed_response.body_file"
    );
    assert_eq!(
        response.headers,
        [("x-why".parse().unwrap(), "gone".parse().unwrap())]
    );
}

#[test]
fn behaviors_end_with_a_star_and_name_what_exists() {
    let pattern = "distributions[0].behaviors[0].path_pattern";
    let policy = "distributions[0].behaviors[0].viewer_protocol_policy";
    spoiled![
        (
            "[[distributions.behaviors]]\npath_pattern = \"*\"\norigin = \"app\"",
            "",
            "distributions[0].behaviors",
            ["there is no behavior"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a\"",
            pattern,
            ["must have path_pattern = \"*\""]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"\"",
            pattern,
            ["1 to 255"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a b\"",
            pattern,
            ["percent-encoded"]
        ),
        (
            "origin = \"app\"",
            "origin = \"ap\"",
            "distributions[0].behaviors[0].origin",
            ["did you mean \"app\"?"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\nviewer_protocol_policy = \"allow-all\"",
            policy,
            ["authenticated"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\nviewer_protocol_policy = \"https\"",
            policy,
            ["https-only"]
        ),
        (
            "origin = \"app\"",
            "origin = \"app\"\n[[distributions.behaviors]]\npath_pattern = \"/a\"\norigin = \"app\"",
            "distributions[0].behaviors[1].path_pattern",
            ["never reached"]
        ),
        (
            "path_pattern = \"*\"",
            "path_pattern = \"/a\"\norigin = \"app\"\n[[distributions.behaviors]]\npath_pattern = \"a\"",
            "distributions[0].behaviors[1].path_pattern",
            ["behaviors[0] has this pattern too"]
        ),
    ];
}

#[test]
fn only_the_certificate_headers_of_the_mode_can_be_asked_for_and_each_once() {
    let with = |headers: &str| {
        let policy = format!("origin = \"app\"\norigin_request_policy = {{ headers = [{headers}] }}");
        good_with("origin = \"app\"", &policy)
    };
    let (seven, rfc_9440) = CertificateHeader::ALL.split_at(7);
    let list = |headers: &[CertificateHeader]| {
        let names = headers
            .iter()
            .map(|header| format!("{:?}", header.as_str().to_lowercase()));
        names.collect::<Vec<_>>().join(",")
    };
    let five_and_two = [&seven[..5], rfc_9440].concat();
    let passthrough = |text: &str| {
        let checked = "mode = \"required\"\ntrust_store = \"partners\"";
        assert!(text.contains(checked));
        text.replace(checked, "mode = \"passthrough\"")
    };
    for (text, headers) in [
        (with(&list(seven)), seven),
        (passthrough(&with(&list(&five_and_two))), &five_and_two[..]),
    ] {
        let config = parse_text(&text).unwrap();
        let behavior = &config.distributions[0].behaviors[0];
        assert_eq!(behavior.origin_request_policy.headers, headers);
    }
    for header in rfc_9440 {
        assert!(message(&with(&list(&[*header]))).contains("in mode \"passthrough\" only"));
    }
    for header in &seven[5..] {
        assert!(message(&passthrough(&with(&list(&[*header])))).contains("not sent in mode \"passthrough\""));
    }

    let key = "distributions[0].behaviors[0].origin_request_policy.headers";
    let wrong = message(&with(
        "\"CloudFront-Viewer-Cert-Pem\", \"CloudFront-Viewer-Cert-Serial\"",
    ));
    assert!(
        wrong.contains(&format!("{key}[1]: ")) && wrong.contains("Cert-Serial-Number\"?"),
        "{wrong}"
    );
    let twice = message(&with(
        "\"CloudFront-Viewer-Cert-Pem\", \"cloudfront-viewer-cert-pem\"",
    ));
    assert!(
        twice.contains(&format!("{key}[1]: ")) && twice.contains("twice"),
        "{twice}"
    );
    let many = message(&with(&"\"a\",".repeat(11)));
    assert!(
        many.contains(&format!("{key}: 11 headers are too many; name 10 at most")),
        "{many}"
    );
}
