//! The hash function of all tables: SipHash-1-3 under a secret key, since clients choose the members.

use std::sync::OnceLock;

use siphasher::sip::SipHasher13;

static HASHER: OnceLock<SipHasher13> = OnceLock::new();

/// Gives the secret, once, before the first table is made; the first call counts. Tests, which have
/// nothing to hide, may go without.
pub fn set_secret(secret: &[u8; 16]) {
    HASHER.get_or_init(|| SipHasher13::new_with_key(secret));
}

#[inline]
pub fn hash(key: &[u8]) -> u64 {
    HASHER.get_or_init(SipHasher13::new).hash(key)
}
