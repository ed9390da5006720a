//! Answers on a plain `http` listener: go to https, or not at all.
//!
//! Owns the choice of that answer. Requests begin and end here as they do elsewhere ([`super::pending`],
//! [`super::end`]); they pass no stage, since nobody was admitted to anything.

use std::rc::Rc;

use bothways_config::{Authority, ViewerProtocolPolicy};
use http::header::{CONNECTION, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use hyper::body::Incoming;

use super::activity::Activity;
use super::authority::authority;
use super::end::end_plain;
use super::pending::{Body, PendingRequest, awaits_continue};
use super::refusal::Refusal;
use super::response::{refusal, text_response};
use super::viewer::CoreResources;
use crate::snapshot::Snapshot;

/// Answers `request` on a connection with this `activity`. The https listener is at `https_port`.
pub fn redirect(
    core: &CoreResources,
    activity: &Rc<Activity>,
    snapshot: &Snapshot,
    https_port: u16,
    request: Request<Incoming>,
) -> Response<Body> {
    let (request, pending) = PendingRequest::begin(activity, snapshot.limits.lingering(), request);
    let mut response = answer(snapshot, &request, https_port);
    if awaits_continue(request.version(), request.headers()) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    end_plain(core, pending, response)
}

fn answer(snapshot: &Snapshot, request: &Request<()>, https_port: u16) -> Response<&'static str> {
    let host = authority(request)
        .ok()
        .and_then(|text| Authority::parse(text).ok());
    let Some(host) = host else {
        return refusal(StatusCode::BAD_REQUEST);
    };
    let Some(distribution) = snapshot.distribution_for(Some(&host.host)) else {
        return refusal(StatusCode::MISDIRECTED_REQUEST);
    };
    match distribution.site.behavior_for(request.uri().path()) {
        Ok(behavior) => under(behavior.viewer_protocol_policy, request, &host, https_port),
        Err(unroutable) => Refusal::from(unroutable).response(),
    }
}

/// The answer under `policy`: 301 to https (307 where a method must be kept, as the managed service does), or
/// 403 where the behavior is https-only.
fn under(
    policy: ViewerProtocolPolicy,
    request: &Request<()>,
    authority: &Authority,
    https_port: u16,
) -> Response<&'static str> {
    match policy {
        ViewerProtocolPolicy::HttpsOnly => text_response(
            StatusCode::FORBIDDEN,
            "403 Forbidden: this host is served over https only\n",
        ),
        ViewerProtocolPolicy::RedirectToHttps => match location(request, authority, https_port) {
            Ok(location) => {
                let mut response = text_response(status(request.method()), "moved to https\n");
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Err(_) => refusal(StatusCode::BAD_REQUEST),
        },
    }
}

fn status(method: &Method) -> StatusCode {
    match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    }
}

fn location(
    request: &Request<()>,
    authority: &Authority,
    port: u16,
) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let path = match request.uri().path_and_query().map(PathAndQuery::as_str) {
        // `OPTIONS *` asks about the server as a whole, which is no place to go to.
        None | Some("*") => "/",
        Some(path) => path,
    };
    let host = match authority.host.ip() {
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => authority.host.as_str().to_owned(),
    };
    match port {
        443 => HeaderValue::try_from(format!("https://{host}{path}")),
        port => HeaderValue::try_from(format!("https://{host}:{port}{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(method: Method, policy: ViewerProtocolPolicy, port: u16) -> Response<&'static str> {
        let request = Request::builder()
            .method(method)
            .uri("/a?b=c")
            .body(())
            .expect("a request");
        let host = Authority::parse("Edge.example.com:8080").expect("a host");
        under(policy, &request, &host, port)
    }

    #[test]
    fn get_moves_for_good_and_post_keeps_its_method() {
        for (method, status) in [
            (Method::GET, 301),
            (Method::HEAD, 301),
            (Method::POST, 307),
            (Method::PUT, 307),
        ] {
            assert_eq!(
                answered(method, ViewerProtocolPolicy::RedirectToHttps, 443)
                    .status()
                    .as_u16(),
                status
            );
        }
    }

    #[test]
    fn the_location_has_the_https_port_unless_it_is_443() {
        for (port, expected) in [
            (443, "https://edge.example.com/a?b=c"),
            (8443, "https://edge.example.com:8443/a?b=c"),
        ] {
            let response = answered(Method::GET, ViewerProtocolPolicy::RedirectToHttps, port);
            assert_eq!(
                response.headers().get(LOCATION).map(HeaderValue::as_bytes),
                Some(expected.as_bytes())
            );
        }
    }

    #[test]
    fn an_https_only_host_is_not_redirected() {
        let response = answered(Method::GET, ViewerProtocolPolicy::HttpsOnly, 443);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(!response.headers().contains_key(LOCATION));
    }

    #[test]
    fn a_star_for_a_target_leads_to_the_root() {
        let request = Request::options("*").body(()).expect("a request");
        let host = Authority::parse("edge.example.com").expect("a host");
        let response = under(ViewerProtocolPolicy::RedirectToHttps, &request, &host, 443);
        assert_eq!(
            response.headers().get(LOCATION).map(HeaderValue::as_bytes),
            Some(&b"https://edge.example.com/"[..])
        );
    }
}
