//! Encoding of a session by rustls, kept without the certificates that its owner holds anyway, which are most
//! of it.
//!
//! The encoding is opaque here: certificates are found in it by their bytes. One that is not found stays in.

/// Number of certificates that are looked for: a leaf and its issuer, which is all that most clients present.
const CUTS_MAX: usize = 2;

/// Encoding of one session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SessionState {
    bytes: Box<[u8]>,
    /// Places in `bytes` where the certificates go that were found, in their order.
    cuts: [Option<u32>; CUTS_MAX],
}

impl SessionState {
    /// Keeps a session with all its certificates in it.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.into(),
            cuts: [None; CUTS_MAX],
        }
    }

    /// Cuts out those of `certificates` that are found, one behind the other. To be called once, and with the
    /// same certificates as [`SessionState::restored`] later.
    pub(super) fn slim<'a>(&mut self, certificates: impl Iterator<Item = &'a [u8]>) {
        let mut slim = Vec::with_capacity(self.bytes.len());
        let mut rest = &*self.bytes;
        for (cut, certificate) in self.cuts.iter_mut().zip(certificates) {
            let Some((front, behind)) = split_around(rest, certificate) else {
                continue;
            };
            slim.extend_from_slice(front);
            *cut = u32::try_from(slim.len()).ok();
            rest = behind;
        }
        slim.extend_from_slice(rest);
        self.bytes = slim.into();
    }

    /// Puts the certificates back. `None` if these cannot be the ones that were cut out.
    pub(super) fn restored<'a>(&self, certificates: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let mut whole = Vec::with_capacity(WHOLE_BYTES);
        let mut from = 0;
        let mut certificates = certificates.take(CUTS_MAX);
        for cut in self.cuts {
            let certificate = certificates.next();
            if let Some(at) = cut {
                let at = usize::try_from(at).ok()?;
                whole.extend_from_slice(self.bytes.get(from..at)?);
                whole.extend_from_slice(certificate?);
                from = at;
            }
        }
        whole.extend_from_slice(self.bytes.get(from..)?);
        Some(whole)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes before and behind the first `middle`.
fn split_around<'a>(bytes: &'a [u8], middle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = std::num::NonZeroUsize::new(middle.len())?;
    let at = bytes.windows(length.get()).position(|window| window == middle)?;
    let (front, rest) = bytes.split_at(at);
    Some((front, rest.get(middle.len()..)?))
}

/// Size of a session whose client has presented two ordinary certificates.
const WHOLE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slim_and_back(bytes: &[u8], certificates: &[&[u8]]) -> (usize, Option<Vec<u8>>) {
        let mut state = SessionState::whole(bytes);
        state.slim(certificates.iter().copied());
        (state.len(), state.restored(certificates.iter().copied()))
    }

    #[test]
    fn what_is_found_is_left_out_and_comes_back() {
        let found = slim_and_back(b"head LEAF between CA tail", &[b"LEAF", b"CA"]);
        assert_eq!(found, (19, Some(b"head LEAF between CA tail".to_vec())));
        let one = slim_and_back(b"head CA tail", &[b"LEAF", b"CA"]);
        assert_eq!(one, (10, Some(b"head CA tail".to_vec())));
        let twice = slim_and_back(b"AAAA", &[b"AA", b"AA", b"AA"]);
        assert_eq!(twice, (0, Some(b"AAAA".to_vec())));
        assert_eq!(slim_and_back(b"none", &[]), (4, Some(b"none".to_vec())));
        assert_eq!(slim_and_back(b"none", &[b""]), (4, Some(b"none".to_vec())));
    }

    #[test]
    fn without_its_certificates_it_does_not_come_back() {
        let mut state = SessionState::whole(b"head LEAF tail");
        state.slim([b"LEAF".as_slice()].into_iter());
        assert_eq!(state.restored(std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn whatever_is_made_slim_comes_back_as_it_was(
            bytes in proptest::collection::vec(0_u8..3, 0..60),
            certificates in proptest::collection::vec(proptest::collection::vec(0_u8..3, 0..4), 0..4),
        ) {
            let certificates: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
            let (_, restored) = slim_and_back(&bytes, &certificates);
            prop_assert_eq!(restored, Some(bytes));
        }
    }
}
