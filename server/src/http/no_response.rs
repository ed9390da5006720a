//! Origins that give no usable response: the status that the client gets instead, and the labels under which
//! that counts. One `match` decides each.

use http::StatusCode;

use crate::metrics::{OriginResult, RequestLimit};
use crate::origin::{FetchError, ForwardError};

/// Status of the response that the client gets instead.
pub(super) fn status_of(error: &ForwardError) -> StatusCode {
    match error {
        ForwardError::Fetch(FetchError::Timeout) => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Fetch(FetchError::Full) | ForwardError::Share => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::Fetch(_) | ForwardError::Framing(_) => StatusCode::BAD_GATEWAY,
        ForwardError::Viewer(_) => StatusCode::BAD_REQUEST,
        ForwardError::ViewerTimeout => StatusCode::REQUEST_TIMEOUT,
    }
}

/// Label under which the request counts for its origin.
pub(super) fn result_of(error: &ForwardError) -> OriginResult {
    match error {
        ForwardError::Fetch(error) => match error {
            FetchError::Connect(..) => OriginResult::ConnectFailed,
            FetchError::Http(_) | FetchError::Body(_) | FetchError::Protocol(_) | FetchError::Interim(_) => {
                OriginResult::BadResponse
            }
            FetchError::Timeout => OriginResult::Timeout,
            FetchError::Full => OriginResult::NoConnectionFree,
        },
        ForwardError::Framing(_) => OriginResult::BadResponse,
        ForwardError::Share => OriginResult::ClientLimited,
        ForwardError::Viewer(_) | ForwardError::ViewerTimeout => OriginResult::ClientFailed,
    }
}

/// Bound that the request ran into.
pub(super) fn limit_of(error: &ForwardError) -> Option<RequestLimit> {
    match error {
        ForwardError::Fetch(FetchError::Full) => Some(RequestLimit::Origin),
        ForwardError::Share => Some(RequestLimit::Client),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::origin::BadFraming;

    #[test]
    fn every_way_to_give_no_response_has_its_status_and_its_labels() {
        use OriginResult as Result;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let connect = FetchError::Connect(address, ErrorKind::ConnectionRefused.into());
        let interim = FetchError::Interim(StatusCode::SWITCHING_PROTOCOLS);
        for (error, status, result, limit) in [
            (ForwardError::Fetch(connect), 502, Result::ConnectFailed, None),
            (ForwardError::Fetch(interim), 502, Result::BadResponse, None),
            (
                ForwardError::Fetch(FetchError::Timeout),
                504,
                Result::Timeout,
                None,
            ),
            (
                ForwardError::Fetch(FetchError::Full),
                503,
                Result::NoConnectionFree,
                Some(RequestLimit::Origin),
            ),
            (
                ForwardError::Framing(BadFraming::Length),
                502,
                Result::BadResponse,
                None,
            ),
            (
                ForwardError::Share,
                503,
                Result::ClientLimited,
                Some(RequestLimit::Client),
            ),
            (ForwardError::ViewerTimeout, 408, Result::ClientFailed, None),
        ] {
            assert_eq!(status_of(&error).as_u16(), status, "{error}");
            assert_eq!(result_of(&error), result, "{error}");
            assert_eq!(limit_of(&error), limit, "{error}");
        }
    }
}
