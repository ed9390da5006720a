//! The body of a viewer's request as an origin reads it.
//!
//! Owns what is noted while it is read: whom the body waits for, how much has moved, and how it ended. A body
//! that was ended here, or thrown away, is an error to the origin's connection.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, SizeHint};

use super::request_body::Polled;
use super::upload::{Ended, Upload, poll_data};

/// Reasons for which a request's body does not come to its end.
#[derive(Debug)]
pub enum UploadError {
    Viewer(hyper::Error),
    Late,
    Discarded,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Viewer(error) => error.fmt(f),
            Self::Late => f.write_str("the viewer sends too slowly"),
            Self::Discarded => f.write_str("the answer came before its end"),
        }
    }
}

impl std::error::Error for UploadError {}

/// The right to read an upload. When it is dropped, nobody reads the upload any more.
pub struct UploadReader(Upload);

impl UploadReader {
    pub(super) fn new(upload: &Upload) -> Self {
        upload.0.has_reader.set(true);
        Self(upload.clone())
    }
}

impl Body for UploadReader {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<UploadError> {
        let inner = &self.0.0;
        inner.awaits_continue.set(false);
        match inner.ended.get() {
            None => {}
            Some(Ended::Late) => return Poll::Ready(Some(Err(UploadError::Late))),
            Some(Ended::Whole) => return Poll::Ready(None),
            Some(Ended::Broken | Ended::Discarded) => {
                return Poll::Ready(Some(Err(UploadError::Discarded)));
            }
        }
        let mut incoming = inner.incoming.borrow_mut();
        let Some(body) = incoming.as_mut() else {
            return Poll::Ready(Some(Err(UploadError::Discarded)));
        };
        let Poll::Ready(frame) = poll_data(body, cx) else {
            inner.pace.viewer_is_waited_for();
            inner.reader.set(cx);
            return Poll::Pending;
        };
        let is_last = body.is_end_stream();
        drop(incoming);
        inner.pace.rests();
        match &frame {
            Some(Ok(frame)) => {
                inner.pace.move_bytes(frame.data_ref().map_or(0, Bytes::len));
                if is_last {
                    self.0.finish(Ended::Whole);
                }
            }
            Some(Err(_)) => self.0.finish(Ended::Broken),
            None => self.0.finish(Ended::Whole),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Viewer)))
    }

    /// True if the body has come to its end, as opposed to having been ended.
    fn is_end_stream(&self) -> bool {
        match self.0.0.ended.get() {
            Some(ended) => ended == Ended::Whole,
            None => self.0.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.0.0.incoming.borrow();
        incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for UploadReader {
    fn drop(&mut self) {
        self.0.0.has_reader.set(false);
        self.0.0.pace.rests();
        self.0.0.watcher.wake();
    }
}
