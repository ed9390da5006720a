//! Exchange: one request on its way to its response, the value that all stages work on.
//!
//! Owns nothing of the decisions: [`super::stages`] makes them, [`super::end`] ends the request.

use std::rc::Rc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;

use super::no_response;
use super::pending::PendingRequest;
use super::viewer::Viewer;
use super::viewer_functions::FunctionCalls;
use crate::metrics::{OriginCounters, OriginResult};
use crate::origin::ForwardError;
use crate::snapshot::Behavior;

/// A request between its beginning and its end.
pub(super) struct Exchange<'v> {
    pub(super) viewer: &'v Rc<Viewer>,
    /// The request as the stages so far have left it. Once it is on its way to the origin, another empty one.
    pub(super) request: Request<()>,
    pub(super) pending: PendingRequest,
    /// Calls of viewer functions about this request; `None` as long as there were none.
    pub(super) calls: Option<FunctionCalls>,
    /// Result of asking the origin; `None` as long as it has not been asked.
    pub(super) asked: Option<OriginAsked<'v>>,
}

/// Result of asking an origin.
#[derive(Clone, Copy)]
pub(super) struct OriginAsked<'v> {
    /// Counters of the origin.
    pub(super) counters: Option<&'v OriginCounters>,
    pub(super) result: OriginResult,
    /// Time until the head of the response, where one came.
    pub(super) elapsed: Option<Duration>,
}

impl<'v> OriginAsked<'v> {
    /// Result of asking the origin of `behavior`; `error`: why it gave no usable response. Its head came, if
    /// it came, after `elapsed`.
    pub(super) fn new(behavior: &'v Behavior, error: Option<&ForwardError>, elapsed: Duration) -> Self {
        Self {
            counters: behavior.origin_counters.as_deref(),
            result: error.map_or(OriginResult::Response, no_response::result_of),
            elapsed: error.is_none().then_some(elapsed),
        }
    }
}

impl<'v> Exchange<'v> {
    /// Begins with `request`.
    #[inline(always)]
    pub(super) fn begin(viewer: &'v Rc<Viewer>, request: Request<Incoming>) -> Self {
        let (request, pending) =
            PendingRequest::begin(&viewer.activity, viewer.site.limits.lingering(), request);
        Self {
            viewer,
            request,
            pending,
            calls: None,
            asked: None,
        }
    }
}
