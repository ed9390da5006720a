//! Reading HTTP/1.1 messages from a byte stream: just enough to see what a peer really sent.

use std::io::{self, BufRead, Read as _};

/// A message head: the start line and every header line, in order, duplicates kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub start_line: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
    }

    fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Ends of a message's body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Body {
    pub fn of_request(head: &Head) -> Self {
        match head.content_length() {
            _ if head.is_chunked() => Self::Chunked,
            Some(length) => Self::Length(length),
            None => Self::Empty,
        }
    }

    fn of_response(head: &Head, status: u16) -> Self {
        match Self::of_request(head) {
            _ if status / 100 == 1 || status == 204 || status == 304 => Self::Empty,
            Self::Empty => Self::UntilClose,
            known => known,
        }
    }
}

/// Reads one head. None at a clean end before its first octet.
pub fn read_head(source: &mut impl BufRead) -> io::Result<Option<Head>> {
    let Some(start_line) = read_line(source)? else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(source)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head { start_line, headers }));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| bad(format!("header line {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads a body piece by piece into `consume`.
pub fn read_body(source: &mut impl BufRead, body: Body, mut consume: impl FnMut(&[u8])) -> io::Result<()> {
    match body {
        Body::Empty => Ok(()),
        Body::Length(length) => copy_exactly(source, length, &mut consume),
        Body::UntilClose => copy_until_end(source, &mut consume),
        Body::Chunked => loop {
            let line = read_line(source)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = u64::from_str_radix(digits, 16).map_err(|_| bad(format!("chunk size {line:?}")))?;
            if length == 0 {
                return skip_trailers(source);
            }
            copy_exactly(source, length, &mut consume)?;
            read_line(source)?;
        },
    }
}

/// Reads a whole response to a request that was not HEAD.
pub fn read_response(source: &mut impl BufRead) -> io::Result<Response> {
    let head = read_head(source)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head
        .start_line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| bad(format!("status line {:?}", head.start_line)))?;
    let mut body = Vec::new();
    read_body(source, Body::of_response(&head, status), |piece| {
        body.extend_from_slice(piece)
    })?;
    Ok(Response { status, head, body })
}

fn skip_trailers(source: &mut impl BufRead) -> io::Result<()> {
    while read_line(source)?.is_some_and(|line| !line.is_empty()) {}
    Ok(())
}

fn read_line(source: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    source.read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(
            String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned(),
        )),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn copy_exactly(source: &mut impl BufRead, length: u64, consume: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut source = source.take(length);
    copy_until_end(&mut source, consume)?;
    if source.limit() == 0 {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn copy_until_end(source: &mut impl BufRead, consume: &mut impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        let piece = source.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(());
        }
        consume(piece);
        source.consume(length);
    }
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_where_the_head_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcNEXT", "abc"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                "abc",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nabc", "abc"),
            ("HTTP/1.1 204 No Content\r\n\r\nNEXT", ""),
        ];
        for (text, body) in cases {
            let response = read_response(&mut text.as_bytes()).unwrap();
            assert_eq!(response.text(), body, "{text:?}");
        }
    }

    #[test]
    fn a_body_that_stops_short_is_an_error() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc";
        let error = read_response(&mut text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
