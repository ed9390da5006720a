//! Records of a client on the wire, one by one: together, apart, in halves.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::tls_client::Connection;

impl Connection {
    /// Each of these in a record of its own, all of them at once.
    pub fn write_records(&mut self, parts: impl Iterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
        let mut records = Vec::new();
        for part in parts {
            records.extend(self.records(part)?);
        }
        self.write_raw(&records)
    }

    /// These bytes and a close_notify, at once. Our direction of the socket stays open.
    pub fn write_last(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut records = self.records(bytes)?;
        let tls = &mut self.stream.get_mut().tls;
        tls.send_close_notify();
        tls.write_tls(&mut records)?;
        self.write_raw(&records)
    }

    /// The records that these bytes make, for [`Self::write_raw`].
    pub fn records(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
        let tls = &mut self.stream.get_mut().tls;
        tls.writer().write_all(bytes.as_ref())?;
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records)?;
        }
        Ok(records)
    }

    /// Sends the first half of the records that these bytes make. Returns the other half, for
    /// [`Self::write_raw`].
    pub fn write_first_half(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
        let mut records = self.records(bytes)?;
        let second_half = records.split_off(records.len() / 2);
        self.write_raw(&records)?;
        Ok(second_half)
    }

    /// Puts bytes on the wire as they are.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().tcp.write_all(bytes)
    }

    /// The connection's next record with these bytes as (part of) a handshake message, and the socket to send
    /// it on, for TLS 1.3: a thing that no TLS library would send of itself.
    pub fn into_handshake_record(self, bytes: &[u8]) -> (TcpStream, Vec<u8>) {
        let (tcp, mut keys) = self.into_keys();
        (tcp, keys.record(ContentType::Handshake, bytes))
    }

    /// Sends each of these (content type, contents) in a record of its own, encrypted as TLS 1.3 has it,
    /// whatever they are. Returns the number of the alert that the server answers with.
    pub fn answer_to_records(self, records: &[(u8, &[u8])]) -> Option<u8> {
        let (mut tcp, mut keys) = self.into_keys();
        for (content_type, bytes) in records {
            let record = keys.record(ContentType::from(*content_type), bytes);
            // The server may have closed already.
            let _ = tcp.write_all(&record);
        }
        keys.read_alert(&mut tcp)
    }

    /// The same for octets as they are.
    pub fn answer_to_octets(self, octets: &[u8]) -> Option<u8> {
        let (mut tcp, mut keys) = self.into_keys();
        tcp.write_all(octets).expect("room in the socket");
        keys.read_alert(&mut tcp)
    }

    fn into_keys(self) -> (TcpStream, Keys) {
        let stream = self.stream.into_inner();
        let Some(SupportedCipherSuite::Tls13(suite)) = stream.tls.negotiated_cipher_suite() else {
            panic!("TLS 1.3 is spoken");
        };
        let secrets = stream.tls.dangerous_extract_secrets().unwrap();
        let ((sent, ours), (received, theirs)) = (secrets.tx, secrets.rx);
        let ((our_key, our_iv), (their_key, their_iv)) = (key(ours), key(theirs));
        let keys = Keys {
            sent,
            encrypter: suite.aead_alg.encrypter(our_key, our_iv),
            received,
            decrypter: suite.aead_alg.decrypter(their_key, their_iv),
        };
        (stream.tcp, keys)
    }
}

/// Both directions' keys, taken from the TLS library.
struct Keys {
    sent: u64,
    encrypter: Box<dyn MessageEncrypter>,
    received: u64,
    decrypter: Box<dyn MessageDecrypter>,
}

impl Keys {
    fn record(&mut self, typ: ContentType, bytes: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(bytes),
        };
        let record = self.encrypter.encrypt(message, self.sent);
        self.sent += 1;
        record.unwrap().encode()
    }

    /// Reads on until there is one; what else comes is skipped.
    fn read_alert(&mut self, tcp: &mut TcpStream) -> Option<u8> {
        loop {
            let mut header = [0; 5];
            tcp.read_exact(&mut header).ok()?;
            let mut payload = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
            tcp.read_exact(&mut payload).ok()?;
            let record = InboundOpaqueMessage::new(
                ContentType::from(header[0]),
                ProtocolVersion::TLSv1_2,
                &mut payload,
            );
            let plain = self
                .decrypter
                .decrypt(record, self.received)
                .expect("a record of the server");
            self.received += 1;
            if let (ContentType::Alert, [_, number]) = (plain.typ, plain.payload) {
                return Some(*number);
            }
        }
    }
}

fn key(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("an AEAD of TLS 1.3");
    };
    (key, iv)
}
