//! The managed service's security policies: protocol versions and cipher suites, as data.
//!
//! Owns names and contents. The TLS module turns them into its library's terms. A policy is offered only
//! where the server can honour all of it; what it cannot honour is refused by name, never weakened or
//! strengthened in silence.

/// A policy that the server can honour in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SecurityPolicy {
    /// `TLSv1.2_2021`
    #[default]
    Tls12From2021,
    /// `TLSv1.2_2025`
    Tls12From2025,
    /// `TLSv1.3_2025`
    Tls13From2025,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

impl SecurityPolicy {
    pub const ALL: [Self; 3] = [Self::Tls12From2021, Self::Tls12From2025, Self::Tls13From2025];

    /// The managed service's name of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12From2021 => "TLSv1.2_2021",
            Self::Tls12From2025 => "TLSv1.2_2025",
            Self::Tls13From2025 => "TLSv1.3_2025",
        }
    }

    /// Oldest first.
    pub fn versions(self) -> &'static [TlsVersion] {
        match self {
            Self::Tls12From2021 | Self::Tls12From2025 => &[TlsVersion::Tls12, TlsVersion::Tls13],
            Self::Tls13From2025 => &[TlsVersion::Tls13],
        }
    }

    /// Suites in the documented order, in which the server prefers them. TLS 1.3 suites, whose registered
    /// names would not tell them from older ones, begin with `TLS13_`, as the TLS library spells them.
    pub fn cipher_suites(self) -> &'static [&'static str] {
        match self {
            Self::Tls12From2021 => &[
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ],
            Self::Tls12From2025 => &[
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            ],
            Self::Tls13From2025 => &[
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_CHACHA20_POLY1305_SHA256",
            ],
        }
    }

    /// Key exchange groups in the order in which they are offered, the same for every policy; the hybrids are
    /// for TLS 1.3 alone. ML-KEM without a curve beside it is in none.
    pub fn key_exchange_groups(self) -> &'static [&'static str] {
        &[
            "X25519MLKEM768",
            "secp256r1MLKEM768",
            "X25519",
            "secp256r1",
            "secp384r1",
        ]
    }

    pub fn parse(name: &str) -> Result<Self, UnusablePolicy> {
        if let Some(policy) = Self::ALL.into_iter().find(|policy| policy.as_str() == name) {
            return Ok(policy);
        }
        let reason = UNHONOURED
            .iter()
            .find(|(unhonoured, _)| *unhonoured == name)
            .map(|(_, reason)| *reason);
        Err(reason.map_or(UnusablePolicy::Unknown, UnusablePolicy::NotHonoured))
    }
}

/// A name that is no usable policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusablePolicy {
    Unknown,
    /// The service has it; what it needs that this server does not speak.
    NotHonoured(&'static str),
}

/// The service's policies that promise more than the server speaks. `TLSv1.2_2021` is the nearest to each.
const UNHONOURED: [(&str, &str); 6] = [
    ("TLSv1.2_2019", "CBC cipher suites"),
    ("TLSv1.2_2018", "CBC cipher suites and RSA key exchange"),
    ("TLSv1.1_2016", "TLS 1.1, CBC cipher suites and RSA key exchange"),
    ("TLSv1_2016", "TLS 1.0, CBC cipher suites and RSA key exchange"),
    ("TLSv1", "TLS 1.0, 3DES and RSA key exchange"),
    ("SSLv3", "SSL 3.0, RC4 and RSA key exchange"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_the_service_is_either_honoured_or_refused_with_a_reason() {
        let service = [
            "SSLv3",
            "TLSv1",
            "TLSv1_2016",
            "TLSv1.1_2016",
            "TLSv1.2_2018",
            "TLSv1.2_2019",
            "TLSv1.2_2021",
            "TLSv1.3_2025",
            "TLSv1.2_2025",
        ];
        let honoured = service
            .iter()
            .filter(|name| SecurityPolicy::parse(name).is_ok())
            .count();
        assert_eq!(honoured, SecurityPolicy::ALL.len());
        assert!(
            service
                .iter()
                .all(|name| SecurityPolicy::parse(name) != Err(UnusablePolicy::Unknown))
        );
        assert_eq!(
            SecurityPolicy::parse("tlsv1.2_2021"),
            Err(UnusablePolicy::Unknown)
        );
    }

    #[test]
    fn the_tls_library_speaks_every_suite_of_every_policy() {
        let spoken: Vec<&str> = rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES
            .iter()
            .filter_map(|suite| suite.suite().as_str())
            .collect();
        for policy in SecurityPolicy::ALL {
            for suite in policy.cipher_suites() {
                assert!(spoken.contains(suite), "{}: {suite}", policy.as_str());
            }
        }
    }

    #[test]
    fn the_tls_library_speaks_every_group_and_no_policy_has_a_group_without_a_curve() {
        let spoken: Vec<&str> = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS
            .iter()
            .filter_map(|group| group.name().as_str())
            .collect();
        for policy in SecurityPolicy::ALL {
            let groups = policy.key_exchange_groups();
            assert!(groups.iter().all(|group| spoken.contains(group)), "{groups:?}");
            assert!(
                !groups.iter().any(|group| group.starts_with("MLKEM")),
                "{groups:?}"
            );
        }
    }

    #[test]
    fn suites_fit_the_versions_of_their_policy() {
        for policy in SecurityPolicy::ALL {
            let older = policy
                .cipher_suites()
                .iter()
                .any(|suite| suite.starts_with("TLS_"));
            assert_eq!(
                older,
                policy.versions().contains(&TlsVersion::Tls12),
                "{}",
                policy.as_str()
            );
        }
    }
}
