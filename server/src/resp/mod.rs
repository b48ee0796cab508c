//! The Redis serialization protocol: requests in ([`decode`] makes batches of them), replies out
//! ([`reply`]).
//! Knows nothing of commands, clients or sockets.

pub mod decode;

mod argv;
mod batch;
pub mod reply;

pub use holdfast_cli::inline;

pub use argv::{Argv, OwnedArgv, Span};
pub use batch::Batch;
pub use decode::{Decoder, Limits, ProtocolError};
pub use reply::{Protocol, Reply};
