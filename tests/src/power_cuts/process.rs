//! The real server, killed as by `kill -9`: the kernel's cache survives, the process' memory does not.

use std::net::SocketAddr;

use super::{Policy, Victim};
use crate::binaries::Flavour;
use crate::fuzz::Random;
use crate::server::Server;

#[derive(Debug)]
pub struct Process {
    server: Server,
}

impl Process {
    /// Rewrites come often, so that cuts fall into them, too.
    pub fn start(flavour: Flavour, policy: Policy) -> Result<Self, String> {
        let args = ["--appendonly", "yes", "--appendfsync", policy.word()];
        let often = ["--auto-aof-rewrite-min-size", "256kb", "--auto-aof-rewrite-percentage", "50"];
        let server = Server::try_start(flavour, &[args, often].concat())?;
        Ok(Self { server })
    }
}

impl Victim for Process {
    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn cut(&mut self, _: &mut Random) -> Result<(), String> {
        self.server.kill();
        Ok(())
    }

    fn restore(&mut self) -> Result<(), String> {
        self.server.start_again()
    }

    fn words(&self) -> String {
        self.server.log_tail()
    }
}
