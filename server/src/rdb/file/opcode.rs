//! The bytes that begin what is not a key's value; all others are forms of values.

pub(super) const FUNCTION: u8 = 245;
pub(super) const IDLE: u8 = 248;
pub(super) const FREQUENCY: u8 = 249;
pub(super) const AUX: u8 = 250;
pub(super) const SIZES: u8 = 251;
pub(super) const EXPIRY_MS: u8 = 252;
pub(super) const DATABASE: u8 = 254;
pub(super) const END: u8 = 255;
