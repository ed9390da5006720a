//! Records on their way out: written by rustls straight into the [`Outbox`], the socket's own send buffer.

use std::cell::RefCell;
use std::io::IoSlice;

use rustls::Error;
use rustls::unbuffered::{EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, WriteTraffic};

use super::record_header::PLAIN_BYTES_MAX;
use crate::runtime::Outbox;

/// Writes a handshake message or an alert that rustls has ready.
pub(super) fn encode<D>(mut data: EncodeTlsData<'_, D>, outbox: &Outbox) -> Result<(), Error> {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => required_size,
        Ok(_) | Err(EncodeError::AlreadyEncoded) => return Ok(()),
    };
    outbox
        .fill(needed, |room| data.encode(room))
        .map_err(|error| Error::General(error.to_string()))
}

/// Encrypts `slices`, whatever their sizes, into records that are full but for the last one of a large slice,
/// and the last of all.
pub(super) fn encrypt_all<D>(
    traffic: &mut WriteTraffic<'_, D>,
    outbox: &Outbox,
    slices: &[IoSlice<'_>],
) -> Result<(), EncryptError> {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.clear();
        for slice in slices {
            // Nothing is gathered in front of a large slice: it is encrypted from where it lies.
            let room = match gathered.is_empty() && slice.len() >= PLAIN_BYTES_MAX {
                true => 0,
                false => (PLAIN_BYTES_MAX - gathered.len()).min(slice.len()),
            };
            let (front, rest) = slice.split_at(room);
            gathered.extend_from_slice(front);
            if rest.is_empty() {
                continue;
            }
            // There is more than fits, so the record at hand is full.
            encrypt(traffic, outbox, gathered)?;
            gathered.clear();
            match rest.len() >= PLAIN_BYTES_MAX {
                true => encrypt(traffic, outbox, rest)?,
                false => gathered.extend_from_slice(rest),
            }
        }
        encrypt(traffic, outbox, gathered)
    })
}

/// Encrypts `bytes` into as many records as it takes.
pub(super) fn encrypt<D>(
    traffic: &mut WriteTraffic<'_, D>,
    outbox: &Outbox,
    bytes: &[u8],
) -> Result<(), EncryptError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let encrypted = encrypted_bytes_max(bytes.len());
    put(outbox, encrypted, |room| traffic.encrypt(bytes, room))
}

/// Encrypts a close_notify, unless one was sent before.
pub(super) fn close_notify<D>(
    traffic: &mut WriteTraffic<'_, D>,
    outbox: &Outbox,
) -> Result<(), EncryptError> {
    put(outbox, ALERT_BYTES_MAX, |room| traffic.queue_close_notify(room))
}

/// Lets `write` append to the outbox, once more if it wants more room than `bytes`.
fn put(
    outbox: &Outbox,
    bytes: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), EncryptError> {
    match outbox.fill(bytes, &mut write) {
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            outbox.fill(required_size, write)
        }
        done => done,
    }
}

thread_local! {
    /// Small slices on their way into one record.
    static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Room that `bytes` of plaintext take at most, encrypted into as many records as they need.
pub(super) const fn encrypted_bytes_max(bytes: usize) -> usize {
    bytes + bytes.div_ceil(PLAIN_BYTES_MAX) * RECORD_OVERHEAD_BYTES
}

/// Header, type, tag and, before TLS 1.3, an explicit nonce.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// An alert, encrypted.
const ALERT_BYTES_MAX: usize = 2 + RECORD_OVERHEAD_BYTES;
