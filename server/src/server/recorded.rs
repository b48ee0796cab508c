//! What the engine has recorded for the log and not handed over: the log's thread comes for it, so that
//! a batch of commands takes no lock of the log's and copies nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::net::Shared;
use crate::persistence::aof::Source;

/// Whoever keeps the engine for longer may wait for the log's thread to end.
const PATIENCE: Duration = Duration::from_millis(1);

pub(super) struct Recorded {
    shared: Weak<Shared>,
    log_comes: Arc<AtomicBool>,
}

impl Recorded {
    pub(super) fn by(shared: &Arc<Shared>) -> Self {
        let log_comes = Arc::clone(&shared.engine().log_comes);
        Self { shared: Arc::downgrade(shared), log_comes }
    }
}

impl Source for Recorded {
    fn watch(&self, comes: bool) {
        // Read under the engine's lock, which is taken once more after the last visit was announced.
        self.log_comes.store(comes, Ordering::Relaxed);
    }

    fn hand_over(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return true };
        let Some(mut engine) = shared.engine_within(PATIENCE) else { return false };
        engine.hand_over_journal();
        true
    }
}
