//! Faults of revocation files, and what to do about them.

use std::fmt;

use super::crl_fault::CrlFault;
use super::pem::PemError;
use super::revocation_file::FileFault;
use super::serial_list::BadLine;
use super::serials::TooManySerials;

/// A revocation file that is not loaded. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationError {
    File(FileFault),
    NotASerial {
        line: usize,
    },
    Pem(PemError),
    /// A PEM block that is no CRL.
    Label {
        label: String,
    },
    Crl(CrlFault),
    TooManySerials,
    /// A list without an issuer has the serial number of a CA of the bundle.
    ListsACa {
        line: usize,
        serial: String,
        ca: String,
    },
    /// The configuration binds a list to a CA that the bundle does not have.
    NoSuchIssuer {
        issuer: String,
        known: Vec<String>,
    },
    /// The configuration names an issuer for a CRL.
    IssuerOfCrl,
}

impl RevocationError {
    /// Advice on what to do about the error.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::File(FileFault::Empty | FileFault::NoEntries) => {
                "write the list again, take it out of `revocations`, or, for a serial list that may have no \
                 entries, write { file = \"…\", may_be_empty = true }"
            }
            Self::File(FileFault::Surplus { .. }) => {
                "keep each CRL in a file of its own, or several in one as PEM"
            }
            Self::File(FileFault::NotTheCrl) => {
                "download the CRL again; a serial list needs a name that does not end in .crl, .der or .pem"
            }
            Self::File(_) | Self::Pem(_) => "write or download the file again",
            Self::ListsACa { .. } => {
                "bind the list to the CA whose clients are meant, { file = \"…\", issuer = \"subject of \
                 that CA\" }; a CA that is to be trusted no longer is taken out of the bundle"
            }
            Self::NoSuchIssuer { .. } => {
                "name a CA of the bundle by its subject, or by the SHA-256 of its certificate"
            }
            Self::IssuerOfCrl => {
                "leave issuer out: it is for serial lists, and a CRL says itself who issued it"
            }
            Self::NotASerial { .. } => "write one serial number a line, in hexadecimal digits",
            Self::Label { .. } => "keep the blocks of CRLs alone in the file",
            Self::Crl(_) => "get the CRL again from its CA, or take the file out of the list",
            Self::TooManySerials => "keep the serial numbers of certificates alone that have not expired",
        }
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) => fault.fmt(f),
            Self::NotASerial { line } => write!(
                f,
                "line {line} is not a serial number; write hexadecimal digits, in pairs if separated by \
                 colons, or what `openssl x509 -noout -serial` prints, or a comment (#)"
            ),
            Self::Pem(error) => error.fmt(f),
            Self::Label { label } => write!(
                f,
                "the file holds a PEM block \"{label}\"; only X509 CRL blocks belong there"
            ),
            Self::Crl(fault) => write!(f, "the CRL {fault}"),
            Self::TooManySerials => f.write_str("there are more than 4294967295 serial numbers"),
            Self::ListsACa { line, serial, ca } => write!(
                f,
                "line {line} would revoke a CA of the bundle, and with it all of its clients: {serial} is \
                 the serial number of {ca} too, and the list does not say whose serial numbers it holds"
            ),
            Self::NoSuchIssuer { issuer, known } => {
                write!(
                    f,
                    "no CA of the bundle is {issuer:?}; there are {}",
                    known.join("; ")
                )
            }
            Self::IssuerOfCrl => {
                f.write_str("the file holds a CRL, and the configuration names an issuer for it")
            }
        }
    }
}

impl std::error::Error for RevocationError {}

impl From<FileFault> for RevocationError {
    fn from(fault: FileFault) -> Self {
        Self::File(fault)
    }
}

impl From<BadLine> for RevocationError {
    fn from(BadLine { line }: BadLine) -> Self {
        Self::NotASerial { line }
    }
}

impl From<PemError> for RevocationError {
    fn from(error: PemError) -> Self {
        Self::Pem(error)
    }
}

impl From<CrlFault> for RevocationError {
    fn from(fault: CrlFault) -> Self {
        Self::Crl(fault)
    }
}

impl From<TooManySerials> for RevocationError {
    fn from(TooManySerials: TooManySerials) -> Self {
        Self::TooManySerials
    }
}
