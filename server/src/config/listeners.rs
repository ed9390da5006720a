//! `[[listeners]]` and `[admin]`: the addresses that the server opens.

use std::collections::HashMap;
use std::net::SocketAddr;

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
    let mut taken = HashMap::new();
    let mut listeners = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let listener = listener(&key.index(index), raw)?;
        let first = if listener.address.port() == 0 {
            None
        } else {
            taken.insert(listener.address, index)
        };
        if let Some(first) = first {
            let fault = format!("{} is the address of listeners[{first}] too", listener.address);
            return Err(Problem::new(
                &listener.key.child("address"),
                fault,
                "give each listener its own",
            ));
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

/// The address of the admin endpoint. It has no authentication of its own, so it stays on this machine unless the
/// configuration says otherwise in words.
pub(super) fn admin(raw: &RawAdmin, listeners: &[Listener]) -> Result<SocketAddr, Problem> {
    let key = KeyPath::root().child("admin").child("address");
    let address = address(&key, &raw.address)?;
    if !address.ip().to_canonical().is_loopback() && !raw.allow_remote {
        let fault =
            format!("{address} can be reached from other machines, and the endpoint asks for no password");
        let remedy = "use a loopback address such as 127.0.0.1:9901, or set allow_remote = true";
        return Err(Problem::new(&key, fault, remedy));
    }
    let same = listeners
        .iter()
        .find(|listener| listener.address == address && address.port() != 0);
    match same {
        None => Ok(address),
        Some(listener) => {
            let fault = format!("{address} is the address of {} too", listener.key);
            Err(Problem::new(&key, fault, "give the admin endpoint its own"))
        }
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
