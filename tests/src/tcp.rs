//! TCP connections as all clients here open them: bounded in time, without Nagle's delay.

use std::io;
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::PATIENCE;

/// End of a TCP stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Eof,
    Reset,
    Timeout,
}

/// Opens a connection.
pub fn open(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap_or_else(|e| panic!("connecting to {address}: {e}"));
    bounded(tcp)
}

/// Opens a connection whose segments, and with them what the server's kernel takes from the server before
/// they are acknowledged, are as small as may be. Nor does this side take much before it is read.
pub fn open_narrow(address: SocketAddr) -> TcpStream {
    let connect = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_tcp_mss(MSS_MIN)?;
        socket.set_recv_buffer_size(1)?;
        socket.connect(&address.into())?;
        io::Result::Ok(TcpStream::from(socket))
    };
    bounded(connect().unwrap_or_else(|e| panic!("connecting to {address}: {e}")))
}

pub fn local_port(tcp: &TcpStream) -> u16 {
    tcp.local_addr().expect("a connected socket").port()
}

/// Reads and drops everything up to the end of the stream.
pub fn read_to_end(tcp: &mut TcpStream) -> Ending {
    match io::copy(tcp, &mut io::sink()).map_err(|error| error.kind()) {
        Ok(_) => Ending::Eof,
        Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ending::Timeout,
        Err(_) => Ending::Reset,
    }
}

fn bounded(tcp: TcpStream) -> TcpStream {
    tcp.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    tcp.set_write_timeout(Some(PATIENCE)).expect("a time limit");
    tcp.set_nodelay(true).expect("a socket option");
    tcp
}

/// Least segment size that Linux lets a socket ask for (TCP_MIN_MSS).
const MSS_MIN: u32 = 88;
