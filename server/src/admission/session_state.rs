//! rustls' own encoding of a session, opaque to us, without what its owner holds anyway: most of it is the client's chain, as
//! presented. What cannot be found in it stays.

/// Certificates that are looked for: a leaf and its issuer, which is all that most clients present.
const CUTS_MAX: usize = 2;

/// One session's encoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SessionState {
    bytes: Box<[u8]>,
    /// Where in `bytes` the certificates go, in their order; of those that were found.
    cuts: [Option<u32>; CUTS_MAX],
}

impl SessionState {
    /// With all its certificates in it.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.into(),
            cuts: [None; CUTS_MAX],
        }
    }

    /// Without those of `certificates` that are found, one behind the other. Once; who calls has to come with the same ones to
    /// [`SessionState::restored`].
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

    /// All of it again. `None` if these cannot be the certificates that it was made without.
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

/// What is before and behind the first `middle`.
fn split_around<'a>(bytes: &'a [u8], middle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = std::num::NonZeroUsize::new(middle.len())?;
    let at = bytes.windows(length.get()).position(|window| window == middle)?;
    let (front, rest) = bytes.split_at(at);
    Some((front, rest.get(middle.len()..)?))
}

/// Of a session whose client has presented two ordinary certificates.
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
