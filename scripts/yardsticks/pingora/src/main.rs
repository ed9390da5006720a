//! A yardstick: pingora as a server that answers by itself, with its rustls back end and a certificate of
//! every client.
//!
//! Runs one service of one thread. AWS-LC is installed as rustls' provider, where pingora would take ring if
//! nobody had chosen: so the cryptography is no difference. Sessions are kept as pingora leaves them, in
//! rustls' cache of 256. Answers 13 bytes, on `/large` 100,000. No log. Usage: yardstick-pingora PORT
//! CERTIFICATES.pem KEY.pem CLIENT_AUTHORITIES.pem

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::http::ServerSession;
use pingora::server::configuration::ServerConf;
use pingora::server::{Server, ShutdownWatch};
use pingora::services::listening::Service;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static SMALL: &[u8] = b"Hello, World!";
static LARGE: [u8; 100_000] = [b'x'; 100_000];
const KEEPALIVE_S: u64 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, certificates, key, authorities] = arguments.as_slice() else {
        return Err("usage: yardstick-pingora PORT CERTIFICATES.pem KEY.pem CLIENT_AUTHORITIES.pem".into());
    };
    let _first = default_provider().install_default();
    let mut service = Service::new("edge".to_owned(), Fixed);
    let tls = tls_settings(certificates, key, authorities)?;
    service.add_tls_with_settings(&format!("127.0.0.1:{port}"), None, tls);
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    server.add_service(service);
    server.run_forever()
}

fn tls_settings(certificates: &str, key: &str, authorities: &str) -> Result<TlsSettings, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(authorities)? {
        roots.add(authority?)?;
    }
    let mut settings = TlsSettings::intermediate(certificates, key)?;
    settings.set_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build()?);
    settings.enable_h2();
    Ok(settings)
}

/// An application of its own rather than `ServeHttp`, whose bodies are vectors: here the large one is never
/// copied.
struct Fixed;

#[async_trait]
impl HttpServerApp for Fixed {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        session.set_keepalive((!*shutdown.borrow()).then_some(KEEPALIVE_S));
        answer(&mut session).await.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

async fn answer(session: &mut ServerSession) -> pingora::Result<()> {
    let body = if session.req_header().uri.path() == "/large" {
        Bytes::from_static(&LARGE)
    } else {
        Bytes::from_static(SMALL)
    };
    let mut header = ResponseHeader::build(200, Some(2))?;
    header.insert_header("content-length", body.len())?;
    session.write_response_header(Box::new(header)).await?;
    session.write_response_body(body, true).await
}
