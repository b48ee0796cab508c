//! The bytes that begin what is not a key's value; all others are forms of values.

/// Forms behind it differ between Redis and Valkey.
pub(super) const LAST_FORM_OF_BOTH: u8 = 21;

/// Valkey 9: slots that are on their way into a cluster's node.
pub(super) const SLOT_IMPORT: u8 = 243;
/// How many keys a slot of a cluster has: Redis 7.4 and release candidates of Valkey 8.
pub(super) const SLOT_INFO: u8 = 244;
pub(super) const FUNCTION: u8 = 245;
/// Of release candidates of Redis 7.
pub(super) const FUNCTION_RC: u8 = 246;
pub(super) const MODULE_AUX: u8 = 247;
pub(super) const IDLE: u8 = 248;
pub(super) const FREQUENCY: u8 = 249;
pub(super) const AUX: u8 = 250;
pub(super) const SIZES: u8 = 251;
pub(super) const EXPIRY_MS: u8 = 252;
pub(super) const EXPIRY_SECONDS: u8 = 253;
pub(super) const DATABASE: u8 = 254;
pub(super) const END: u8 = 255;
