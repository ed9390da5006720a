//! Calls viewer functions: builds the event, reads what came back, and says in words what went wrong.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rquickjs::function::Args;
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Object, Value};

use super::certificate_renames::CertificateRenames;
use super::fields::{Field, Item};
use super::header_rules::Moment;
use super::invalid::Invalid;
use super::reader::{Answer, Reader, Unread};
use super::request::{RequestEdits, ShownRequest};
use super::response::{ResponseEdits, ReturnedResponse, ShownResponse};
use crate::functions::call::Call;
use crate::functions::engine::{Called, Event, Makers};
use crate::functions::fault::FaultKind;
use crate::functions::function::Function;

/// What a viewer function is told beside the request and the response.
#[derive(Clone, Copy, Debug)]
pub struct ViewerContext<'a> {
    /// The name that the distribution serves the client under.
    pub distribution_domain_name: &'a str,
    pub distribution_id: &'a str,
    /// The host that the request is for.
    pub endpoint: &'a str,
    pub request_id: &'a str,
    pub client_ip: &'a str,
    pub edge: &'a Rc<EdgeLocation>,
}

/// `cf.edgeLocation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeLocation {
    pub name: String,
    /// The address that the client has connected to.
    pub server_ip: String,
    pub region: String,
}

/// What a call has brought.
#[derive(Debug)]
pub struct ViewerOutcome<T> {
    pub result: Result<T, ViewerFault>,
    pub remarks: ViewerRemarks,
}

/// What a function said on its way.
#[derive(Debug)]
pub struct ViewerRemarks {
    /// `cf.logCustomData`, URL-encoded, at most 800 octets.
    pub custom_data: Option<Box<str>>,
    /// `console.log`, bounded.
    pub console: Vec<String>,
    /// CPU time taken.
    pub elapsed: Duration,
}

/// Why a call gave nothing that can be sent: a sentence with the function's name, line and column where known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerFault {
    pub kind: ViewerFaultKind,
    pub sentence: String,
}

impl ViewerFault {
    /// Of what `function` returned.
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

/// What a viewer-request function wants.
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

    fn begin(&self, call: &Call) {
        call.set_edge_location(Some(Rc::clone(self.context.edge)));
    }

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<Value<'js>> {
        event(makers, Moment::ViewerRequest, &self.context, self.request, None)
    }

    fn read<'js>(&self, _ctx: &Ctx<'js>, returned: Value<'js>) -> rquickjs::Result<Self::Answer> {
        settle(Reader::default().answer(&returned))
    }
}

impl Event for ResponseEvent<'_> {
    type Answer = Result<ReturnedResponse, Invalid>;

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<Value<'js>> {
        let response = response(makers.ctx(), self.response)?;
        event(
            makers,
            Moment::ViewerResponse,
            &self.context,
            self.request,
            Some(response),
        )
    }

    fn read<'js>(&self, _ctx: &Ctx<'js>, returned: Value<'js>) -> rquickjs::Result<Self::Answer> {
        settle(Reader::default().response(&returned))
    }
}

fn settle<T>(read: Result<T, Unread>) -> rquickjs::Result<Result<T, Invalid>> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Unread::Invalid(invalid)) => Ok(Err(invalid)),
        Err(Unread::Engine(error)) => Err(error),
    }
}

fn event<'js>(
    makers: &Makers<'_, 'js>,
    moment: Moment,
    context: &ViewerContext<'_>,
    request: &ShownRequest<'_>,
    response: Option<Object<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let ctx = makers.ctx();
    let mut args = Args::new(ctx.clone(), 13);
    args.push_arg(context.distribution_domain_name)?;
    args.push_arg(context.distribution_id)?;
    args.push_arg(context.endpoint)?;
    args.push_arg(moment.as_str())?;
    args.push_arg(context.request_id)?;
    args.push_arg(context.client_ip)?;
    args.push_arg(request.method)?;
    args.push_arg(request.uri)?;
    args.push_arg(request.raw_query)?;
    args.push_arg(fields(ctx, &request.querystring.fields)?)?;
    args.push_arg(fields(ctx, &request.headers)?)?;
    args.push_arg(fields(ctx, &request.cookies.fields)?)?;
    args.push_arg(response)?;
    args.apply(&makers.maker(EVENT)?)
}

fn response<'js>(ctx: &Ctx<'js>, response: &ShownResponse<'_>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("statusCode", response.status.as_u16())?;
    object.set("statusDescription", &*response.description)?;
    object.set("headers", fields(ctx, &response.headers)?)?;
    object.set("cookies", fields(ctx, &response.cookies.fields)?)?;
    Ok(object)
}

/// Names are the client's: they are defined, not assigned, or `__proto__` would be more than a name.
fn fields<'js>(ctx: &Ctx<'js>, fields: &[Field<'_>]) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for field in fields {
        let shown = item(ctx, &field.first)?;
        if !field.more.is_empty() {
            let values = Array::new(ctx.clone())?;
            for (index, value) in field.values().enumerate() {
                values.set(index, item(ctx, value)?)?;
            }
            shown.set("multiValue", values)?;
        }
        let property = Property::from(shown).writable().enumerable().configurable();
        object.prop(&*field.name, property)?;
    }
    Ok(object)
}

fn item<'js>(ctx: &Ctx<'js>, item: &Item<'_>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set(rquickjs::atom::PredefinedAtom::Value, &*item.value)?;
    if let Some(attributes) = &item.attributes {
        object.set("attributes", &**attributes)?;
    }
    Ok(object)
}

/// As the service writes it, cut at a whole character.
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
/// Among the makers of `prelude/viewer.js`.
const EVENT: usize = 0;
