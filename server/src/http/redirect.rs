//! The plain `http` listener's only answer: go to https, or not at all.

use bothways_config::{Authority, ViewerProtocolPolicy};
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::response::{refusal, text_response};

/// Answers a plain request under `policy`: 301 to https (307 where a method must be kept, as the managed service does),
/// or 403 where the behaviour is https-only. `https_port` is where the https listener is.
pub fn redirect<B>(
    request: &Request<B>,
    authority: &Authority,
    policy: ViewerProtocolPolicy,
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

fn location<B>(
    request: &Request<B>,
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

    #[test]
    fn a_star_for_a_target_leads_to_the_root() {
        let request = Request::options("*").body(()).expect("a request");
        let host = Authority::parse("edge.example.com").expect("a host");
        let response = redirect(&request, &host, ViewerProtocolPolicy::RedirectToHttps, 443);
        assert_eq!(
            response.headers().get(LOCATION).map(HeaderValue::as_bytes),
            Some(&b"https://edge.example.com/"[..])
        );
    }
}
