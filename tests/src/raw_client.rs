//! A TCP client that sends whatever it is told to, and tells how the server ended the connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::tls_client::{Ending, local_port, open};

pub struct Raw {
    pub port: u16,
    tcp: TcpStream,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(open(address))
    }

    pub fn over(tcp: TcpStream) -> Self {
        Self {
            port: local_port(&tcp),
            tcp,
        }
    }

    /// Sends as much as the server takes; a refusal to take more shows in `read_to_end`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.tcp.write_all(bytes.as_ref());
    }

    /// Ends our direction.
    pub fn finish(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Everything that the server sends, and how it ends.
    pub fn read_to_end(&mut self) -> (Vec<u8>, Ending) {
        let mut bytes = Vec::new();
        let ending = match self.tcp.read_to_end(&mut bytes).map_err(|error| error.kind()) {
            Ok(_) => Ending::Eof,
            Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ending::Timeout,
            Err(_) => Ending::Reset,
        };
        (bytes, ending)
    }
}

/// The handshake message in these TLS records, cut anew into records of `octets` octets each.
pub fn reframed(records: &[u8], octets: usize) -> Vec<u8> {
    let (header, mut payload, mut rest) = (&records[..3], Vec::new(), records);
    while let [_, _, _, high, low, ..] = rest {
        let end = 5 + usize::from(u16::from_be_bytes([*high, *low]));
        payload.extend_from_slice(&rest[5..end]);
        rest = &rest[end..];
    }
    let framed = |piece: &[u8]| {
        let length = u16::try_from(piece.len()).expect("a record's length");
        [header, &length.to_be_bytes(), piece].concat()
    };
    payload.chunks(octets).flat_map(framed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_anew_without_losing_an_octet() {
        let records = [0x16, 3, 1, 0, 3, 1, 2, 3, 0x16, 3, 1, 0, 2, 4, 5];
        let cut = [
            0x16, 3, 1, 0, 2, 1, 2, 0x16, 3, 1, 0, 2, 3, 4, 0x16, 3, 1, 0, 1, 5,
        ];
        assert_eq!(reframed(&records, 2), cut);
    }
}
