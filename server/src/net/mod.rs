//! Sockets: where we listen ([`sockets`]), who is accepted ([`listen`]), what turns some of their
//! sockets into TLS ([`tls`]), and one task per connection ([`connection`],
//! whose bytes come and go by its [`stream`]). Whoever runs the server
//! hands listening sockets over ([`inherited`]) and has a door of its own ([`admin`]). What goes to other
//! servers is carried by [`courier`]. Everything
//! between a socket and the engine is here; nothing here knows a command.

pub mod connection;
pub mod listen;
pub mod sockets;
pub mod stream;
pub mod tls;

pub mod admin;
pub mod courier;
pub mod inherited;

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::timer::Timers;

/// What all tasks share: the engine behind its lock, the clock, and whoever waits for a time.
pub struct Shared {
    /// A lock that can be handed over: who has more to do under it must not take it again and again while
    /// another thread is still waking up.
    engine: Mutex<Engine>,
    pub clock: Clock,
    pub timers: Timers,
}

impl Shared {
    pub fn new(engine: Engine, clock: Clock, timers: Timers) -> Self {
        Self { engine: Mutex::new(engine), clock, timers }
    }

    #[inline]
    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock()
    }

    /// The engine, unless others have it for so long.
    pub fn engine_within(&self, patience: Duration) -> Option<MutexGuard<'_, Engine>> {
        self.engine.try_lock_for(patience)
    }
}
