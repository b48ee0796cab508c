//! What a key can hold. A type knows its own bytes and operations; it never sees a client, a key
//! or a clock.

pub mod decimal;
pub mod lcs;
pub mod string;
