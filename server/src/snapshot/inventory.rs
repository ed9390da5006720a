//! The parts of a snapshot, kind by kind. Here a new kind of part is entered.

use bothways_trust::TrustStore;
use bytes::Bytes;
use rustls::ServerConfig;

use super::hosts::Served;
use super::parts::{PartCount, Parts};
use super::revocations::LoadedRevocations;
use super::site::Site;
use crate::admission::{ClientPolicy, ServerIdentity};

/// All parts of a snapshot that the next one may keep.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) bundles: Parts<TrustStore>,
    pub(super) revocations: Parts<LoadedRevocations>,
    pub(super) hosts: Parts<Served>,
    pub(super) identities: Parts<ServerIdentity>,
    pub(super) client_policies: Parts<ClientPolicy>,
    pub(super) tls_configs: Parts<ServerConfig>,
    pub(super) bodies: Parts<Bytes>,
    pub(super) sites: Parts<Site>,
}

impl Inventory {
    /// Counts the parts of each kind that `before` has too, and the others.
    pub(super) fn counts(&self, before: &Self) -> [PartCount; 8] {
        [
            self.bundles.count("bundle", &before.bundles),
            self.revocations.count("revocations", &before.revocations),
            self.hosts.count("hosts", &before.hosts),
            self.identities.count("identity", &before.identities),
            self.client_policies
                .count("client policy", &before.client_policies),
            self.tls_configs.count("TLS configuration", &before.tls_configs),
            self.bodies.count("body", &before.bodies),
            self.sites.count("site", &before.sites),
        ]
    }
}

/// The parts of the snapshot before, and those of the snapshot that is being built.
pub(super) struct Loading<'b> {
    pub(super) before: &'b Inventory,
    pub(super) now: Inventory,
}

impl<'b> Loading<'b> {
    /// Loading of a snapshot that follows one with the parts `before`.
    pub(super) fn after(before: &'b Inventory) -> Self {
        Self {
            before,
            now: Inventory::default(),
        }
    }
}
