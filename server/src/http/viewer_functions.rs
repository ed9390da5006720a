//! Viewer functions of a behavior, called with a request or with the response to it.
//!
//! Owns what a call is given and what its answer changes in the request or the response. Does not own the
//! moment of a call ([`super::stages`]), the engine, nor the rules for what a function may return
//! (`functions`). Runs on the core in the middle of a request: a function is quick, or it is stopped. A
//! failure is a 502 and a line in the log.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bothways_functions::viewer::{
    EdgeLocation, RequestFacts, RequestVerdict, ResponseEdits, ShownRequest, ShownResponse, ViewerContext,
    ViewerFault, ViewerFaultKind, ViewerOutcome, ViewerRemarks, call_viewer_request, call_viewer_response,
};
use bothways_functions::{Function, LiveFunction};
use bothways_trust::CertificateHeader;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, request, response};
use hyper::ext::ReasonPhrase;

use super::certificate_headers::{CertificateEdits, shown_to_functions};
use super::viewer::{CoreResources, Viewer, ViewerFacts};
use super::watched::{CallOutcome, watched};
use crate::admission::ClientAuth;
use crate::metrics::{CoreCounters, ViewerFunctionResult};

/// Result of calling a viewer-request function.
#[derive(Debug)]
pub enum Asked {
    /// It goes on, changed in place.
    Continue(CertificateEdits),
    /// This is the answer.
    Respond(Response<Bytes>),
}

/// The function has failed; it is counted and told.
#[derive(Debug)]
pub(super) struct Failed;

/// Calls of the viewer functions of a behavior about one request and its response.
pub(super) struct FunctionCalls {
    id: String,
    /// Request as the viewer-request function has left it, for the viewer-response function to be shown.
    request: Option<RequestImage>,
    /// Changes to the certificate headers that the viewer-request function has asked for.
    pub(super) certificates: CertificateEdits,
}

struct RequestImage {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl FunctionCalls {
    pub(super) fn new(viewer: &Viewer) -> Self {
        Self {
            id: request_id(viewer),
            request: None,
            certificates: CertificateEdits::default(),
        }
    }

    /// Keeps what a viewer-response function is to be shown of the request.
    pub(super) fn remember(&mut self, request: &Request<()>) {
        self.request = Some(RequestImage {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        });
    }

    /// Calls the viewer-request function with a request that is clean already
    /// ([`super::request_head::clean`]).
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn call_request(
        &self,
        viewer: &Viewer,
        function: &LiveFunction,
        head: &mut request::Parts,
    ) -> Result<Asked, Failed> {
        let (function, certificate) = (function.current(), certificate(viewer));
        let outcome = watched(&viewer.core, &self.id, &function, |function| {
            let context = self.context(viewer);
            ask_viewer_request(function, context, &certificate, head, SystemTime::now())
        });
        outcome.result.map_err(|_told| Failed)
    }

    /// Calls the viewer-response function with a response.
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn call_response(
        &self,
        viewer: &Viewer,
        function: &LiveFunction,
        head: &response::Parts,
    ) -> Result<ResponseEdits, Failed> {
        let (function, certificate) = (function.current(), certificate(viewer));
        // `remember` was called for every behavior with such a function.
        let image = self.request.as_ref().ok_or(Failed)?;
        let request = RequestFacts {
            method: &image.method,
            uri: &image.uri,
            headers: &image.headers,
            certificate: &certificate,
        };
        let outcome = watched(&viewer.core, &self.id, &function, |function| {
            let context = self.context(viewer);
            ask_viewer_response(function, context, request, head, SystemTime::now())
        });
        outcome.result.map_err(|_told| Failed)
    }

    fn context<'a>(&'a self, viewer: &'a Viewer) -> ViewerContext<'a> {
        let ViewerFacts {
            domain_name,
            server_ip,
            edge_location,
            ..
        } = &viewer.facts;
        ViewerContext {
            distribution_domain_name: domain_name,
            distribution_id: &viewer.site.distribution_id,
            endpoint: domain_name,
            request_id: &self.id,
            client_ip: viewer.client_ip.to_str().unwrap_or_default(),
            edge: edge_location.get_or_init(|| {
                Rc::new(EdgeLocation {
                    name: viewer.core.host_name.clone(),
                    server_ip: server_ip
                        .map(|ip| ip.to_canonical().to_string())
                        .unwrap_or_default(),
                    region: REGION.to_owned(),
                })
            }),
        }
    }
}

impl CallOutcome for ViewerOutcome<Asked> {
    fn count(&self, counters: &CoreCounters) {
        let result = match &self.result {
            Ok(Asked::Continue(_)) => ViewerFunctionResult::Continue,
            Ok(Asked::Respond(_)) => ViewerFunctionResult::Respond,
            Err(fault) => result_of(fault),
        };
        counters.viewer_request_functions.of(result).add(1);
        counters.viewer_function_duration.record(self.remarks.elapsed);
    }

    fn tell(&self, core: &CoreResources, id: &str, function: &str) {
        tell(core, id, function, &self.remarks, self.result.as_ref().err());
    }
}

impl CallOutcome for ViewerOutcome<ResponseEdits> {
    fn count(&self, counters: &CoreCounters) {
        let result = match &self.result {
            Ok(_) => ViewerFunctionResult::Continue,
            Err(fault) => result_of(fault),
        };
        counters.viewer_response_functions.of(result).add(1);
        counters.viewer_function_duration.record(self.remarks.elapsed);
    }

    fn tell(&self, core: &CoreResources, id: &str, function: &str) {
        tell(core, id, function, &self.remarks, self.result.as_ref().err());
    }
}

fn tell(
    core: &CoreResources,
    request_id: &str,
    function: &str,
    remarks: &ViewerRemarks,
    fault: Option<&ViewerFault>,
) {
    if remarks.console.is_empty() && remarks.custom_data.is_none() && fault.is_none() {
        return;
    }
    let (mut console, now) = (core.console.borrow_mut(), Instant::now());
    for line in &remarks.console {
        console.request_line(request_id, function, line, now);
    }
    if let Some(data) = &remarks.custom_data {
        console.request_data(request_id, function, data, now);
    }
    if let Some(fault) = fault {
        console.request_failed(request_id, function, &fault.sentence, now);
    }
}

/// Unlike that of any other request; begins with the connection's.
fn request_id(viewer: &Viewer) -> String {
    format!("{}-{}", viewer.facts.id(), viewer.activity.requests())
}

/// Asks a viewer-request function about a clean request, and changes that as the function wants. Where it
/// fails, the head is not to be sent. Depends on no connection: trial calls come here too.
pub fn ask_viewer_request(
    function: &Arc<Function>,
    context: ViewerContext<'_>,
    certificate: &[(CertificateHeader, &str)],
    head: &mut request::Parts,
    now: SystemTime,
) -> ViewerOutcome<Asked> {
    let ViewerOutcome { result, remarks } = {
        let shown = ShownRequest::new(RequestFacts {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            certificate,
        });
        call_viewer_request(function, context, &shown, now)
    };
    let result = result.and_then(|verdict| match verdict {
        RequestVerdict::Continue(edits, renames) => match edits.apply(&mut head.uri, &mut head.headers) {
            Ok(withheld) => Ok(Asked::Continue(CertificateEdits { withheld, renames })),
            Err(invalid) => Err(ViewerFault::invalid(function, &invalid)),
        },
        RequestVerdict::Respond(edits) => Ok(Asked::Respond(generated(edits))),
    });
    ViewerOutcome { result, remarks }
}

/// Asks a viewer-response function about the response to `request`. [`apply`] does what it wants.
pub fn ask_viewer_response(
    function: &Arc<Function>,
    context: ViewerContext<'_>,
    request: RequestFacts<'_>,
    head: &response::Parts,
    now: SystemTime,
) -> ViewerOutcome<ResponseEdits> {
    let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let response = ShownResponse::new(head.status, reason, &head.headers);
    call_viewer_response(function, context, &ShownRequest::new(request), &response, now)
}

/// Changes a response, whose body is yet to come, as its function wants. `Some`: this is the body instead.
pub fn apply(head: &mut response::Parts, mut edits: ResponseEdits) -> Option<Bytes> {
    let (before, after) = (has_no_body(head.status), has_no_body(edits.status));
    describe(head, &edits);
    edits.apply_headers(&mut head.headers);
    let body = match edits.body {
        Some(body) => Some(body),
        // The status changed between one with a body and one without: an empty body, so that no
        // Content-Length of another body is left.
        None if before != after => Some(Bytes::new()),
        None => None,
    };
    let body = body.map(|body| if after { Bytes::new() } else { body });
    match &body {
        Some(_) if after => drop(head.headers.remove(CONTENT_LENGTH)),
        Some(body) => drop(head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()))),
        None => {}
    }
    body
}

fn generated(edits: ResponseEdits) -> Response<Bytes> {
    let (mut head, ()) = Response::new(()).into_parts();
    let body = apply(&mut head, edits).unwrap_or_default();
    Response::from_parts(head, body)
}

fn describe(head: &mut response::Parts, edits: &ResponseEdits) {
    head.status = edits.status;
    head.extensions.remove::<ReasonPhrase>();
    // Checked already; HTTP/2 has none.
    let reason = edits.description.as_deref().map(ReasonPhrase::try_from);
    if let Some(Ok(reason)) = reason {
        head.extensions.insert(reason);
    }
}

/// RFC 9110 §15.3.5, §15.3.6, §15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ]
    .contains(&status)
}

fn certificate(viewer: &Viewer) -> Vec<(CertificateHeader, &str)> {
    match (&viewer.client, viewer.facts.asks_for_certificate) {
        (ClientAuth::NotPresented, false) => Vec::new(),
        (client, _) => shown_to_functions(client),
    }
}

fn result_of(fault: &ViewerFault) -> ViewerFunctionResult {
    match fault.kind {
        ViewerFaultKind::Error => ViewerFunctionResult::Error,
        ViewerFaultKind::Limit => ViewerFunctionResult::Limit,
        ViewerFaultKind::Invalid => ViewerFunctionResult::Invalid,
    }
}

/// There is one.
const REGION: &str = "local";
