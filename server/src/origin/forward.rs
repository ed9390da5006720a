//! A viewer's request to an origin: the rules of viewers above the client.
//!
//! Owns the bound on the requests that one client has at origins at a time, and whose fault a failure is: the
//! viewer's, whose body broke off or was too slow, or the origin's.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};

use super::client::Client;
use super::fetch_error::FetchError;
use super::fetched_body::FetchedBody;
use super::framing::BadFraming;
use super::kinds::{HttpOrigin, ResponseBounds};
use super::pool::Pool;
use super::request_body::RequestBody;
use super::share::Share;
use super::upload::Upload;
use super::upload_reader::UploadReader;

/// A core's connections to origins.
pub type OriginPool = Pool<UploadReader>;

/// Body of an origin's response to a viewer's request.
pub type OriginBody = FetchedBody<UploadReader>;

/// Reasons for which a viewer gets no response of the origin.
#[derive(Debug)]
pub enum ForwardError {
    /// The origin gave none.
    Fetch(FetchError),
    /// Nobody could rely on where the response ends.
    Framing(BadFraming),
    /// `origin_requests_per_client` requests of this client are at origins.
    Share,
    /// The viewer's body broke off or was none. The origin has no part in it.
    Viewer(hyper::Error),
    /// The viewer's body came too slowly, or nothing more of it came.
    ViewerTimeout,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Framing(why) => write!(f, "bad response: {why}"),
            Self::Share => f.write_str("the client has reached origin_requests_per_client"),
            Self::Viewer(error) => write!(f, "bad request body: {error}"),
            Self::ViewerTimeout => f.write_str("the request's body came too slowly"),
        }
    }
}

impl std::error::Error for ForwardError {}

/// Place where [`forward`] finds connections, and how many there may be.
pub struct Exit<'a> {
    pub pool: &'a Rc<OriginPool>,
    pub origin: &'a Arc<HttpOrigin>,
    /// To this origin, on this core.
    pub connections_max: usize,
    pub bounds: ResponseBounds,
    /// The client's, and how many requests that may be.
    pub share: &'a Share,
    pub requests_max: usize,
}

/// Sends `request` (origin-form, hop-by-hop headers removed) with the body `upload`, and returns the head of
/// the response with its body still to be streamed.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward(
    exit: Exit<'_>,
    request: Request<()>,
    upload: Option<&Upload>,
) -> Result<Response<OriginBody>, ForwardError> {
    let share = exit.share.take(exit.requests_max).ok_or(ForwardError::Share)?;
    let body = upload.map_or(RequestBody::Empty, |upload| {
        RequestBody::Stream(UploadReader::new(upload))
    });
    let client = Client {
        pool: exit.pool,
        origin: exit.origin,
        connections_max: exit.connections_max,
        bounds: exit.bounds,
    };
    let fetched = client.fetch(request.map(|()| body), Some(share)).await;
    fetched.map_err(|error| fault(error, upload))
}

/// Tells the viewer's faults from the origin's. To be called as soon as the request has failed: later its
/// body no longer shows whom it waited for.
fn fault(error: FetchError, upload: Option<&Upload>) -> ForwardError {
    match (error, upload) {
        (FetchError::Http(error), Some(upload)) if upload.is_broken() => ForwardError::Viewer(error),
        (FetchError::Http(_), Some(upload)) if upload.is_late() => ForwardError::ViewerTimeout,
        (FetchError::Timeout, Some(upload)) if upload.pace().waits_for_viewer() => {
            ForwardError::ViewerTimeout
        }
        (error, _) => ForwardError::Fetch(error),
    }
}
