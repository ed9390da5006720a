//! What a client puts on the wire, record by record: together, apart, in halves.

use std::io::{self, Write as _};
use std::net::TcpStream;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
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

    /// Sends the first half of the records that these bytes make. Returns the other half, for [`Self::write_raw`].
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

    /// The connection's next record with these bytes as (part of) a handshake message, and the socket to send it on, for TLS 1.3: a thing that no TLS
    /// library would send of itself.
    pub fn into_handshake_record(self, bytes: &[u8]) -> (TcpStream, Vec<u8>) {
        let stream = self.stream.into_inner();
        let Some(SupportedCipherSuite::Tls13(suite)) = stream.tls.negotiated_cipher_suite() else {
            panic!("TLS 1.3 is spoken");
        };
        let secrets = stream.tls.dangerous_extract_secrets().unwrap();
        let (sequence_number, secrets) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("an AEAD of TLS 1.3");
        };
        let message = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(bytes),
        };
        let record = suite
            .aead_alg
            .encrypter(key, iv)
            .encrypt(message, sequence_number);
        (stream.tcp, record.unwrap().encode())
    }
}
