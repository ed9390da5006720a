//! The pages of the admin endpoint, and the few other answers that it has.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::Service;

use crate::metrics::{self, Registry};

pub(super) type Page = Response<Full<Bytes>>;

/// Answers the request of one connection.
pub(super) struct Answering {
    pub(super) registry: Arc<Registry>,
    /// Set when the request is there.
    pub(super) is_asked: Rc<Cell<bool>>,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Page;
    type Error = Infallible;
    type Future = Ready<Result<Page, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.is_asked.set(true);
        let path = request.uri().path();
        ready(Ok(page(&self.registry, request.method(), path)))
    }
}

/// The page of a path. Whatever follows a `?` is of no account.
fn page(registry: &Registry, method: &Method, path: &str) -> Page {
    if !matches!(path, "/metrics" | "/healthz") {
        return empty(StatusCode::NOT_FOUND);
    }
    if method != Method::GET {
        let mut page = empty(StatusCode::METHOD_NOT_ALLOWED);
        page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return page;
    }
    match path {
        "/metrics" => text(StatusCode::OK, EXPOSITION, metrics::render(registry)),
        // An answer for whoever chooses among servers: this one is ending.
        _ if registry.process.draining.get() > 0 => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        _ => text(StatusCode::OK, TEXT, "ok\n"),
    }
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = empty(status);
    *page.body_mut() = Full::new(body.into());
    let content_type = HeaderValue::from_static(content_type);
    page.headers_mut().insert(CONTENT_TYPE, content_type);
    page
}

fn empty(status: StatusCode) -> Page {
    let mut page = Page::default();
    *page.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    page.headers_mut().insert(CACHE_CONTROL, no_store);
    page
}

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_is_refused_with_its_own_status() {
        let registry = Registry::new(1);
        let status = |method: Method, path: &str| page(&registry, &method, path).status().as_u16();
        assert_eq!(status(Method::GET, "/metrics"), 200);
        assert_eq!(status(Method::GET, "/healthz"), 200);
        for path in ["/", "", "*", "/metrics/", "//metrics"] {
            assert_eq!(status(Method::GET, path), 404, "{path}");
            assert_eq!(status(Method::POST, path), 404, "{path}");
        }
        for method in [Method::POST, Method::HEAD, Method::OPTIONS] {
            assert_eq!(status(method.clone(), "/metrics"), 405, "{method}");
            assert_eq!(status(method.clone(), "/healthz"), 405, "{method}");
        }
    }
}
