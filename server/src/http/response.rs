//! Responses of our own: short text, silent about what is behind.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// Answer with `status`, one of those with which we refuse requests.
pub(super) fn refusal(status: StatusCode) -> Response<&'static str> {
    let text = match status {
        StatusCode::BAD_REQUEST => "400 Bad Request\n",
        StatusCode::FORBIDDEN => "403 Forbidden: this client is no longer admitted\n",
        StatusCode::METHOD_NOT_ALLOWED => "405 Method Not Allowed\n",
        StatusCode::REQUEST_TIMEOUT => "408 Request Timeout: the request's body came too slowly\n",
        StatusCode::MISDIRECTED_REQUEST => {
            "421 Misdirected Request: this host is not served on this connection\n"
        }
        StatusCode::BAD_GATEWAY => "502 Bad Gateway: the origin gave no usable response\n",
        StatusCode::SERVICE_UNAVAILABLE => {
            "503 Service Unavailable: the origin has too many requests already\n"
        }
        StatusCode::GATEWAY_TIMEOUT => "504 Gateway Timeout: the origin did not answer in time\n",
        _ => "404 Not Found\n",
    };
    let mut response = text_response(status, text);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, ALLOWED);
    }
    response
}

/// Answer where a function of the behavior has failed.
pub(super) fn function_failure() -> Response<&'static str> {
    text_response(
        StatusCode::BAD_GATEWAY,
        "502 Bad Gateway: a function gave no usable answer\n",
    )
}

/// A response of this status and text.
pub(super) fn text_response(status: StatusCode, text: &'static str) -> Response<&'static str> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// RFC 9110 §10.2.1 wants a list; other methods, but for those refused, are passed on all the same.
const ALLOWED: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_begins_with_its_status() {
        for status in [400, 404, 405, 408, 421, 502, 503, 504] {
            let status = StatusCode::from_u16(status).expect("a status");
            let response = refusal(status);
            assert_eq!(response.status(), status);
            assert!(response.body().starts_with(status.as_str()), "{response:?}");
            assert_eq!(
                response.headers().contains_key(ALLOW),
                status == StatusCode::METHOD_NOT_ALLOWED
            );
        }
    }
}
