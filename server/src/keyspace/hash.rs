//! A key with its hash, computed once per command.

use siphasher::sip::SipHasher13;

/// The hash function of one server process: SipHash-1-3 under a secret key, since clients choose
/// the keys.
#[derive(Clone, Copy)]
pub struct Hasher(SipHasher13);

impl Hasher {
    pub fn new(secret: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(secret))
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> Hash {
        Hash(self.0.hash(key))
    }
}

/// A key's place in hash space. The table is ordered by it, from the top bit down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub(super) u64);

/// A key together with its hash.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub(super) hash: Hash,
}

/// What names a key to a [`Db`](super::Db): its bytes, or bytes hashed before with
/// [`Db::key`](super::Db::key). A command that looks up the same key twice hashes it once.
pub trait AsKey<'a> {
    fn hashed(self, hasher: &Hasher) -> Key<'a>;
}

impl<'a> AsKey<'a> for Key<'a> {
    #[inline]
    fn hashed(self, _: &Hasher) -> Key<'a> {
        self
    }
}

impl<'a> AsKey<'a> for &'a [u8] {
    #[inline]
    fn hashed(self, hasher: &Hasher) -> Key<'a> {
        Key { bytes: self, hash: hasher.hash(self) }
    }
}

impl<'a, const N: usize> AsKey<'a> for &'a [u8; N] {
    #[inline]
    fn hashed(self, hasher: &Hasher) -> Key<'a> {
        self.as_slice().hashed(hasher)
    }
}

impl<'a> AsKey<'a> for &'a Vec<u8> {
    #[inline]
    fn hashed(self, hasher: &Hasher) -> Key<'a> {
        self.as_slice().hashed(hasher)
    }
}
