//! The Redis serialization protocol: requests in ([`decode`] makes batches of them), replies out
//! ([`reply`]).
//! Knows nothing of commands, clients or sockets.

pub mod decode;

mod argv;
mod batch;
pub mod inline;
pub mod reply;

pub use argv::{Argv, OwnedArgv, Span};
pub use batch::Batch;
pub use decode::{Decoder, Limits, ProtocolError};
pub use reply::{Protocol, Reply};
