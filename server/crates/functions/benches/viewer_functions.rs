//! Cost of a viewer function for a request: `cargo bench -p bothways-functions --bench viewer_functions`.
//!
//! A GET of 8 headers, one of them of two cookies, and two query arguments; the conversion there and back is
//! counted, the work of HTTP is not. CPU time of this thread; the median of several rounds, the fastest and
//! slowest beside it.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bothways_functions::viewer::{
    EdgeLocation, RequestFacts, RequestVerdict, ShownRequest, ShownResponse, ViewerContext,
    call_viewer_request, call_viewer_response,
};
use bothways_functions::{Function, FunctionKind, FunctionLimits, FunctionSource};
use bothways_state::key_values::{KeyValues, Store};
use bothways_trust::CertificateHeader;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EMPTY: &str = "function handler() { return { statusCode: 204 }; }";
const UNTOUCHED: &str = "function handler(event) { return event.request; }";
const REWRITE: &str = "function handler(event) {
    var request = event.request;
    if (request.uri.endsWith('/')) { request.uri += 'index.html'; }
    request.headers['x-client'] = { value: request.headers['cloudfront-viewer-cert-subject'].value };
    return request;
}";
const LOOK_UP: &str = "import cf from 'cloudfront';
async function handler(event) {
    const request = event.request;
    try { request.uri = await cf.kvs().get(request.uri); } catch (error) { }
    return request;
}";
const REDIRECT: &str = "function handler(event) {
    return { statusCode: 302, headers: { location: { value: 'https://example.com' + event.request.uri } } };
}";
const SECURE: &str = "function handler(event) {
    event.response.headers['strict-transport-security'] = { value: 'max-age=63072000' };
    return event.response;
}";

const HEADERS: [(&str, &str); 8] = [
    ("host", "edge.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("cookie", "session=0123456789abcdef; theme=dark"),
    ("cache-control", "no-cache"),
    ("referer", "https://edge.example.com/"),
];
const CERTIFICATE: [(CertificateHeader, &str); 5] = [
    (CertificateHeader::SerialNumber, "4a:3f:5c:92:d1:e8:7b:6c"),
    (
        CertificateHeader::Issuer,
        "CN=rootcamtls.com,OU=rootCA,O=mTLS,L=Seattle,ST=Washington,C=US",
    ),
    (
        CertificateHeader::Subject,
        "CN=client_.com,OU=client-3,O=mTLS,ST=Washington,C=US",
    ),
    (CertificateHeader::Present, "1"),
    (
        CertificateHeader::Sha256,
        "01fbf94fef5569753420c349f49adbfd80af5275377816e3ab1fb371b29cb586",
    ),
];

fn main() {
    println!("what  us per call (min..max)");
    report("conversion there and back, no JavaScript", &CERTIFICATE, convert);
    for (what, code) in [
        ("an empty handler", EMPTY),
        ("returns the request", UNTOUCHED),
        ("rewrites path and header", REWRITE),
        ("looks the path up", LOOK_UP),
        ("redirects", REDIRECT),
    ] {
        let function = function(code);
        report(what, &CERTIFICATE, |request, edge| ask(&function, request, edge));
    }
    let untouched = function(UNTOUCHED);
    report(
        "returns the request, no certificate headers",
        &[],
        |request, edge| {
            ask(&untouched, request, edge);
        },
    );
    let secure = function(SECURE);
    report("viewer-response sets a header", &CERTIFICATE, |request, edge| {
        let headers = headers(&[
            ("content-type", "text/html"),
            ("content-length", "3"),
            ("server", "origin"),
        ]);
        let context = context(edge);
        let shown = ShownRequest::new(request);
        let response = ShownResponse::new(StatusCode::OK, None, &headers);
        let mut edits = call_viewer_response(&secure, context, &shown, &response, SystemTime::now())
            .result
            .unwrap();
        edits.apply_headers(&mut HeaderMap::new());
    });
}

fn convert(request: RequestFacts<'_>, _edge: &Rc<EdgeLocation>) {
    let shown = ShownRequest::new(request);
    shown.edits(&shown.untouched()).unwrap();
}

fn ask(function: &Arc<Function>, request: RequestFacts<'_>, edge: &Rc<EdgeLocation>) {
    let outcome = call_viewer_request(
        function,
        context(edge),
        &ShownRequest::new(request),
        SystemTime::now(),
    );
    match outcome.result.unwrap() {
        RequestVerdict::Continue(edits, _) => {
            edits
                .apply(&mut request.uri.clone(), &mut HeaderMap::new())
                .unwrap();
        }
        RequestVerdict::Respond(mut edits) => edits.apply_headers(&mut HeaderMap::new()),
    }
}

fn context(edge: &Rc<EdgeLocation>) -> ViewerContext<'_> {
    ViewerContext {
        distribution_domain_name: "edge.example.com",
        distribution_id: "E1NXS4MQZH501R",
        endpoint: "edge.example.com",
        request_id: "NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg==-1",
        client_ip: "203.0.113.42",
        edge,
    }
}

fn report(
    what: &str,
    certificate: &[(CertificateHeader, &str)],
    mut call: impl FnMut(RequestFacts<'_>, &Rc<EdgeLocation>),
) {
    let (uri, headers) = (Uri::from_static("/docs/?lang=en&page=2"), headers(&HEADERS));
    let edge = Rc::default();
    let mut once = || {
        let facts = RequestFacts {
            method: &Method::GET,
            uri: &uri,
            headers: &headers,
            certificate,
        };
        call(facts, &edge);
    };
    once();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = thread_time();
            (0..CALLS).for_each(|_| once());
            (thread_time() - start).as_secs_f64() * 1e6 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(rounds.len() / 2).unwrap();
    let (min, max) = (rounds.first().unwrap(), rounds.last().unwrap());
    println!("{what}  {median:.2} ({min:.2}..{max:.2})");
}

fn headers(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    headers.iter().map(header).collect()
}

fn function(code: &str) -> Arc<Function> {
    let items = [("/docs/".into(), "/documents/".into())];
    let epoch = std::time::UNIX_EPOCH;
    let source = FunctionSource {
        name: "rewrite",
        kind: FunctionKind::Viewer,
        code: code.as_bytes(),
        key_value_store: Some(Arc::new(Store::new("paths", KeyValues::new(items, epoch, epoch)))),
        limits: FunctionLimits {
            time: Duration::from_millis(5),
            memory_bytes: 2 * 1024 * 1024,
            code_bytes: 10_240,
        },
    };
    Arc::new(Function::compile(source).unwrap())
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

const ROUNDS: usize = 9;
const CALLS: u32 = 20_000;
