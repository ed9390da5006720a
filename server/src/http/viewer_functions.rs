//! The viewer functions of a behavior: called with a request, or with the response to it, and what their answers do to these.
//!
//! Runs on the core, in the middle of a request: a function is quick or is stopped. Whatever fails is a 502 and a line in the log.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, Uri, request, response};
use hyper::ext::ReasonPhrase;

use super::certificate_headers::{CertificateEdits, shown_to_functions};
use super::response::function_failure;
use super::service::Viewer;
use crate::config::CertificateHeader;
use crate::functions::viewer::{
    EdgeLocation, Invalid, Moment, RequestFacts, RequestVerdict, ResponseEdits, ShownRequest, ShownResponse,
    ViewerContext, ViewerFault, ViewerFaultKind, ViewerOutcome, call_viewer_request, call_viewer_response,
};
use crate::functions::{Function, LiveFunction};
use crate::logs::ConnectionId;
use crate::metrics::ViewerFunctionResult;
use crate::tls::ClientAuth;

/// What functions are told about a connection.
pub struct Stage {
    pub connection_id: ConnectionId,
    /// What the distribution is called.
    pub domain_name: Arc<str>,
    /// The address that the client has connected to.
    pub server_ip: Option<IpAddr>,
    /// Whether the distribution asks for certificates, so that there is something to tell of their absence.
    pub asks_for_certificate: bool,
    /// Made for the first call.
    pub edge_location: OnceCell<Rc<EdgeLocation>>,
}

/// What a viewer-request function has made of a request.
pub enum Asked {
    /// It goes on, changed in place.
    Continue(CertificateEdits),
    /// This is the answer.
    Respond(Response<Bytes>),
}

/// A request as the functions of its behavior see it.
pub struct Hearing {
    /// Unlike that of any other request; begins with the connection's.
    id: String,
    /// As the viewer-request function has left it; for the viewer-response function.
    request: Option<(Method, Uri, HeaderMap)>,
}

/// The function has failed; it is counted and told.
#[derive(Debug)]
pub struct Failed;

impl Hearing {
    pub fn new(viewer: &Viewer) -> Self {
        Self {
            id: format!("{}-{}", viewer.stage.connection_id, viewer.activity.requests()),
            request: None,
        }
    }

    /// Keeps what a viewer-response function will be shown of the request.
    pub fn remember(&mut self, head: &request::Parts) {
        self.request = Some((head.method.clone(), head.uri.clone(), head.headers.clone()));
    }

    /// # Errors
    /// The function has failed.
    pub fn ask(
        &self,
        viewer: &Viewer,
        function: &LiveFunction,
        head: &mut request::Parts,
    ) -> Result<Asked, Failed> {
        let function = function.current();
        let certificate = viewer.certificate();
        let mut outcome = {
            let shown = ShownRequest::new(RequestFacts {
                method: &head.method,
                uri: &head.uri,
                headers: &head.headers,
                certificate: &certificate,
            });
            call_viewer_request(&function, self.context(viewer, head.headers.get("host")), &shown)
        };
        let verdict = std::mem::replace(&mut outcome.result, Err(ViewerFault::default()));
        let asked = verdict.and_then(|verdict| match verdict {
            RequestVerdict::Continue(edits, renames) => {
                let withheld = edits.apply(&mut head.uri, &mut head.headers);
                let withheld = withheld.map_err(|invalid| ViewerFault::of(&function, &invalid))?;
                Ok(Asked::Continue(CertificateEdits { withheld, renames }))
            }
            RequestVerdict::Respond(edits) => Ok(Asked::Respond(generated(edits))),
        });
        self.report(viewer, Moment::ViewerRequest, &function, &outcome, asked)
    }

    /// Shows the response to its function; what it wants made of it.
    ///
    /// # Errors
    /// The function has failed.
    pub fn review(
        &self,
        viewer: &Viewer,
        function: &LiveFunction,
        head: &response::Parts,
    ) -> Result<ResponseEdits, Failed> {
        let function = function.current();
        let certificate = viewer.certificate();
        let no_headers = HeaderMap::new();
        let root = Uri::from_static("/");
        let (method, uri, headers) = match &self.request {
            Some((method, uri, headers)) => (method, uri, headers),
            None => (&Method::GET, &root, &no_headers),
        };
        let request = ShownRequest::new(RequestFacts {
            method,
            uri,
            headers,
            certificate: &certificate,
        });
        let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
        let response = ShownResponse::new(head.status, reason, &head.headers);
        let context = self.context(viewer, headers.get("host"));
        let mut outcome = call_viewer_response(&function, context, &request, &response);
        let edits = std::mem::replace(&mut outcome.result, Err(ViewerFault::default()));
        self.report(viewer, Moment::ViewerResponse, &function, &outcome, edits)
    }
}
