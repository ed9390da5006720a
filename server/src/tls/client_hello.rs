//! Contents of a ClientHello, as far as they are looked at before the TLS library reads them.
//!
//! Owns the host name that the client asks for, the lists that it offers, and the rules whose breach the
//! library would let pass or answer with a wrong alert. Borrows the message. A malformed part that is not
//! needed here is left to the library, which reads everything.

use std::net::IpAddr;

use bothways_config::{HostName, InvalidHost};

use super::alerts::{
    DECODE_ERROR, HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, INAPPROPRIATE_FALLBACK, MISSING_EXTENSION,
    PROTOCOL_VERSION,
};
use super::unfit::Unfit;

/// ClientHello of one client (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). Lists are without their length, and not
/// checked.
#[derive(Default)]
pub struct ClientHello<'a> {
    legacy_version: u16,
    cipher_suites: &'a [u8],
    /// The first host name of `server_name`; empty where the extension has none.
    server_name: Option<&'a [u8]>,
    supported_versions: Option<&'a [u8]>,
    supported_groups: Option<&'a [u8]>,
    signature_algorithms: Option<&'a [u8]>,
    protocols: Option<&'a [u8]>,
    renegotiation_info: Option<&'a [u8]>,
    has_key_share: bool,
    has_pre_shared_key: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads a whole message, header included.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(message: &'a [u8]) -> Result<Self, Unfit> {
        Self::read(message).ok_or_else(|| Unfit::alert(DECODE_ERROR, "the ClientHello is malformed"))
    }

    fn read(message: &'a [u8]) -> Option<Self> {
        let mut header = Octets(message);
        header.take(1)?;
        let mut body = Octets(header.vector(3)?);
        let mut hello = Self {
            legacy_version: body.u16()?,
            ..Self::default()
        };
        body.take(RANDOM_BYTES)?;
        let _session_id = body.vector(1)?;
        hello.cipher_suites = body.vector(2)?;
        let _compression_methods = body.vector(1)?;
        if body.0.is_empty() {
            // Without extensions, as before TLS 1.2.
            return Some(hello);
        }
        let mut extensions = Octets(body.vector(2)?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            hello.note(kind, Octets(extensions.vector(2)?))?;
        }
        body.0.is_empty().then_some(hello)
    }

    fn note(&mut self, kind: u16, mut extension: Octets<'a>) -> Option<()> {
        match kind {
            SERVER_NAME => self.server_name = Some(host_name(Octets(extension.vector(2)?))?),
            SUPPORTED_GROUPS => self.supported_groups = Some(extension.vector(2)?),
            SIGNATURE_ALGORITHMS => self.signature_algorithms = Some(extension.vector(2)?),
            APPLICATION_LAYER_PROTOCOL_NEGOTIATION => self.protocols = Some(extension.vector(2)?),
            SUPPORTED_VERSIONS => self.supported_versions = Some(extension.vector(1)?),
            RENEGOTIATION_INFO => self.renegotiation_info = Some(extension.vector(1)?),
            KEY_SHARE => self.has_key_share = true,
            PRE_SHARED_KEY => self.has_pre_shared_key = true,
            _ => {}
        }
        Some(())
    }

    /// Checks the rules that hold for every distribution.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Unfit> {
        if self.legacy_version <= SSL_3_0 {
            // RFC 8446 §D.5, RFC 7568.
            return Err(Unfit::alert(
                PROTOCOL_VERSION,
                "the client offers SSL 3.0, which is not spoken",
            ));
        }
        if !self.offers(TLS_1_3) && !self.offers(TLS_1_2) {
            return Err(Unfit::alert(PROTOCOL_VERSION, self.too_old()));
        }
        if self.renegotiation_info.is_some_and(|info| !info.is_empty()) {
            // RFC 5746 §3.6.
            let reason =
                "the client takes its first handshake for a renegotiation (renegotiation_info is not empty)";
            return Err(Unfit::alert(HANDSHAKE_FAILURE, reason));
        }
        if !self.offers(TLS_1_3) && u16s(self.cipher_suites).any(|suite| suite == TLS_FALLBACK_SCSV) {
            // RFC 7507 §3.
            let reason = "the client fell back to an older version after a failure \
                (TLS_FALLBACK_SCSV), though TLS 1.3 is spoken";
            return Err(Unfit::alert(INAPPROPRIATE_FALLBACK, reason));
        }
        match self.missing() {
            Some(extension) if self.offers(TLS_1_3) => {
                let reason = format!("the ClientHello offers TLS 1.3 and lacks the extension {extension}");
                Err(Unfit::alert(MISSING_EXTENSION, reason))
            }
            _ => Ok(()),
        }
    }

    /// Name of an extension that TLS 1.3 demands and that is missing (RFC 8446 §9.2).
    fn missing(&self) -> Option<&'static str> {
        let needs_certificate = !self.has_pre_shared_key;
        match (self.supported_groups.is_some(), self.has_key_share) {
            _ if needs_certificate && self.signature_algorithms.is_none() => Some("signature_algorithms"),
            (true, false) => Some("key_share"),
            (false, true) => Some("supported_groups"),
            (false, false) if needs_certificate => Some("supported_groups"),
            _ => None,
        }
    }

    /// True if the client speaks this version. `supported_versions` alone counts where it is there
    /// (RFC 8446 §4.2.1).
    pub(crate) fn offers(&self, version: u16) -> bool {
        match self.supported_versions {
            Some(versions) => u16s(versions).any(|offered| offered == version),
            None => version <= TLS_1_2 && self.legacy_version >= version,
        }
    }

    fn too_old(&self) -> String {
        let newest = match self.supported_versions {
            Some(versions) => u16s(versions).filter(|version| *version <= TLS_1_3).max(),
            None => Some(self.legacy_version),
        };
        match newest {
            Some(SSL_3_0) => {
                "the client offers SSL 3.0 at most; TLS 1.2 is the oldest version that is spoken".to_owned()
            }
            Some(version @ TLS_1_0..=TLS_1_1) => {
                let minor = version - TLS_1_0;
                format!(
                    "the client offers TLS 1.{minor} at most; TLS 1.2 is the oldest version that is spoken"
                )
            }
            _ => "the client offers no version of TLS that is spoken".to_owned(),
        }
    }

    /// The host that the client asks for. A client that names an address has asked for no host (RFC 6066 §3).
    ///
    /// # Errors
    /// The name that the client asks for can be no host name. Such a name must not be taken for an unknown
    /// name: an unknown name may reach the default distribution.
    pub fn host(&self) -> Result<Option<HostName>, Unfit> {
        let Some(name) = self.server_name else {
            return Ok(None);
        };
        if name.is_empty() {
            return Err(Unfit::alert(
                DECODE_ERROR,
                "the client asked for an empty name (SNI)",
            ));
        }
        let text = std::str::from_utf8(name).map_err(|_| InvalidHost::Character);
        if text.is_ok_and(|text| text.parse::<IpAddr>().is_ok()) {
            return Ok(None);
        }
        match text.and_then(HostName::parse) {
            Ok(host) if host.ip().is_none() => Ok(Some(host)),
            Ok(_) => Err(no_host(name, InvalidHost::Address)),
            Err(why) => Err(no_host(name, why)),
        }
    }

    /// Numbers of the cipher suites offered.
    pub(crate) fn cipher_suites(&self) -> impl Iterator<Item = u16> {
        u16s(self.cipher_suites)
    }

    /// Numbers of the key exchange groups offered.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u16> {
        u16s(self.supported_groups.unwrap_or_default())
    }

    /// Names of the protocols offered (RFC 7301 §3.1); `None` without the extension.
    pub(crate) fn protocols(&self) -> Option<impl Iterator<Item = &'a [u8]>> {
        let mut list = Octets(self.protocols?);
        Some(std::iter::from_fn(move || list.vector(1)))
    }

    /// The name as the client sent it, valid or not, its unprintable octets escaped.
    pub fn sent_name(&self) -> Option<Box<str>> {
        self.server_name.map(shown)
    }
}

/// The first host name in a ServerNameList; empty where there is none. `None`: malformed.
fn host_name(mut list: Octets<'_>) -> Option<&[u8]> {
    match list.0 {
        [HOST_NAME, ..] => list.take(1).and_then(|_type| list.vector(2)),
        // Nobody knows how long a name of another type is, so what is behind it cannot be found.
        _ => Some(&[]),
    }
}

fn no_host(name: &[u8], why: InvalidHost) -> Unfit {
    let name = shown(name);
    Unfit::alert(
        ILLEGAL_PARAMETER,
        format!("the client asked for \"{name}\" (SNI), which is no host name: {why}"),
    )
}

fn shown(name: &[u8]) -> Box<str> {
    let front = name.get(..NAME_BYTES_SHOWN).unwrap_or(name);
    front.escape_ascii().to_string().into()
}

/// The numbers of a list of two octets each.
fn u16s(list: &[u8]) -> impl Iterator<Item = u16> {
    list.chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
}

/// Rest of a message, still to be read. Each method answers `None` where fewer octets are left than it needs.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)
            .and_then(|pair| pair.try_into().ok())
            .map(u16::from_be_bytes)
    }

    /// A vector whose length stands before it in `length_octets` octets (RFC 8446 §3.4).
    fn vector(&mut self, length_octets: usize) -> Option<&'a [u8]> {
        let length = self.take(length_octets)?;
        let length = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
        self.take(length)
    }
}

pub(crate) const TLS_1_3: u16 = 0x0304;
const TLS_1_2: u16 = 0x0303;
const TLS_1_1: u16 = 0x0302;
const TLS_1_0: u16 = 0x0301;
const SSL_3_0: u16 = 0x0300;
const RANDOM_BYTES: usize = 32;
const TLS_FALLBACK_SCSV: u16 = 0x5600;

// Extensions, as IANA lists them.
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const APPLICATION_LAYER_PROTOCOL_NEGOTIATION: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const RENEGOTIATION_INFO: u16 = 0xff01;
/// The one type of name that there is (RFC 6066 §3).
const HOST_NAME: u8 = 0;

/// Octets of a name that the record shows: no host name is longer.
const NAME_BYTES_SHOWN: usize = 255;

#[cfg(test)]
#[path = "client_hello_tests.rs"]
mod tests;
