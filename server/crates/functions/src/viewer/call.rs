//! Calls viewer functions: builds the event, reads what came back, and says in words what went wrong.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rquickjs::Value;

use super::event::{self, Built, ViewerContext};
use super::invalid::Invalid;
use super::reader::{Answer, Reader, Unread};
use super::request::{RequestEdits, ShownRequest};
use super::response::{ResponseEdits, ReturnedResponse, ShownResponse};
use crate::call::Call;
use crate::certificate_renames::CertificateRenames;
use crate::engine::{Called, Event, Makers};
use crate::fault::FaultKind;
use crate::function::Function;

/// The result of a call.
#[derive(Debug)]
pub struct ViewerOutcome<T> {
    pub result: Result<T, ViewerFault>,
    pub remarks: ViewerRemarks,
}

/// Remarks of a function on its way.
#[derive(Debug)]
pub struct ViewerRemarks {
    /// `cf.logCustomData`, URL-encoded, at most 800 octets.
    pub custom_data: Option<Box<str>>,
    /// Lines of `console.log`, `CONSOLE_BYTES_MAX` octets in all.
    pub console: Vec<String>,
    /// CPU time taken.
    pub elapsed: Duration,
}

/// A call that gave nothing that can be sent: a sentence with the function's name, line and column where
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerFault {
    pub kind: ViewerFaultKind,
    pub sentence: String,
}

impl ViewerFault {
    /// The fault for an invalid value that `function` returned.
    pub fn invalid(function: &Function, invalid: &Invalid) -> Self {
        Self {
            kind: ViewerFaultKind::Invalid,
            sentence: format!("{}: {invalid}", function.name()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerFaultKind {
    /// It threw, or never ended.
    Error,
    /// Out of time or memory.
    Limit,
    /// It returned what cannot or may not be sent.
    Invalid,
}

/// The wish of a viewer-request function.
#[derive(Debug)]
pub enum RequestVerdict {
    /// The request goes on, so changed.
    Continue(RequestEdits, CertificateRenames),
    /// This is the answer.
    Respond(ResponseEdits),
}

/// Calls a viewer-request function on this core.
pub fn call_viewer_request(
    function: &Arc<Function>,
    context: ViewerContext<'_>,
    request: &ShownRequest<'_>,
    now: SystemTime,
) -> ViewerOutcome<RequestVerdict> {
    let event = RequestEvent { context, request };
    let mut called = function.call(&event, now);
    let renames = std::mem::take(&mut called.said.renames);
    outcome(function, called, |answer| match answer {
        Answer::Request(returned) => {
            let edits = request.edits(&returned)?;
            Ok(RequestVerdict::Continue(edits, renames))
        }
        Answer::Response(returned) => ResponseEdits::generated(returned).map(RequestVerdict::Respond),
    })
}

/// Calls a viewer-response function on this core.
pub fn call_viewer_response(
    function: &Arc<Function>,
    context: ViewerContext<'_>,
    request: &ShownRequest<'_>,
    response: &ShownResponse<'_>,
    now: SystemTime,
) -> ViewerOutcome<ResponseEdits> {
    let event = ResponseEvent {
        context,
        request,
        response,
    };
    let called = function.call(&event, now);
    outcome(function, called, |returned| response.edits(returned))
}

fn outcome<A, T>(
    function: &Function,
    called: Called<Result<A, Invalid>>,
    check: impl FnOnce(A) -> Result<T, Invalid>,
) -> ViewerOutcome<T> {
    let result = match called.result {
        Ok(answer) => answer
            .and_then(check)
            .map_err(|invalid| ViewerFault::invalid(function, &invalid)),
        Err(fault) => Err(ViewerFault {
            kind: match fault.kind {
                FaultKind::OutOfTime | FaultKind::OutOfMemory => ViewerFaultKind::Limit,
                _ => ViewerFaultKind::Error,
            },
            sentence: fault.sentence(function.name()),
        }),
    };
    ViewerOutcome {
        result,
        remarks: ViewerRemarks {
            custom_data: called.said.custom_data.as_deref().map(url_encoded),
            console: called.said.console,
            elapsed: called.elapsed,
        },
    }
}

struct RequestEvent<'a> {
    context: ViewerContext<'a>,
    request: &'a ShownRequest<'a>,
}

struct ResponseEvent<'a> {
    context: ViewerContext<'a>,
    request: &'a ShownRequest<'a>,
    response: &'a ShownResponse<'a>,
}

impl Event for RequestEvent<'_> {
    type Answer = Result<Answer, Invalid>;
    type Built<'js> = Built<'js>;

    fn begin(&self, call: &Call) {
        call.set_edge_location(Some(Rc::clone(self.context.edge)));
    }

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<(Value<'js>, Built<'js>)> {
        event::build(makers, &self.context, self.request, None)
    }

    fn read<'js>(&self, built: &Built<'js>, returned: &Value<'js>) -> rquickjs::Result<Self::Answer> {
        settle(Reader::new(built).answer(returned))
    }
}

impl Event for ResponseEvent<'_> {
    type Answer = Result<ReturnedResponse, Invalid>;
    type Built<'js> = Built<'js>;

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<(Value<'js>, Built<'js>)> {
        event::build(makers, &self.context, self.request, Some(self.response))
    }

    fn read<'js>(&self, built: &Built<'js>, returned: &Value<'js>) -> rquickjs::Result<Self::Answer> {
        settle(Reader::new(built).response(returned))
    }
}

fn settle<T>(read: Result<T, Unread>) -> rquickjs::Result<Result<T, Invalid>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Unread::Invalid(invalid)) => Ok(Err(invalid)),
        Err(Unread::Engine(error)) => Err(error),
    }
}

/// Encodes as the service does, cut at a whole character.
fn url_encoded(text: &str) -> Box<str> {
    let mut encoded = String::new();
    let mut buffer = [0; 4];
    for character in text.chars() {
        let piece = utf8_percent_encode(character.encode_utf8(&mut buffer), ENCODED).to_string();
        if encoded.len() + piece.len() > CUSTOM_DATA_BYTES_MAX {
            break;
        }
        encoded.push_str(&piece);
    }
    encoded.into()
}

/// All but RFC 3986 §2.3's unreserved characters.
const ENCODED: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const CUSTOM_DATA_BYTES_MAX: usize = 800;
