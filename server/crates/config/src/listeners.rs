//! `[[listeners]]` and `[admin]`: the addresses that the server opens.

use std::net::{IpAddr, SocketAddr};

use super::error::Problem;
use super::key::KeyPath;
use super::raw::{RawAdmin, RawListener};
use super::suggest::choose;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub key: KeyPath,
    /// Port 0: the kernel chooses.
    pub address: SocketAddr,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Https,
    /// Redirects to https and serves nothing else.
    Http,
}

pub(super) fn listeners(raw: &[RawListener]) -> Result<Vec<Listener>, Problem> {
    let key = KeyPath::root().child("listeners");
    let mut listeners: Vec<Listener> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let listener = listener(&key.index(index), raw)?;
        if let Some(fault) = clash(listener.address, &listeners) {
            let remedy = "give each listener an address of its own; 0.0.0.0 stands for every IPv4 address, \
                [::] for every address";
            return Err(Problem::new(&listener.key.child("address"), fault, remedy));
        }
        listeners.push(listener);
    }
    if !listeners
        .iter()
        .any(|listener| listener.protocol == Protocol::Https)
    {
        let fault = "no listener has protocol = \"https\"";
        let remedy =
            "add [[listeners]] with address = \"0.0.0.0:8443\"; listeners with \"http\" only redirect";
        return Err(Problem::new(&key, fault, remedy));
    }
    Ok(listeners)
}

/// The address of the admin endpoint. It has no authentication of its own, so it stays on this machine unless
/// the configuration says otherwise in words.
pub(super) fn admin(raw: &RawAdmin, listeners: &[Listener]) -> Result<SocketAddr, Problem> {
    let key = KeyPath::root().child("admin").child("address");
    let address = address(&key, &raw.address)?;
    if !address.ip().to_canonical().is_loopback() && !raw.allow_remote {
        let fault =
            format!("{address} can be reached from other machines, and the endpoint asks for no password");
        let remedy = "use a loopback address such as 127.0.0.1:9901, or set allow_remote = true";
        return Err(Problem::new(&key, fault, remedy));
    }
    match clash(address, listeners) {
        None => Ok(address),
        Some(fault) => Err(Problem::new(&key, fault, "give the admin endpoint its own")),
    }
}

/// Says which listener has this address already, or one that is part of it or that it is part of: the kernel
/// gives each to one socket.
fn clash(address: SocketAddr, listeners: &[Listener]) -> Option<String> {
    let other = listeners
        .iter()
        .find(|listener| overlap(listener.address, address))?;
    let Listener {
        key, address: taken, ..
    } = other;
    Some(match *taken == address {
        true => format!("{address} is the address of {key} too"),
        false => format!("{address} and {taken}, the address of {key}, overlap"),
    })
}

/// True if a connection could belong to either address. Port 0 is never twice the same.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let includes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    let same = a_ip == b_ip && scope(a) == scope(b);
    a.port() != 0 && a.port() == b.port() && (same || includes(a_ip, b_ip) || includes(b_ip, a_ip))
}

/// The interface of a link-local address, which is another address on each.
fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

fn listener(key: &KeyPath, raw: &RawListener) -> Result<Listener, Problem> {
    let address = address(&key.child("address"), &raw.address)?;
    let protocol = match raw.protocol.as_deref() {
        None => Protocol::Https,
        Some(name) => {
            let protocols = [("https", Protocol::Https), ("http", Protocol::Http)];
            choose(&key.child("protocol"), name, &protocols)?
        }
    };
    Ok(Listener {
        key: key.clone(),
        address,
        protocol,
    })
}

fn address(key: &KeyPath, text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| {
        let remedy = "give an IP address and a port, such as 0.0.0.0:8443, 127.0.0.1:0 or [::]:8443";
        Problem::new(key, format!("{text:?} is no address to listen on"), remedy)
    })
}
