//! The body that requests carry, read or made once before the run.

use std::fs;
use std::path::Path;

use bytes::Bytes;

/// A request's body, and how HTTP/1.1 frames it.
#[derive(Clone, Debug)]
pub struct Body {
    /// The content, without any coding.
    pub bytes: Bytes,
    /// HTTP/1.1 sends it in chunks, without a Content-Length.
    pub chunked: bool,
    /// The bytes as HTTP/1.1 sends them.
    pub wire: Bytes,
}

/// The choice of a body as options or a scenario's entry say it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// File whose bytes are the body; not beside `bytes`.
    pub file: Option<&'a Path>,
    /// Length of a body that is made up; not beside `file`.
    pub bytes: Option<u64>,
    /// Send it in chunks (HTTP/1.1).
    pub chunked: bool,
}

impl Body {
    /// The fault is told with the name of the key that it is in.
    pub fn of(choice: Choice<'_>) -> Result<Option<Self>, (&'static str, String)> {
        let bytes = match (choice.file, choice.bytes) {
            (Some(_), Some(_)) => {
                return Err((
                    "body_bytes",
                    "has no meaning beside a file; leave one of the two out".to_owned(),
                ));
            }
            (Some(file), None) => read(file).map_err(|fault| ("body_file", fault))?,
            (None, Some(length)) => made(length).map_err(|fault| ("body_bytes", fault))?,
            (None, None) if choice.chunked => {
                return Err(("chunked", "there is no body to be sent in chunks".to_owned()));
            }
            (None, None) => return Ok(None),
        };
        let wire = if choice.chunked {
            chunks(&bytes)
        } else {
            bytes.clone()
        };
        Ok(Some(Body {
            bytes,
            chunked: choice.chunked,
            wire,
        }))
    }
}

fn read(file: &Path) -> Result<Bytes, String> {
    let named = |fault: String| format!("{}: {fault}", file.display());
    let about = fs::metadata(file).map_err(|error| named(error.to_string()))?;
    match (about.is_file(), about.len()) {
        (false, _) => Err(named("it is no file".to_owned())),
        (true, BODY_BYTES_MAX..) => Err(named(format!("it has more than {BODY_BYTES_MAX} bytes"))),
        (true, _) => fs::read(file)
            .map(Bytes::from)
            .map_err(|error| named(error.to_string())),
    }
}

/// Letters, so that a body is seen for what it is.
fn made(length: u64) -> Result<Bytes, String> {
    match usize::try_from(length) {
        Ok(count) if length <= BODY_BYTES_MAX => Ok((b'a'..=b'z').cycle().take(count).collect()),
        _ => Err(format!("must be at most {BODY_BYTES_MAX}")),
    }
}

/// The chunked coding of RFC 9112 §7.1.
fn chunks(bytes: &[u8]) -> Bytes {
    let mut wire = Vec::with_capacity(bytes.len() + bytes.len() / 256 + 16);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire.into()
}

const BODY_BYTES_MAX: u64 = 64 << 20;
const CHUNK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(length: u64, chunked: bool) -> Body {
        let choice = Choice {
            bytes: Some(length),
            chunked,
            ..Choice::default()
        };
        Body::of(choice).unwrap().unwrap()
    }

    #[test]
    fn a_body_is_framed_as_http_1_1_sends_it() {
        assert_eq!(sized(3, false).wire, "abc");
        assert_eq!(sized(3, true).wire, "3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(sized(0, true).wire, "0\r\n\r\n");
        let long = sized(20_000, true);
        assert_eq!(long.bytes.len(), 20_000);
        assert!(long.wire.starts_with(b"4000\r\n") && long.wire.ends_with(b"\r\n0\r\n\r\n"));
        assert_eq!(long.wire.len(), 20_000 + 6 + 2 + 5 + 2 + 5);
    }

    #[test]
    fn a_body_that_cannot_be_is_told_with_its_key() {
        let absent = Choice {
            file: Some(Path::new("/absent")),
            ..Choice::default()
        };
        assert_eq!(Body::of(absent).unwrap_err().0, "body_file");
        let folder = Choice {
            file: Some(Path::new("/")),
            ..Choice::default()
        };
        assert!(Body::of(folder).unwrap_err().1.contains("no file"));
        let both = Choice {
            bytes: Some(1),
            ..folder
        };
        assert_eq!(Body::of(both).unwrap_err().0, "body_bytes");
        let huge = Choice {
            bytes: Some(u64::MAX),
            ..Choice::default()
        };
        assert!(Body::of(huge).unwrap_err().1.contains("at most"));
        assert_eq!(
            Body::of(Choice {
                chunked: true,
                ..Choice::default()
            })
            .unwrap_err()
            .0,
            "chunked"
        );
        assert!(Body::of(Choice::default()).unwrap().is_none());
    }
}
