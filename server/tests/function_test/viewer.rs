//! Trials of viewer functions.

use serde_json::{Value, json};

use super::Bench;

#[test]
fn a_viewer_request_is_rewritten_and_told_in_the_services_form() {
    let bench = Bench::new(
        "import cf from 'cloudfront';
function handler(event) {
    const { request, context, viewer } = event;
    console.log(`${context.eventType} ${viewer.ip} ${request.rawQueryString()}`);
    cf.logCustomData('moved away');
    request.uri = '/new' + request.uri;
    request.querystring.b = { value: '3' };
    request.headers['x-tenant'] = { value: 'one' };
    delete request.headers['x-old'];
    request.cookies.theme = { value: 'light' };
    return request;
}
",
    );
    let query =
        r#""querystring":{"z":{"value":"1","multiValue":[{"value":"1"},{"value":"2"}]},"a":{"value":""}}"#;
    bench.event_text(&viewer_request().to_string().replace(r#""querystring":{}"#, query));
    let output = bench.run(&["--event", "event.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        sent(&told),
        json!({ "request": {
            "method": "GET",
            "uri": "/new/index.html",
            "querystring": {
                "z": { "value": "1", "multiValue": [{ "value": "1" }, { "value": "2" }] },
                "a": { "value": "" },
                "b": { "value": "3" },
            },
            "headers": {
                "host": { "value": "www.example.com" },
                "accept": { "value": "text/html", "multiValue": [{ "value": "text/html" }, { "value": "*/*" }] },
                "x-tenant": { "value": "one" },
            },
            "cookies": { "session": { "value": "abc" }, "theme": { "value": "light" } },
        } })
    );
    assert_eq!(
        told["FunctionExecutionLogs"],
        json!(["viewer-request 198.51.100.11 z=1&z=2&a="])
    );
    assert_eq!(told["FunctionErrorMessage"], "");
    assert_eq!(told["viewer-request-log-data"], "moved%20away");
    let utilization: u32 = told["ComputeUtilization"].as_str().unwrap().parse().unwrap();
    assert!(utilization <= 100);

    let people = bench.run(&["--event", "event.json"]);
    let text = String::from_utf8(people.stdout).unwrap();
    for part in [
        "decision     continue\n",
        "custom data  moved%20away\n",
        "% of 5 ms (",
        "\"uri\": \"/new/index.html\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let place = |part: &str| text.find(part).unwrap();
    assert!(
        place("\"z\"") < place("\"a\"") && place("\"a\"") < place("\"b\""),
        "arguments keep their order: {text}"
    );
}

#[test]
fn a_viewer_request_that_nothing_is_done_to_is_told_so() {
    let bench = Bench::new("async function handler(event) { return event.request; }");
    bench.event(viewer_request());
    let output = bench.run(&["--event", "event.json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.starts_with("decision     continue (nothing is changed)\n"),
        "{text}"
    );
}

#[test]
fn a_response_that_a_function_makes_is_told_whole() {
    let bench = Bench::new(
        "function handler() {
    return {
        statusCode: 302, statusDescription: 'Elsewhere',
        headers: { location: { value: 'https://example.com/' } },
        cookies: { seen: { value: '1', attributes: 'Secure; Path=/' } },
        body: 'moved',
    };
}
",
    );
    bench.event(viewer_request());
    let output = bench.run(&["--event", "event.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        sent(&serde_json::from_slice(&output.stdout).unwrap()),
        json!({ "response": {
            "statusCode": 302,
            "statusDescription": "Elsewhere",
            "headers": { "location": { "value": "https://example.com/" }, "content-length": { "value": "5" } },
            "cookies": { "seen": { "value": "1", "attributes": "Secure; Path=/" } },
            "body": { "encoding": "text", "data": "moved" },
        } })
    );
    let people = String::from_utf8(bench.run(&["--event", "event.json"]).stdout).unwrap();
    assert!(people.starts_with("decision     respond 302\n"), "{people}");
}

#[test]
fn a_viewer_response_is_changed_headers_cookies_and_all() {
    let bench = Bench::new(
        "import cf from 'cloudfront';
function handler({ request, response, context }) {
    cf.logCustomData(context.eventType);
    response.statusCode = 203;
    response.headers['x-path'] = { value: request.uri };
    response.cookies.b = { value: 'new', attributes: response.cookies.a.attributes };
    return response;
}
",
    );
    bench.event(viewer_response());
    let output = bench.run(&["--event", "event.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        sent(&told),
        json!({ "response": {
            "statusCode": 203,
            "statusDescription": "Non Authoritative Information",
            "headers": { "content-type": { "value": "text/html" }, "x-path": { "value": "/index.html" } },
            "cookies": {
                "a": { "value": "1", "attributes": "Path=/; HttpOnly" },
                "b": { "value": "new", "attributes": "Path=/; HttpOnly" },
            },
        } })
    );
    assert_eq!(told["viewer-response-log-data"], "viewer-response");
}

#[test]
fn the_event_type_decides_where_there_is_a_response_too() {
    let bench = Bench::new("function handler(event) { console.log(event.response); return event.request; }");
    let mut event = viewer_response();
    event["context"] = json!({ "eventType": "viewer-request" });
    bench.event(event);
    let text = String::from_utf8(bench.run(&["--event", "event.json"]).stdout).unwrap();
    assert!(text.contains("console      undefined\n"), "{text}");
}

#[test]
fn certificate_headers_are_shown_renamed_and_withheld_as_online() {
    let bench = Bench::new(
        "import cf from 'cloudfront';
function handler({ request }) {
    console.log(request.headers['cloudfront-viewer-cert-subject'].value);
    cf.mtls.renameClientCertHeaders({ 'CloudFront-Viewer-Cert-Subject': 'X-Subject' });
    cf.mtls.renamePemHeaders({ 'CloudFront-Viewer-Cert-Pem': { newHeaderName: 'X-Pem', pemCertFormatInfo: { certFooter: '' } } });
    delete request.headers['cloudfront-viewer-cert-present'];
    return request;
}
",
    );
    let mut event = viewer_request();
    event["request"]["headers"] = json!({
        "cloudfront-viewer-cert-subject": { "value": "CN=alice" },
        "cloudfront-viewer-cert-present": { "value": "1" },
        "cloudfront-viewer-cert-issuer": { "value": "CN=ca" },
        "x-subject": { "value": "CN=forged" },
    });
    bench.event(event);
    let output = bench.run(&["--event", "event.json", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["FunctionExecutionLogs"], json!(["CN=alice"]));
    assert_eq!(
        sent(&told)["request"]["headers"],
        json!({ "cloudfront-viewer-cert-issuer": { "value": "CN=ca" }, "x-subject": { "value": "CN=alice" } })
    );
    assert_eq!(
        told["RenamedCertificateHeaders"],
        json!([
            { "sources": ["CloudFront-Viewer-Cert-Subject"], "newHeaderName": "x-subject" },
            {
                "sources": ["CloudFront-Viewer-Cert-Pem"],
                "newHeaderName": "x-pem",
                "pemCertFormatInfo": { "certFooter": "" },
            },
        ])
    );
    let people = String::from_utf8(bench.run(&["--event", "event.json"]).stdout).unwrap();
    for line in [
        "certificate  CloudFront-Viewer-Cert-Subject as x-subject\n",
        "certificate  CloudFront-Viewer-Cert-Pem as x-pem, {\"certFooter\":\"\"}\n",
        "certificate  CloudFront-Viewer-Cert-Present is withheld\n",
    ] {
        assert!(people.contains(line), "{line}{people}");
    }
}

#[test]
fn a_header_that_may_not_be_set_fails_with_a_sentence() {
    let bench = Bench::new(
        "function handler({ request }) { request.headers.connection = { value: 'close' }; return request; }",
    );
    bench.event(viewer_request());
    let output = bench.run(&["--event", "event.json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "decision     502 (what it returned cannot be sent)\n",
        "error        function: request.headers[\"connection\"] may not be set by a function\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(!text.contains("output "), "{text}");
    let json = bench.run(&["--event", "event.json", "--json"]);
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told["FunctionOutput"], "");
}

#[test]
fn what_a_viewer_function_throws_is_told_with_line_and_column() {
    let bench =
        Bench::new("function handler(event) {\n    console.log('so far');\n    event.nothing.here;\n}\n");
    bench.event(viewer_request());
    let output = bench.run(&["--event", "event.json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("decision     502 (it failed)\n"), "{text}");
    assert!(text.contains("console      so far\n"), "{text}");
    assert!(text.contains("error        function:3:"), "{text}");
}

#[test]
fn a_viewer_function_is_told_the_moment_that_is_asked_for_and_sees_the_store() {
    let bench = Bench::new(
        "import cf from 'cloudfront';
async function handler({ request }) {
    console.log(`${new Date().toISOString()} ${await cf.kvs().exists('00b143')}`);
    return request;
}
",
    );
    bench.event(viewer_request());
    let output = bench.run(&[
        "--event",
        "event.json",
        "--kvs",
        "store.json",
        "--at",
        "2030-01-02T03:04:05Z",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("console      2030-01-02T03:04:05.000Z true\n"),
        "{text}"
    );
}

#[test]
fn a_viewer_event_that_no_request_leads_to_is_a_usage_error_that_names_the_key() {
    let bench = Bench::new("function handler(event) { return event.request; }");
    let refused = |change: &dyn Fn(&mut Value), part: &str| {
        let mut event = viewer_response();
        change(&mut event);
        bench.event(event);
        let output = bench.run(&["--event", "event.json"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{part}: {text}");
        assert!(text.contains(&format!("event.json: {part}")), "{part}: {text}");
    };
    let field = |value: &str| json!({ "value": value });
    let never = "is nothing that a function is ever shown";
    type Case<'a> = (&'a str, Value, String);
    let cases: Vec<Case<'_>> = vec![
        ("/request", json!([]), "request is no object".into()),
        ("/request", json!({ "uri": "/" }), "request has no method".into()),
        (
            "/request/method",
            json!("G T"),
            "request.method is no method".into(),
        ),
        (
            "/request/uri",
            json!("index.html"),
            "request.uri is no path".into(),
        ),
        ("/request/uri", json!("/a?b=1"), "request.uri is no path".into()),
        (
            "/request/headers",
            json!({ "x": "1" }),
            r#"request.headers["x"] is no object"#.into(),
        ),
        (
            "/request/headers",
            json!({ "x": {} }),
            r#"request.headers["x"] has no value"#.into(),
        ),
        (
            "/request/headers",
            json!({ "x": { "value": "1", "multivalue": [] } }),
            r#"request.headers["x"] has "multivalue"; there may be value, multiValue"#.into(),
        ),
        (
            "/request/headers",
            json!({ "x": { "multiValue": [{ "value": "1" }, { "value": 2 }] } }),
            r#"request.headers["x"].multiValue[1].value is no string"#.into(),
        ),
        (
            "/request/headers",
            json!({ "a b": field("1") }),
            r#"request.headers["a b"] is no name of a header"#.into(),
        ),
        (
            "/request/headers",
            json!({ "x": field("1\r\ny: 2") }),
            r#"request.headers["x"] has what no header can have"#.into(),
        ),
        (
            "/request/headers",
            json!({ "cookie": field("a=1") }),
            r#"request.headers["cookie"] belongs under cookies"#.into(),
        ),
        (
            "/request/headers",
            json!({ "X-A": field("1"), "x-a": field("2") }),
            r#"request.headers["x-a"] is there twice"#.into(),
        ),
        (
            "/request/headers",
            json!({ "connection": field("close") }),
            format!(r#"request.headers["connection"] {never}"#),
        ),
        (
            "/request/headers",
            json!({ "client-cert": field(":TEFG:") }),
            format!(r#"request.headers["client-cert"] {never}"#),
        ),
        (
            "/request/querystring",
            json!({ "a": field("1&b=2") }),
            format!(r#"request.querystring["a"] {never}"#),
        ),
        (
            "/request/querystring",
            json!({ "a": field("1 2") }),
            r#"request.querystring["a"] has what no query string can have"#.into(),
        ),
        (
            "/request/cookies",
            json!({ "a": field("1; b=2") }),
            format!(r#"request.cookies["a"] {never}"#),
        ),
        (
            "/response/statusCode",
            json!("200"),
            "response.statusCode is no number".into(),
        ),
        (
            "/response/statusCode",
            json!(200.5),
            "response.statusCode is not an integer".into(),
        ),
        (
            "/response/statusCode",
            json!(404),
            "response.statusCode is an error, and functions are not asked about those".into(),
        ),
        (
            "/response/cookies",
            json!({ "a": { "value": "1", "attributes": 1 } }),
            r#"response.cookies["a"].attributes is no string"#.into(),
        ),
        (
            "/viewer",
            json!({ "ip": "here" }),
            "viewer.ip is no IP address".into(),
        ),
        (
            "/context",
            json!({ "eventType": "origin-request" }),
            "context.eventType is neither".into(),
        ),
        ("/version", json!("2.0"), "version is not \"1.0\"".into()),
    ];
    for (pointer, value, part) in cases {
        let change = |event: &mut Value| *event.pointer_mut(pointer).unwrap() = value.clone();
        refused(&change, &part);
    }
    refused(
        &|event| event["body"] = json!(""),
        "has \"body\"; there may be version, ",
    );
    let response = |event: &mut Value| {
        event["context"] = json!({ "eventType": "viewer-response" });
        event.as_object_mut().unwrap().remove("response");
    };
    refused(&response, "has no response");
    bench.event_text(r#"{"request":{"method":"GET","method":"PUT","uri":"/"}}"#);
    let twice = bench.run(&["--event", "event.json"]);
    let text = String::from_utf8(twice.stderr).unwrap();
    assert!(
        text.contains(r#"event.json: request has "method" twice"#),
        "{text}"
    );
}

/// Content of `FunctionOutput`.
fn sent(told: &Value) -> Value {
    serde_json::from_str(told["FunctionOutput"].as_str().unwrap()).unwrap()
}

fn viewer_request() -> Value {
    json!({
        "version": "1.0",
        "context": { "eventType": "viewer-request" },
        "viewer": { "ip": "198.51.100.11" },
        "request": {
            "method": "GET",
            "uri": "/index.html",
            "querystring": {},
            "headers": {
                "host": { "value": "www.example.com" },
                "accept": { "value": "text/html", "multiValue": [{ "value": "text/html" }, { "value": "*/*" }] },
                "x-old": { "value": "1" },
            },
            "cookies": { "session": { "value": "abc" }, "theme": { "value": "dark" } },
        },
    })
}

/// Without `eventType`: that there is a response says enough.
fn viewer_response() -> Value {
    json!({
        "version": "1.0",
        "context": {},
        "viewer": { "ip": "198.51.100.11" },
        "request": { "method": "GET", "uri": "/index.html", "querystring": {}, "headers": {}, "cookies": {} },
        "response": {
            "statusCode": 200,
            "statusDescription": "OK",
            "headers": { "content-type": { "value": "text/html" } },
            "cookies": { "a": { "value": "1", "attributes": "Path=/; HttpOnly" } },
        },
    })
}
