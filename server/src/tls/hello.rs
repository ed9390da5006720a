//! The first bytes of a connection, until they are a whole ClientHello: in however many records and segments they come.
//!
//! Sans I/O, so that it can be fuzzed. rustls bounds what it keeps (64 KiB for one handshake message).

use rustls::server::{Accepted, Acceptor};

/// Gathers one ClientHello.
#[derive(Default)]
pub struct HelloReader(Acceptor);

/// Bytes that begin no TLS connection.
#[derive(Debug)]
pub struct HelloError {
    pub error: rustls::Error,
    /// The records that tell the peer so.
    pub alert: Vec<u8>,
}

impl HelloReader {
    /// Takes what it can from the front of `bytes`, and moves `bytes` on. `None`: more are needed.
    ///
    /// # Errors
    /// What has come so far cannot become a ClientHello.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Accepted>, HelloError> {
        while !bytes.is_empty() {
            if let Err(full) = self.0.read_tls(bytes) {
                let error = rustls::Error::General(full.to_string());
                return Err(HelloError {
                    error,
                    alert: Vec::new(),
                });
            }
            match self.0.accept() {
                Ok(None) => {}
                Ok(accepted) => return Ok(accepted),
                Err((error, mut alert)) => {
                    let mut records = Vec::new();
                    // Writing into a Vec cannot fail.
                    let _infallible = alert.write_all(&mut records);
                    return Err(HelloError {
                        error,
                        alert: records,
                    });
                }
            }
        }
        Ok(None)
    }
}
