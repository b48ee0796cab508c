//! `maxmemory-clients`: what all clients together may take; the largest go first.

use super::{Buffers, Closing, Engine, Slot};

impl Engine {
    /// Closes clients, the largest first, until the rest keep to the limit.
    #[inline]
    pub(super) fn evict_clients(&mut self) {
        let limit = self.clients_limit();
        if limit > 0 && self.clients.memory_bytes() > limit {
            self.evict_largest(limit);
        }
    }

    /// Whether a client may hold so many bytes of input, of commands that are about to be executed.
    /// If not, it was evicted for them.
    pub(super) fn may_hold(&mut self, slot: Slot, input_len: usize) -> bool {
        let told = self.clients.get(slot).buffers;
        self.clients.set_buffers(slot, Buffers { query_len: input_len, ..told });
        self.evict_clients();
        self.clients.set_buffers(slot, told);
        self.clients.get(slot).closing == Closing::No
    }

    /// In bytes; zero is no limit.
    pub(crate) fn clients_limit(&self) -> usize {
        /// Valkey's own; less would close whoever connects.
        const LEAST: usize = 128 * 1024;
        let limit = match self.config.settings().max_memory_clients {
            percent @ ..0 => {
                (self.max_memory() / 100).saturating_mul(percent.unsigned_abs()) as usize
            }
            bytes => bytes as usize,
        };
        if limit == 0 { 0 } else { limit.max(LEAST) }
    }

    #[cold]
    fn evict_largest(&mut self, limit: usize) {
        // What those take who are being closed is as good as free.
        let closing = self.clients.iter().filter(|client| client.closing != Closing::No);
        let mut excess = self.clients.memory_bytes().saturating_sub(limit);
        excess = excess.saturating_sub(closing.map(super::Client::memory_bytes).sum());
        while excess > 0 {
            let Some((slot, bytes)) = self.clients.largest() else { return };
            let client = self.clients.get(slot);
            crate::log::notice!(
                "Evicting client: id={} addr={} tot-mem={bytes}",
                client.id,
                client.address
            );
            self.clients.evict(slot);
            self.stats.evicted_clients += 1;
            excess = excess.saturating_sub(bytes);
        }
    }
}
