//! A DHCP client for one interface: [`machine`] decides, [`message`] speaks, [`lease`] believes.

pub(super) mod lease;
pub(super) mod machine;
mod message;

#[cfg(feature = "fuzz")]
pub(super) use message::Kind;
pub(super) use message::{MAX_REPLY_BYTES, Mac, Reply, Request, read};
