//! `loadgen pki`: certificates for a load of thousands of clients, good ones and each kind of bad ones.
//!
//! Owns the folder's layout, as the command's help tells it. The authorities' private keys are never written:
//! nobody can issue more by these names.

mod authority;
mod folder;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::plan::UsageError;
use authority::{Authorities, Authority, Identity, Validity};
use folder::Folder;

/// Makes a root, an intermediate, a server certificate and client certificates in a new folder
///
/// For loadgen:
///   ca.pem               the root: --ca, or ca = ["…"] in a scenario
///   good.pem             bundle of clients to be admitted: --bundle, or bundle = "…" in [[identities]]
///   expired.pem          … whose validity is over
///   untrusted.pem        … of authorities with the same names and other keys
///   revoked.pem          … that are on the list and the CRL below
///
/// For the server:
///   server.pem           its certificate and the intermediate
///   server.key           its private key
///   client-ca.pem        the trust store: root and intermediate
///   revoked.crl          the intermediate's CRL (PEM)
///   revoked-serials.txt  the same serial numbers, one a line, in hexadecimal digits
///
/// A bundle has for each client its private key and then its certificate and the intermediate. Files with
/// private keys have mode 0600.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct PkiOptions {
    /// Folder to make; it must be empty if it exists
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Number of good clients
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub identities: u32,

    /// Number of bad clients of each kind
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub bad: u32,

    /// Kind of the private keys. An RSA key takes some 50 ms to make
    #[arg(long, value_enum, default_value_t = Key::P256)]
    pub key: Key,

    /// DNS name or IP address of the server (repeatable) [default: localhost, 127.0.0.1 and ::1]
    #[arg(long, value_name = "NAME")]
    pub server_name: Vec<String>,

    /// Days from now on for which the certificates and the CRL are valid
    #[arg(
        long,
        value_name = "N",
        default_value_t = 365,
        value_parser = clap::value_parser!(u32).range(1..=9125)
    )]
    pub days: u32,

    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

/// Kind of private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub enum Key {
    P256,
    P384,
    Ed25519,
    Rsa2048,
    Rsa3072,
}

/// Makes everything. The folder is left as it is when something goes wrong.
pub fn run(options: &PkiOptions) -> Result<(), UsageError> {
    let began = Instant::now();
    let folder = Folder::make(&options.out)?;
    let validity = Validity::days(options.days);
    let authorities = Authorities::new(options.key, validity).map_err(failed)?;
    let strangers = Authorities::new(options.key, validity).map_err(failed)?;
    let server = authorities
        .server(&server_names(options), validity)
        .map_err(failed)?;
    folder.write("ca.pem", &authorities.root_pem)?;
    folder.write("client-ca.pem", &authorities.trust_store())?;
    folder.write("server.pem", &server.chain_pem)?;
    folder.write_secret("server.key", &server.key_pem)?;

    let progress = progress(options);
    let issue = |file, count, authority, validity| {
        issue_all(
            &folder,
            &Order {
                file,
                count,
                authority,
                validity,
            },
            &progress,
        )
    };
    issue("good.pem", options.identities, &authorities.issuing, validity)?;
    issue("expired.pem", options.bad, &authorities.issuing, Validity::over())?;
    issue("untrusted.pem", options.bad, &strangers.issuing, validity)?;
    let revoked = issue("revoked.pem", options.bad, &authorities.issuing, validity)?;
    folder.write(
        "revoked.crl",
        &authorities.issuing.crl(&revoked, validity).map_err(failed)?,
    )?;
    folder.write("revoked-serials.txt", &authority::hexadecimal(&revoked))?;
    progress.finish_and_clear();
    if !options.quiet {
        eprintln!(
            "{}: {} good clients, {} each that are expired, untrusted and revoked, in {:.1} s",
            options.out.display(),
            options.identities,
            options.bad,
            began.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Order for a bundle.
#[derive(Clone, Copy)]
struct Order<'a> {
    file: &'static str,
    count: u32,
    authority: &'a Authority,
    validity: Validity,
}

/// Issues on all cores; the order in the file is that in which they are done. Gives back the serial numbers.
fn issue_all(folder: &Folder, order: &Order<'_>, progress: &ProgressBar) -> Result<Vec<Vec<u8>>, UsageError> {
    let next = AtomicU32::new(1);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        let (done, results) = channel();
        for _ in 0..threads {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || issue_some(order, next, &done));
        }
        drop(done);
        write_all(folder, order.file, &results, progress)
    })
}

fn issue_some(order: &Order<'_>, next: &AtomicU32, done: &Sender<Result<Identity, rcgen::Error>>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > order.count || done.send(order.authority.client(number, order.validity)).is_err() {
            return; // all are made, or the writer has given up
        }
    }
}

fn write_all(
    folder: &Folder,
    file: &str,
    results: &Receiver<Result<Identity, rcgen::Error>>,
    progress: &ProgressBar,
) -> Result<Vec<Vec<u8>>, UsageError> {
    let mut bundle = folder.secret(file)?;
    let mut serials = Vec::new();
    for identity in results {
        let identity = identity.map_err(failed)?;
        bundle.append(&identity.key_pem)?;
        bundle.append(&identity.chain_pem)?;
        serials.push(identity.serial);
        progress.inc(1);
    }
    bundle.finish()?;
    Ok(serials)
}

fn server_names(options: &PkiOptions) -> Vec<String> {
    if options.server_name.is_empty() {
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    } else {
        options.server_name.clone()
    }
}

fn progress(options: &PkiOptions) -> ProgressBar {
    if options.quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::from(options.identities) + 3 * u64::from(options.bad));
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} identities, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn failed(error: rcgen::Error) -> UsageError {
    UsageError(format!(
        "a certificate could not be made ({error}); look at --server-name, the only thing in it that is yours"
    ))
}
