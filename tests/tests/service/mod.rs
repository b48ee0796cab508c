//! The server as somebody's service, on its own: what it tells a manager, the sockets it leaves to
//! it and takes back, and the door it opens to it.

mod manager;

mod admin;
mod sockets;
mod watched;

/// The unit that we ship.
mod units;
