//! Keyed digests (HMAC, [RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)). Each side proves with
//! them that it knows the key.

use crate::start::AuthKey;
use hmac::{KeyInit, Mac, SimpleHmac};

/// A digest that the protocol has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Md5,
    Sha256,
    Sha384,
    Sha3_256,
    Sha3_384,
}

type Compute = fn(&[u8], &[u8]) -> Vec<u8>;
type Check = fn(&[u8], &[u8], &[u8]) -> bool;

impl Digest {
    const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha256,
        Self::Sha384,
        Self::Sha3_256,
        Self::Sha3_384,
    ];

    /// Returns the name, which is written in braces before a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha3_256 => "sha3_256",
            Self::Sha3_384 => "sha3_384",
        }
    }

    /// Splits a message into the digest that its prefix names, and the rest of the message.
    pub(super) fn split(message: &[u8]) -> Option<(Self, &[u8])> {
        let inner = message.strip_prefix(b"{")?;
        Self::ALL.into_iter().find_map(|digest| {
            let rest = inner.strip_prefix(digest.name().as_bytes())?;
            Some((digest, rest.strip_prefix(b"}")?))
        })
    }

    /// Returns a message with the prefix that names this digest.
    pub(super) fn prefixed(self, message: &[u8]) -> Vec<u8> {
        [b"{", self.name().as_bytes(), b"}", message].concat()
    }

    /// Returns the digest of a message under a key.
    pub(super) fn of(self, key: &AuthKey, message: &[u8]) -> Vec<u8> {
        let (compute, _) = self.functions();
        compute(key.as_bytes(), message)
    }

    /// Whether `digest` is the digest of the message under this key. Compares in constant time.
    pub(super) fn is_of(self, key: &AuthKey, message: &[u8], digest: &[u8]) -> bool {
        let (_, check) = self.functions();
        check(key.as_bytes(), message, digest)
    }

    fn functions(self) -> (Compute, Check) {
        fn both<M: Mac + KeyInit>() -> (Compute, Check) {
            (
                |key, message| begin::<M>(key, message).finalize().into_bytes().to_vec(),
                |key, message, digest| begin::<M>(key, message).verify_slice(digest).is_ok(),
            )
        }
        match self {
            Self::Md5 => both::<SimpleHmac<md5::Md5>>(),
            Self::Sha256 => both::<SimpleHmac<sha2::Sha256>>(),
            Self::Sha384 => both::<SimpleHmac<sha2::Sha384>>(),
            Self::Sha3_256 => both::<SimpleHmac<sha3::Sha3_256>>(),
            Self::Sha3_384 => both::<SimpleHmac<sha3::Sha3_384>>(),
        }
    }
}

fn begin<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key of any length will do");
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::Digest;
    use crate::start::AuthKey;

    fn hex(bytes: &[u8]) -> String {
        format!("{bytes:02x?}").replace(", ", "")
    }

    /// The values of Python's `hmac.digest(b"sekret", message, name)`.
    #[test]
    fn digests_are_those_of_python() {
        let key = AuthKey::new(b"sekret");
        let counted: Vec<u8> = (0..0x28).collect();
        let old = Digest::Md5.of(&key, &counted[..0x14]);
        assert_eq!(hex(&old), "[1547491ceddff4e2a6582dd0a04c40e0]");
        for (digest, expected) in [
            (Digest::Md5, "[9e7f3cc763a250f0ff14b0ac575aa4ef]"),
            (
                Digest::Sha256,
                "[6a7be37fc3519858319beb256bc3753f55ae3cc6fb5653c787f904d2a6b4c877]",
            ),
            (
                Digest::Sha384,
                "[a353238db81b8ecd63454876afa20c9b1223ac1de7f42939907ee329f1856194c2fc1f12918aaccfab7898d37286dbbd]",
            ),
            (
                Digest::Sha3_256,
                "[0a0133c87aa4a73c6863a6467ae046517c18e9dc76d7c39320d6e3d18e2fd638]",
            ),
            (
                Digest::Sha3_384,
                "[ccc3cfc23b0ea29668a5af022205dc04a7e63f849f4d27fcca9c4f792fe5a8b78f368a0597ea3a0c3a8476708a5f7bfe]",
            ),
        ] {
            let message = digest.prefixed(&counted);
            let value = digest.of(&key, &message);
            assert_eq!(hex(&value), expected, "{digest:?}");
            assert_eq!(Digest::split(&message), Some((digest, &counted[..])));
            assert!(digest.is_of(&key, &message, &value));
            assert!(!digest.is_of(&AuthKey::new(b"other"), &message, &value));
            assert!(!digest.is_of(&key, &message, &value[..value.len() - 1]));
            assert!(!digest.is_of(&key, &message, b""));
        }
    }

    #[test]
    fn unknown_prefix_names_no_digest() {
        for message in [
            "",
            "{",
            "{}",
            "{sha256",
            "sha256}",
            "{sha1}..",
            "{SHA256}..",
            "{sha2567}",
        ] {
            assert_eq!(Digest::split(message.as_bytes()), None, "{message}");
        }
    }
}
