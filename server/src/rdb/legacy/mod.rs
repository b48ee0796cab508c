//! Packed encodings of old servers. They are read, checked and turned into listpacks; nobody writes
//! them any more.

pub(super) mod ziplist;
pub(super) mod zipmap;
