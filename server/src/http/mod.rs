//! HTTP on a connection whose client is known: one request to one response.
//!
//! Owns: the story of a request ([`service`]), the host rules, the certificate and forwarding headers, what a connection's requests
//! tell its core ([`activity`]). Does not own: HTTP's framing (hyper), the way to the origin (`origin`).

mod activity;
mod authority;
mod certificate_headers;
mod forwarded_headers;
mod other_protocol;
mod redirect;
mod refusal;
mod request_head;
mod response;
mod route;
mod service;
mod viewer;
mod viewer_functions;
mod watched;

pub use self::activity::{Activity, InFlight, Patience, Stalled, Stalling};
pub use self::authority::{AuthorityError, authority};
pub use self::certificate_headers::{
    CertificateEdits, SHOWN_TO_FUNCTIONS, add_certificate_headers, remove_claims,
};
pub use self::forwarded_headers::set_forwarded_headers;
pub use self::redirect::redirect;
pub use self::refusal::{Refusal, Refusals};
pub use self::request_head::clean_headers;
pub use self::response::{refusal, text_response};
pub use self::service::{Body, awaits_continue, respond};
pub use self::viewer::{CoreResources, Viewer, ViewerFacts};
pub use self::viewer_functions::{Asked, apply, ask_viewer_request, ask_viewer_response};
pub use self::watched::{CallOutcome, watched};
