//! Choice of the behavior that serves a request, and refusal of what may not be asked for on its connection.

use bothways_config::Authority;
use http::{HeaderValue, Method, Request, StatusCode};

use super::authority::authority;
use super::refusal::Refusal;
use super::viewer::Viewer;
use crate::snapshot::{Behavior, Unroutable};
use std::sync::Arc;

/// The behavior for `request`, or why it is refused.
pub(super) fn route<'a, B>(
    viewer: &'a Viewer,
    request: &Request<B>,
) -> Result<&'a Arc<Behavior>, Refusal<'a>> {
    // CONNECT asks for a tunnel, and any 2xx would grant it; TRACE would show a client what we add for the
    // origin.
    if [Method::CONNECT, Method::TRACE].contains(request.method()) {
        return Err(StatusCode::METHOD_NOT_ALLOWED.into());
    }
    check_host(viewer, request)?;
    let path = path(request)?;
    viewer.site.behavior_for(path).map_err(Refusal::from)
}

impl<'a> From<Unroutable<'a>> for Refusal<'a> {
    fn from(unroutable: Unroutable<'a>) -> Self {
        match unroutable {
            Unroutable::Unmatched => Self::Status(StatusCode::NOT_FOUND),
            Unroutable::Ambiguous(ambiguity) => Self::Path(ambiguity),
        }
    }
}

/// The path by which a behavior is chosen. `OPTIONS *` is about the whole server and goes where its root
/// does.
fn path<B>(request: &Request<B>) -> Result<&str, StatusCode> {
    match request.uri().path() {
        "*" if request.method() == Method::OPTIONS => Ok("/"),
        path if path.starts_with('/') => Ok(path),
        // The asterisk with another method, or an authority, which is for CONNECT alone (RFC 9112 §3.2).
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The request's host must be one that this connection's distribution serves: a client admitted to one must
/// not reach another through it (RFC 9110 §15.5.20).
fn check_host<B>(viewer: &Viewer, request: &Request<B>) -> Result<(), StatusCode> {
    let text = authority(request).map_err(|_| StatusCode::BAD_REQUEST)?;
    if viewer
        .known_host
        .borrow()
        .as_ref()
        .is_some_and(|known| known.as_bytes() == text.as_bytes())
    {
        return Ok(());
    }
    let host = Authority::parse(text).map_err(|_| StatusCode::BAD_REQUEST)?.host;
    if !viewer.site.serves(&host) {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    *viewer.known_host.borrow_mut() = HeaderValue::from_str(text).ok();
    Ok(())
}
