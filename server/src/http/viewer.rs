//! Viewer of one connection: the client, the site that it is served, and the resources of its core.
//!
//! Owns the state that all requests of a connection share, and the state that all connections of a core share
//! when they answer. Decides nothing: the stages of a request do. Runs on the connection's core.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bothways_functions::viewer::EdgeLocation;
use http::HeaderValue;

use super::activity::Activity;
use super::refusal::Refusals;
use crate::admission::ClientAuth;
use crate::logs::{ConnectionId, Console};
use crate::metrics::CoreCounters;
use crate::origin::{ClientKey, OriginPool, Share, Shares};
use crate::snapshot::Site;

/// Resources of one core that all its connections use to answer requests.
pub struct CoreResources {
    /// Number of the core, from 0.
    pub index: usize,
    /// Log lines of functions.
    pub console: RefCell<Console>,
    pub pool: Rc<OriginPool>,
    /// Share of each client in the pool.
    pub shares: Shares,
    pub counters: Arc<CoreCounters>,
    /// Complaints about requests that were refused.
    pub refusals: Refusals,
    /// Name of this machine.
    pub host_name: String,
}

/// Client of one connection, and the site that it is served.
pub struct Viewer {
    pub core: Rc<CoreResources>,
    pub site: Arc<Site>,
    pub client: ClientAuth,
    pub client_address: IpAddr,
    /// The address as text, for `X-Forwarded-For`.
    pub client_ip: HeaderValue,
    /// Share of the client in the origins' connections, once the client has asked for a connection.
    pub share: OnceCell<Share>,
    pub activity: Rc<Activity>,
    pub facts: ViewerFacts,
    /// The last `Host` that was found to be this distribution's: the next request most often has the same.
    pub known_host: RefCell<Option<HeaderValue>>,
}

impl Viewer {
    /// Share of the client, which a certificate or else an address stands for.
    pub(super) fn share(&self) -> &Share {
        self.share.get_or_init(|| {
            self.core.shares.of(match &self.client {
                ClientAuth::Verified(client) => ClientKey::Certificate(client.facts().sha256.as_str().into()),
                ClientAuth::Unchecked(_) | ClientAuth::NotPresented => {
                    ClientKey::of_address(self.client_address)
                }
            })
        })
    }
}

/// Facts about a connection that functions and the origin may be told.
pub struct ViewerFacts {
    pub connection_id: ConnectionId,
    /// Domain name of the distribution.
    pub domain_name: Arc<str>,
    /// The address that the client has connected to.
    pub server_ip: Option<IpAddr>,
    /// True if the distribution asks for certificates: then functions are told where there is none.
    pub asks_for_certificate: bool,
    /// Made for the first call.
    pub edge_location: OnceCell<Rc<EdgeLocation>>,
    /// Text of the connection's id, made when it is first asked for.
    pub id_text: OnceCell<String>,
}

impl ViewerFacts {
    /// The connection's id, as its record has it.
    pub fn id(&self) -> &str {
        self.id_text.get_or_init(|| self.connection_id.to_string())
    }
}
