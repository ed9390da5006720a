//! Requests for protocols that cannot be passed on: origins are spoken to over HTTP/1.1, one request and one
//! response at a time.
//!
//! To drop `Upgrade` in silence would leave it to the origin to say that something is missing which the
//! client did send, and a gRPC call would fail at an origin that speaks HTTP/2 with words about HTTP
//! versions. So both are told here, in the client's own terms.

use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};

use super::response::text_response;

/// A protocol that cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtherProtocol {
    /// RFC 6455 §4.1. Other upgrades (h2c, TLS) are offers that a server may leave out (RFC 9110 §7.8), and
    /// are.
    WebSocket,
    /// A call over HTTP/2; gRPC-Web, which HTTP/1.1 carries, is none.
    Grpc,
    /// The same over HTTP/1.1, where there is no such thing.
    GrpcOverHttp1,
}

impl OtherProtocol {
    /// The one that `request` is of, if any.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let headers = request.headers();
        let is_http1 = request.version() < Version::HTTP_2;
        match *request.method() {
            Method::GET if is_http1 && is_websocket(headers) => Some(Self::WebSocket),
            Method::POST if is_grpc(headers) && is_http1 => Some(Self::GrpcOverHttp1),
            Method::POST if is_grpc(headers) => Some(Self::Grpc),
            _ => None,
        }
    }

    /// The answer that clients of that protocol understand.
    pub(super) fn response(self) -> Response<&'static str> {
        match self {
            Self::WebSocket => text_response(
                StatusCode::NOT_IMPLEMENTED,
                "501 Not Implemented: WebSocket is not passed on to origins\n",
            ),
            Self::GrpcOverHttp1 => text_response(
                StatusCode::NOT_IMPLEMENTED,
                "501 Not Implemented: gRPC is not passed on to origins\n",
            ),
            Self::Grpc => grpc_status(),
        }
    }

    /// Sentence for the operator.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "it asks for a WebSocket, which is not passed on to origins yet",
            Self::Grpc | Self::GrpcOverHttp1 => {
                "it is a gRPC call, which needs HTTP/2; only HTTP/1.1 is spoken to origins"
            }
        }
    }
}

/// A call's status without any message: HTTP/2 headers alone ("Trailers-Only"), with HTTP's status 200, else
/// clients look no further.
fn grpc_status() -> Response<&'static str> {
    let mut response = Response::new("");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static("12"));
    let message =
        HeaderValue::from_static("gRPC is not passed on to origins: they are spoken to over HTTP/1.1");
    headers.insert(GRPC_MESSAGE, message);
    response
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.any(|given| given.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// `application/grpc`, with or without a message format (`+proto`) or parameters.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let parts = kind.and_then(|kind| kind.split_at_checked(GRPC.len()));
    parts.is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

const GRPC: &[u8] = b"application/grpc";
/// 12: UNIMPLEMENTED.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(version: Version, method: &str, fields: &[(&str, &str)]) -> Option<OtherProtocol> {
        let mut builder = Request::builder().version(version).method(method);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        OtherProtocol::of(&builder.body(()).expect("a request"))
    }

    #[test]
    fn a_websocket_handshake_is_known_and_other_upgrades_are_left_out() {
        let ask = |upgrade, connection| {
            let fields = [("upgrade", upgrade), ("connection", connection)];
            protocol(Version::HTTP_11, "GET", &fields)
        };
        assert_eq!(ask("websocket", "Upgrade"), Some(OtherProtocol::WebSocket));
        assert_eq!(
            ask("WebSocket, x", "keep-alive, upgrade"),
            Some(OtherProtocol::WebSocket)
        );
        for (upgrade, connection) in [
            ("h2c", "upgrade"),
            ("websocket", "close"),
            ("websockets", "upgrade"),
        ] {
            assert_eq!(ask(upgrade, connection), None, "{upgrade}");
        }
    }

    #[test]
    fn a_grpc_call_is_known_and_grpc_web_is_none() {
        let ask = |version, kind| protocol(version, "POST", &[("content-type", kind)]);
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;x=y",
        ] {
            assert_eq!(ask(Version::HTTP_2, kind), Some(OtherProtocol::Grpc), "{kind}");
            assert_eq!(
                ask(Version::HTTP_11, kind),
                Some(OtherProtocol::GrpcOverHttp1),
                "{kind}"
            );
        }
        for kind in [
            "application/grpc-web",
            "application/grpc-web-text+proto",
            "text/plain",
        ] {
            assert_eq!(ask(Version::HTTP_2, kind), None, "{kind}");
        }
    }
}
