//! The address to connect to and the path to ask for, from text. The faults are told without the name of the
//! option or key that they came by: the caller knows it.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls_pki_types::ServerName;

/// The parts of a target that an option or a key of a scenario may give.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// `https://NAME[:PORT][/PATH]`.
    pub url: Option<String>,
    /// `HOST:PORT` to connect to; absent: host and port of `url`.
    pub address: Option<String>,
    /// Server name; absent: the host of `url`, then that of `address`.
    pub sni: Option<String>,
}

/// The address to connect to and the path to ask for, before names are resolved.
#[derive(Debug)]
pub struct Target {
    /// `HOST:PORT` to connect to.
    pub address: String,
    /// Server name to send and to verify.
    pub name: String,
    /// Host header where nothing else is asked for.
    pub host: String,
    /// Path and query; `/` where the URL has none.
    pub path: String,
}

impl Target {
    /// Combines the parts: an address or a name that is given wins over that of the URL. Fails where nothing
    /// says where to connect.
    pub fn new(parts: &Parts) -> Result<Target, String> {
        let url = parts.url.as_deref().map(parse_url).transpose()?;
        let (authority, path) = match &url {
            Some(url) => (
                url.authority().cloned(),
                url.path_and_query().map(|path| path.as_str().to_owned()),
            ),
            None => (None, None),
        };
        let address = match (&parts.address, &authority) {
            (Some(address), _) => address.clone(),
            (None, Some(authority)) => {
                format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(443))
            }
            (None, None) => {
                return Err(
                    "nothing to load: give a URL (https://NAME:PORT/) or --address HOST:PORT".to_owned(),
                );
            }
        };
        let address_host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let name = match (&parts.sni, &authority) {
            (Some(name), _) => name.clone(),
            (None, Some(authority)) => authority.host().to_owned(),
            (None, None) => address_host.to_owned(),
        };
        let host = authority.map_or_else(|| name.clone(), |authority| authority.to_string());
        Ok(Target {
            address,
            name,
            host,
            path: path.unwrap_or_else(|| "/".to_owned()),
        })
    }
}

fn parse_url(text: &str) -> Result<http::Uri, String> {
    match text.parse::<http::Uri>() {
        Ok(url) if url.scheme_str() == Some("https") && url.authority().is_some() => Ok(url),
        _ => Err(format!(
            "{text:?} is not an https:// URL; write https://NAME[:PORT][/PATH]"
        )),
    }
}

/// All addresses of a name, in the order in which they are to be tried. Never empty.
pub fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    match address.to_socket_addrs().map(unique) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{address}: the name has no address")),
        Err(error) => Err(format!(
            "{address}: {error}; give HOST:PORT or IP:PORT by --address"
        )),
    }
}

fn unique(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// The address that is loaded until the addresses have been tried. A target has at least one.
pub fn first(addresses: &[SocketAddr]) -> SocketAddr {
    addresses.first().copied().unwrap_or(NOWHERE)
}

/// An address that was tried before the run, and what came of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Address that was tried.
    pub address: SocketAddr,
    /// Text of the error; `None`: it took the connection.
    pub failure: Option<String>,
}

/// The address that is loaded: the first that takes a connection, as clients choose it. An address without an
/// alternative is not tried; where none takes a connection it is the first, and the run tells why.
pub fn choose(addresses: &[SocketAddr], patience: Duration) -> (Option<SocketAddr>, Vec<Tried>) {
    let first = addresses.first().copied();
    if addresses.len() < 2 {
        return (first, Vec::new());
    }
    let mut tried = Vec::new();
    for &address in addresses {
        let failure = TcpStream::connect_timeout(&address, patience).err();
        let failure = failure.map(|error| error.to_string());
        let takes = failure.is_none();
        tried.push(Tried { address, failure });
        if takes {
            return (Some(address), tried);
        }
    }
    (first, tried)
}

/// Parses a DNS name or an IP address, with or without brackets.
pub fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))
}

/// Checks that a path begins with `/` and has visible ASCII characters only.
pub fn check_path(path: &str) -> Result<String, String> {
    let well_formed = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
    if well_formed {
        Ok(path.to_owned())
    } else {
        Err(format!("{path:?} must start with / and contain no spaces"))
    }
}

/// Checks that a text can be a Host header: `NAME` or `NAME:PORT`.
pub fn check_host(host: &str) -> Result<String, String> {
    match host.parse::<http::uri::Authority>() {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err(format!("{host:?} is not of the form NAME or NAME:PORT")),
    }
}

/// Parses a request method; CONNECT is refused.
pub fn parse_method(text: &str) -> Result<http::Method, String> {
    match text.parse() {
        Ok(method) if method != http::Method::CONNECT => Ok(method),
        _ => Err(format!("{text:?} is not a request method that can be sent")),
    }
}

/// A header of the form `Name: value`.
pub fn parse_header(line: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| format!("{line:?} is not of the form 'Name: value'"))?;
    header(name, value)
        .map_err(|fault| fault.unwrap_or_else(|| format!("{line:?} is not of the form 'Name: value'")))
}

/// `Err(None)`: that is no header.
pub fn header(name: &str, value: &str) -> Result<(http::HeaderName, http::HeaderValue), Option<String>> {
    let name = http::HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| None)?;
    let value = http::HeaderValue::from_str(value.trim()).map_err(|_| None)?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(Some(format!(
            "{name} is set by loadgen itself (see the host and the method)"
        )));
    }
    Ok((name, value))
}

/// Adds what a body is to the headers, where they do not say so.
pub fn with_content_type(
    mut headers: Vec<(http::HeaderName, http::HeaderValue)>,
    content_type: Option<&str>,
    has_body: bool,
) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, String> {
    let said = headers.iter().any(|(name, _)| name == http::header::CONTENT_TYPE);
    match (content_type, said, has_body) {
        (Some(_), _, false) => return Err("there is no body that it could be the type of".to_owned()),
        (Some(_), true, true) => return Err("a header says it already; leave one of the two out".to_owned()),
        (given, false, true) => {
            let text = given.unwrap_or("application/octet-stream");
            let value =
                http::HeaderValue::from_str(text).map_err(|_| format!("{text:?} is no media type"))?;
            headers.push((http::header::CONTENT_TYPE, value));
        }
        (None, _, _) => {}
    }
    Ok(headers)
}

/// A target has at least one address; this stands for none.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const RESERVED_HEADERS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_first_address_that_takes_a_connection_is_loaded_and_the_others_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let nobody = |last: u8| SocketAddr::from(([127, 0, 0, last], there.port()));
        let (chosen, tried) = choose(&[nobody(2), there, nobody(3)], Duration::from_secs(5));
        assert_eq!(chosen, Some(there));
        let tried: Vec<_> = tried
            .iter()
            .map(|tried| (tried.address, tried.failure.is_none()))
            .collect();
        assert_eq!(tried, [(nobody(2), false), (there, true)]);
        let (chosen, tried) = choose(&[nobody(2), nobody(3)], Duration::from_secs(5));
        assert_eq!(
            (chosen, tried.len()),
            (Some(nobody(2)), 2),
            "the run shows that it fails"
        );
        let (chosen, tried) = choose(&[there], Duration::from_secs(5));
        assert_eq!((chosen, tried.len()), (Some(there), 0));
    }

    #[test]
    fn an_address_that_a_name_has_twice_is_tried_once() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(unique([address, address].into_iter()), [address]);
    }
}
