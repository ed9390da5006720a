//! Certificates in a temporary folder.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// `server-ca.pem` vouches for `localhost`; the client CA signed `good-1` and `good-2`; `stranger` is signed
/// by a CA that the server does not know.
pub struct Pki {
    folder: TempDir,
    client_ca: CertificateDer<'static>,
}

impl Pki {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server_ca, client_ca, other_ca) = (
            authority("server CA"),
            authority("client CA"),
            authority("other CA"),
        );
        let pki = Pki {
            client_ca: client_ca.der().clone(),
            folder,
        };
        std::fs::write(pki.path("server-ca.pem"), server_ca.pem()).unwrap();
        pki.issue("server", &server_ca, ExtendedKeyUsagePurpose::ServerAuth);
        for name in ["good-1", "good-2"] {
            pki.issue(name, &client_ca, ExtendedKeyUsagePurpose::ClientAuth);
        }
        pki.issue("stranger", &other_ca, ExtendedKeyUsagePurpose::ClientAuth);
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap()]
    }

    pub fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap()
    }

    pub fn client_roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.client_ca.clone()).unwrap();
        roots
    }

    fn issue(&self, name: &str, issuer: &CertifiedIssuer<'_, KeyPair>, usage: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
