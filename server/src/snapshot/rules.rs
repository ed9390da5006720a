//! Words of the configuration about clients, as `trust` knows them: the only place where the two meet.

use bothways_config::{CaWithoutCrl, MtlsMode, OutOfDateCrl, TrustStoreConfig, ViewerMtls};
use bothways_trust::{Mode, OutOfDate, RevocationSet, Rules, WithoutCrl};

/// Rules of a distribution that judges its clients as `mtls` says, by the trust store `store`, under which
/// `revocations` are revoked.
pub(super) fn rules(store: &TrustStoreConfig, revocations: &RevocationSet, mtls: &ViewerMtls) -> Rules {
    Rules {
        mode: mode(mtls.mode),
        allow_v1: store.allow_v1_client_certificates,
        ignore_expiry: mtls.ignore_certificate_expiry,
        out_of_date_crl: out_of_date(store.out_of_date_crl),
        ca_without_crl: store
            .ca_without_crl
            .map_or_else(|| without_crl_by_default(revocations), without_crl),
        required_purposes: store.required_extended_key_usage.clone(),
        chain_depth_max: store.max_chain_depth,
    }
}

fn mode(mode: MtlsMode) -> Mode {
    match mode {
        MtlsMode::Required => Mode::Required,
        MtlsMode::Optional => Mode::Optional,
    }
}

fn out_of_date(rule: OutOfDateCrl) -> OutOfDate {
    match rule {
        OutOfDateCrl::Reject => OutOfDate::Reject,
        OutOfDateCrl::AcceptAndLog => OutOfDate::AcceptAndLog,
    }
}

fn without_crl(rule: CaWithoutCrl) -> WithoutCrl {
    match rule {
        CaWithoutCrl::Accept => WithoutCrl::Accept,
        CaWithoutCrl::AcceptAndLog => WithoutCrl::AcceptAndLog,
        CaWithoutCrl::Reject => WithoutCrl::Reject,
    }
}

/// An operator without CRLs has chosen to go without. An operator who has CRLs, but not of each CA, is told
/// about the other CAs.
fn without_crl_by_default(revocations: &RevocationSet) -> WithoutCrl {
    match revocations.has_crls() {
        true => WithoutCrl::AcceptAndLog,
        false => WithoutCrl::Accept,
    }
}
