//! HTTP on a connection whose client is known: one request to one response.
//!
//! Owns: the stages of a request in their order ([`stages`]) over one value ([`exchange`]), the one place
//! where a request is counted and ended ([`end`]), the host rules, the certificate and forwarding headers,
//! and what a connection's requests tell its core ([`activity`]). Does not own: HTTP's framing (hyper), the
//! way to the origin (`origin`). Runs on the connection's core.

mod activity;
mod authority;
mod certificate_headers;
mod end;
mod exchange;
mod forwarded_headers;
mod no_response;
mod other_protocol;
mod pending;
mod redirect;
mod refusal;
mod request_head;
mod response;
mod route;
mod service;
mod stages;
mod viewer;
mod viewer_functions;
mod watched;

pub use self::activity::{Activity, Patience, Stalling};
pub use self::certificate_headers::{CertificateEdits, SHOWN_TO_FUNCTIONS};
pub use self::redirect::redirect;
pub use self::refusal::Refusals;
pub use self::request_head::clean_headers;
pub use self::service::respond;
pub use self::viewer::{CoreResources, Viewer, ViewerFacts};
pub use self::viewer_functions::{Asked, apply, ask_viewer_request, ask_viewer_response};
pub use self::watched::{CallOutcome, watched};
