//! CAs with limits, and with more certificates than one.

use rcgen::{ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints};

use crate::pem::pem;
use crate::pki::{Authority, authority_params, next_serial};

impl Authority {
    /// A root whose clients may have e-mail addresses at this host alone (nameConstraints, critical).
    pub fn root_for_mail_at(name: &str, host: &str) -> Self {
        Self::self_signed(name, |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::Rfc822Name(host.to_owned())],
                excluded_subtrees: Vec::new(),
            });
        })
    }

    /// Another certificate of this root, with the same key, that lets it issue servers alone.
    pub fn pem_for_servers(&self, name: &str) -> String {
        let mut params = authority_params(name, &next_serial());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(self.issuer.key()).unwrap();
        pem("CERTIFICATE", certificate.der())
    }
}
