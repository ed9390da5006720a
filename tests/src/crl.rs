//! The revocation lists that the tests' authorities sign.

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, KeyIdMethod,
    RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::pki::{Authority, Day, NOT_YET, VALID, midnight};

impl Authority {
    /// A CRL of this authority, valid today, that lists these serial numbers (DER).
    pub fn crl(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.crl_for(serials, VALID)
    }

    /// The CRL of one of several distribution points (DER).
    pub fn partition_crl(&self, uri: &str, serials: &[&[u8]]) -> Vec<u8> {
        let distribution_point = CrlDistributionPoint {
            uris: vec![uri.to_owned()],
        };
        let point = CrlIssuingDistributionPoint {
            distribution_point,
            scope: None,
        };
        self.crl_of(serials, VALID, Some(point))
    }

    /// A CRL whose next update should have come long ago (DER).
    pub fn out_of_date_crl(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.crl_for(serials, (VALID.0, (2025, 1, 1)))
    }

    /// A CRL that is not valid for years yet (DER).
    pub fn future_crl(&self, serials: &[&[u8]]) -> Vec<u8> {
        self.crl_for(serials, NOT_YET)
    }

    fn crl_for(&self, serials: &[&[u8]], period: (Day, Day)) -> Vec<u8> {
        self.crl_of(serials, period, None)
    }

    fn crl_of(
        &self,
        serials: &[&[u8]],
        (this_update, next_update): (Day, Day),
        issuing_distribution_point: Option<CrlIssuingDistributionPoint>,
    ) -> Vec<u8> {
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: midnight!((2024, 6, 1)),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: midnight!(this_update),
            next_update: midnight!(next_update),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

/// The CRL with one bit of its signature turned.
pub fn corrupted(mut crl: Vec<u8>) -> Vec<u8> {
    *crl.last_mut().expect("a CRL has octets") ^= 1;
    crl
}
