//! The Redis serialization protocol: requests in ([`decode`]), replies out ([`reply`]).
//! Knows nothing of commands, clients or sockets.

pub mod decode;
pub mod inline;
pub mod reply;

pub use decode::{Argv, Batch, Decoder, Limits, ProtocolError, Span};
pub use reply::{Protocol, Reply};
