//! Sockets of this machine's loopback, at ports that the kernel chooses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;

use super::*;

fn exclusive(address: &str, cores: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let patience = Duration::from_secs(10);
    bind_one(address.parse().unwrap(), cores, Claim::Exclusive { patience })
}

/// The same port at other addresses that include it, or are included.
fn others_of(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let all = [
        format!("127.0.0.1:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
    ];
    all.into_iter().filter(|_| is_v6_spoken()).collect()
}

/// True if IPv6 is switched on. Without IPv6 there is nothing to clash with.
fn is_v6_spoken() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

fn is_taken(result: &io::Result<(SocketAddr, Vec<TcpListener>)>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

#[test]
fn a_second_server_is_refused_whatever_the_first_has_many_cores_or_one() {
    for cores in [1, 3] {
        let (address, _sockets) = exclusive("127.0.0.1:0", cores).unwrap();
        for other in others_of(address).iter().chain([&address.to_string()]) {
            for many in [1, 3] {
                let second = exclusive(other, many);
                assert!(is_taken(&second), "{cores} at {address}, {many} at {other}");
            }
        }
    }
}

#[test]
fn a_specific_address_is_refused_where_somebody_listens_at_all() {
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let Ok((all, _sockets)) = exclusive(everywhere, 2) else {
            assert!(!is_v6_spoken());
            continue;
        };
        let second = exclusive(&format!("127.0.0.1:{}", all.port()), 2);
        assert!(is_taken(&second), "{all}");
    }
}

#[test]
fn servers_that_start_at_once_leave_exactly_one() {
    const SERVERS: usize = 4;
    for _ in 0..20 {
        let address = exclusive("127.0.0.1:0", 1).unwrap().0.to_string();
        let start = Barrier::new(SERVERS);
        let started: Vec<_> = thread::scope(|scope| {
            let server = || {
                start.wait();
                exclusive(&address, 2)
            };
            let servers: Vec<_> = (0..SERVERS).map(|_| scope.spawn(server)).collect();
            servers.into_iter().map(|server| server.join().unwrap()).collect()
        });
        assert_eq!(started.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(
            started.iter().filter(|result| is_taken(result)).count(),
            SERVERS - 1
        );
    }
}

#[test]
fn every_core_gets_connections_though_the_first_socket_shared_last() {
    const CORES: usize = 3;
    const CLIENTS: usize = 100;
    let (address, sockets) = exclusive("127.0.0.1:0", CORES).unwrap();
    let _clients: Vec<_> = (0..CLIENTS)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let queued = |socket: &TcpListener| {
        socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| socket.accept().ok()).count()
    };
    let queued: Vec<usize> = sockets.iter().map(queued).collect();
    assert_eq!(queued.iter().sum::<usize>(), CLIENTS, "{queued:?}");
    // By a hash with a key of its own: that one gets none of a hundred happens once in 10^17 runs.
    assert!(queued.iter().all(|count| *count > 0), "{queued:?}");
}

#[test]
fn who_shares_an_address_leaves_room_for_another_that_does_and_for_no_other() {
    let shared = |address: SocketAddr| bind_one(address, 2, Claim::Shared);
    let (address, _first) = shared("127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(is_taken(&exclusive(&address.to_string(), 2)));
    assert!(shared(address).is_ok());
    let (alone, _sockets) = exclusive("127.0.0.1:0", 1).unwrap();
    assert!(is_taken(&shared(alone)));
}

#[test]
fn a_refusal_names_address_and_remedy() {
    let address = "0.0.0.0:443".parse().unwrap();
    let said = |kind: io::ErrorKind| {
        let (fault, remedy) = explain(address, &kind.into(), None);
        assert!(fault.contains("0.0.0.0:443"), "{fault}");
        format!("{fault}; {remedy}")
    };
    assert!(said(io::ErrorKind::AddrInUse).contains("reuse_port"));
    let denied = said(io::ErrorKind::PermissionDenied);
    assert!(
        denied.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        "{denied}"
    );
    assert!(said(io::ErrorKind::AddrNotAvailable).contains("ip address"));
    assert!(said(io::ErrorKind::OutOfMemory).contains("memory"));
}
