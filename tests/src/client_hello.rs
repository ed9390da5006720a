//! ClientHellos by hand: what no TLS library would send of itself.

/// A ClientHello in the making. By default it offers TLS 1.3 and 1.2, with what servers of today take.
#[derive(Clone)]
pub struct Hello {
    legacy_version: u16,
    suites: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
}

pub const SERVER_NAME: u16 = 0;
pub const SUPPORTED_GROUPS: u16 = 10;
pub const SIGNATURE_ALGORITHMS: u16 = 13;
pub const ALPN: u16 = 16;
pub const SUPPORTED_VERSIONS: u16 = 43;
pub const KEY_SHARE: u16 = 51;
pub const RENEGOTIATION_INFO: u16 = 0xff01;

const X25519: u16 = 29;

impl Hello {
    pub fn new() -> Self {
        let share = [&X25519.to_be_bytes()[..], &vector(2, &[9; 32])].concat();
        Self {
            legacy_version: 0x0303,
            // AES-128-GCM of TLS 1.3; ECDHE with ECDSA and RSA.
            suites: vec![0x1301, 0xc02b, 0xc02f],
            extensions: vec![
                (SUPPORTED_VERSIONS, vector(1, &[3, 4, 3, 3])),
                (SUPPORTED_GROUPS, numbers(&[X25519, 23, 24])),
                (SIGNATURE_ALGORITHMS, numbers(&[0x0403, 0x0804, 0x0401])),
                (KEY_SHARE, vector(2, &share)),
            ],
        }
    }

    /// Without what came with TLS 1.3.
    pub fn tls12() -> Self {
        Self::new().without(SUPPORTED_VERSIONS).without(KEY_SHARE)
    }

    pub fn legacy_version(self, legacy_version: u16) -> Self {
        Self {
            legacy_version,
            ..self
        }
    }

    pub fn suites(self, suites: &[u16]) -> Self {
        Self {
            suites: suites.to_vec(),
            ..self
        }
    }

    pub fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(other, _)| *other != kind);
        self
    }

    /// With an extension of these contents, in place of another of its kind.
    pub fn with(self, kind: u16, contents: impl Into<Vec<u8>>) -> Self {
        let mut changed = self.without(kind);
        changed.extensions.push((kind, contents.into()));
        changed
    }

    /// With a list of numbers of two octets each.
    pub fn with_numbers(self, kind: u16, list: &[u16]) -> Self {
        self.with(kind, numbers(list))
    }

    pub fn named(self, name: impl AsRef<[u8]>) -> Self {
        let name = [&[0], &vector(2, name.as_ref())[..]].concat();
        self.with(SERVER_NAME, vector(2, &name))
    }

    pub fn protocols(self, names: &[&str]) -> Self {
        let names: Vec<u8> = names.iter().flat_map(|name| vector(1, name.as_bytes())).collect();
        self.with(ALPN, vector(2, &names))
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        let suites: Vec<u8> = self.suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let mut body = self.legacy_version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend(vector(1, &[9; 32]));
        body.extend(vector(2, &suites));
        body.extend(vector(1, &[0]));
        let extension =
            |(kind, contents): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &vector(2, contents)].concat();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(extension).collect();
        body.extend(vector(2, &extensions));
        [&[1], &vector(3, &body)[..]].concat()
    }

    /// The same in one record.
    pub fn record(&self) -> Vec<u8> {
        record(22, &self.message())
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self::new()
    }
}

/// A record in the clear.
pub fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    [&[content_type, 3, 1], &vector(2, payload)[..]].concat()
}

fn numbers(list: &[u16]) -> Vec<u8> {
    let list: Vec<u8> = list.iter().flat_map(|number| number.to_be_bytes()).collect();
    vector(2, &list)
}

/// Contents behind their length of so many octets.
fn vector(length_octets: usize, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    [&length[length.len() - length_octets..], contents].concat()
}
