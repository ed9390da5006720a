//! hyper's errors on h2 connections: the failures that they are, and the requests that no server has
//! processed.

use std::error::Error;

use crate::failure::{Failure, Stage};
use crate::wire::Progress;

/// Sorts hyper's error; `progress` tells why the connection broke, where hyper sees only an I/O error.
pub fn classify(error: &hyper::Error, progress: &Progress) -> Failure {
    if let Some(failure) = progress.failure.borrow().clone() {
        return failure;
    }
    match h2_error(error) {
        Some(error) if error.is_go_away() => Failure::Http2(format!("GOAWAY {}", reason(error))),
        Some(error) if error.is_reset() => Failure::Http2(format!("RST_STREAM {}", reason(error))),
        Some(error) => match error.get_io() {
            Some(io) => Failure::from_io(io, Stage::Response),
            None => Failure::Http2(error.to_string()),
        },
        None if error.is_closed() || error.is_canceled() => Failure::Closed(Stage::Response),
        None => Failure::Http2(error.to_string()),
    }
}

/// RFC 9113 §8.7: streams above the last one of a graceful GOAWAY, and refused ones, were not processed.
pub fn is_unprocessed(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        let graceful = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (graceful || refused)
    })
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref::<h2::Error>()
}

fn reason(error: &h2::Error) -> String {
    error
        .reason()
        .map_or_else(|| "without a reason".to_owned(), |reason| format!("{reason:?}"))
}
