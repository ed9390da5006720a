//! The plain `http` listener's only answer: go to https, or not at all.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::config::{Authority, ViewerProtocolPolicy};

/// Answers a plain request under `policy`: 301 to https (307 where a method must be kept, as the managed service does),
/// or 403 where the behaviour is https-only. `https_port` is where the https listener is.
pub fn redirect<B>(
    request: &Request<B>,
    authority: &Authority,
    policy: ViewerProtocolPolicy,
    https_port: u16,
) -> Response<&'static str> {
    match policy {
        ViewerProtocolPolicy::HttpsOnly => plain(
            StatusCode::FORBIDDEN,
            "403 Forbidden: this host is served over https only\n",
        ),
        ViewerProtocolPolicy::RedirectToHttps => match location(request, authority, https_port) {
            Ok(location) => {
                let mut response = plain(status(request.method()), "moved to https\n");
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Err(_) => plain(StatusCode::BAD_REQUEST, "400 Bad Request\n"),
        },
    }
}

fn status(method: &Method) -> StatusCode {
    match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    }
}

fn location<B>(
    request: &Request<B>,
    authority: &Authority,
    port: u16,
) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = match authority.host.ip() {
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => authority.host.as_str().to_owned(),
    };
    match port {
        443 => HeaderValue::try_from(format!("https://{host}{path}")),
        port => HeaderValue::try_from(format!("https://{host}:{port}{path}")),
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<&'static str> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: Method, policy: ViewerProtocolPolicy, port: u16) -> Response<&'static str> {
        let request = Request::builder()
            .method(method)
            .uri("/a?b=c")
            .body(())
            .expect("a request");
        redirect(
            &request,
            &Authority::parse("Edge.example.com:8080").expect("a host"),
            policy,
            port,
        )
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
                answer(method, ViewerProtocolPolicy::RedirectToHttps, 443)
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
            let response = answer(Method::GET, ViewerProtocolPolicy::RedirectToHttps, port);
            assert_eq!(
                response.headers().get(LOCATION).map(HeaderValue::as_bytes),
                Some(expected.as_bytes())
            );
        }
    }

    #[test]
    fn an_https_only_host_is_not_redirected() {
        let response = answer(Method::GET, ViewerProtocolPolicy::HttpsOnly, 443);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(!response.headers().contains_key(LOCATION));
    }
}
