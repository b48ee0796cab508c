//! Session tickets: the client keeps its session, sealed with a key of ours, for as long as
//! `tls-session-cache-timeout` says. The server keeps nothing, so that no number of sessions costs
//! it memory. Each configuration has keys of its own: what a former one granted ends with it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

#[derive(Debug)]
pub(super) struct Tickets {
    /// Seals with keys that it changes by itself.
    seal: Arc<dyn ProducesTickets>,
    lifetime_s: u32,
}

/// When the ticket was made, in Unix time, in front of the session.
const TIME_LEN: usize = 8;

impl Tickets {
    pub(super) fn new(lifetime: Duration) -> Result<Self, rustls::Error> {
        let seal = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        let lifetime_s = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        Ok(Self { lifetime_s: lifetime_s.min(seal.lifetime()), seal })
    }

    fn open(&self, ticket: &[u8], now_s: u64) -> Option<Vec<u8>> {
        let opened = self.seal.decrypt(ticket)?;
        let (made_s, session) = opened.split_first_chunk::<TIME_LEN>()?;
        let age_s = now_s.checked_sub(u64::from_be_bytes(*made_s))?;
        (age_s < u64::from(self.lifetime_s)).then(|| session.to_vec())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime_s
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let made_s = UnixTime::now().as_secs().to_be_bytes();
        self.seal.encrypt(&[&made_s, session].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, UnixTime::now().as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_time_and_for_its_maker() {
        let tickets = Tickets::new(Duration::from_secs(300)).unwrap();
        let now_s = UnixTime::now().as_secs();
        let ticket = tickets.encrypt(b"session").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(tickets.open(&ticket, now_s + 400), None);
        assert_eq!(tickets.open(&ticket, now_s - 400), None, "from the future");
        let others = Tickets::new(Duration::from_secs(300)).unwrap();
        assert_eq!(others.decrypt(&ticket), None);
        assert_eq!(tickets.decrypt(&ticket[..ticket.len() / 2]), None);
    }
}
