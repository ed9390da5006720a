//! A yardstick: what hyper, tokio and tokio-rustls give to somebody who puts them together as their examples
//! do.
//!
//! Runs one thread. TLS 1.3 and 1.2 on AWS-LC, a certificate of every client, HTTP/1.1 and HTTP/2 by ALPN,
//! session tickets by rustls' own ticketer. Answers 13 bytes, on `/large` 100,000. Keeps no log, watches no
//! clock and knows no limits: it is what a server costs without them. Usage: yardstick-hyper PORT
//! CERTIFICATES.pem KEY.pem CLIENT_AUTHORITIES.pem

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

static SMALL: &[u8] = b"Hello, World!";
static LARGE: [u8; 100_000] = [b'x'; 100_000];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, certificates, key, authorities] = arguments.as_slice() else {
        return Err("usage: yardstick-hyper PORT CERTIFICATES.pem KEY.pem CLIENT_AUTHORITIES.pem".into());
    };
    let config = tls_config(certificates, key, authorities)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve(port.parse()?, TlsAcceptor::from(Arc::new(config))))
}

fn tls_config(certificates: &str, key: &str, authorities: &str) -> Result<ServerConfig, Failure> {
    // The provider of the process, so that verifier and connections share it.
    let _first = default_provider().install_default();
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(authorities)? {
        roots.add(authority?)?;
    }
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let chain = CertificateDer::pem_file_iter(certificates)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

async fn serve(port: u16, tls: TlsAcceptor) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, tls.clone()));
    }
}

/// Errors end their connection and nothing else: clients without a certificate come and go.
async fn connection(stream: TcpStream, tls: TlsAcceptor) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(tls.accept(stream).await?);
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(stream, service_fn(answer))
        .await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.uri().path() == "/large" {
        Bytes::from_static(&LARGE)
    } else {
        Bytes::from_static(SMALL)
    };
    Ok(Response::new(Full::new(body)))
}
