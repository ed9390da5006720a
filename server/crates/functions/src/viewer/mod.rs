//! Viewer functions: `handler(event)` for viewer requests and viewer responses.
//!
//! Owns what functions are shown of a request and a response, and what may become of these: everything that a
//! function returns is checked here before it is a header, a path or a body. Does not own bodies, which
//! functions cannot read, nor when a function is called. Pure but for [`call`]: no socket, no clock.

mod call;
mod event;
mod fields;
mod headers;
mod invalid;
mod pieces;
mod reader;
mod request;
mod response;

#[cfg(test)]
mod call_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod interrupt_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod testing;

pub use call::{
    RequestVerdict, ViewerFault, ViewerFaultKind, ViewerOutcome, ViewerRemarks, call_viewer_request,
    call_viewer_response,
};
pub use event::ViewerContext;
pub use fields::{Field, Given, Item, Returned};
pub use invalid::{Invalid, Why};
pub use pieces::{Kind, Pieces};
pub use request::{RequestEdits, RequestFacts, ReturnedRequest, ShownRequest};
pub use response::{ResponseEdits, ReturnedBody, ReturnedResponse, ShownResponse};

pub use crate::call::EdgeLocation;
pub use crate::certificate_renames::{CertificateRenames, CertificateWish, PemFormat, RenameFault};
pub use crate::header_rules::Moment;
