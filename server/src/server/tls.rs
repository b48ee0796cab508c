//! New certificates while the server runs: looked for by themselves at `tls-auto-reload-interval`, and
//! when a signal says so. Reading them is I/O, and so done where it keeps nobody waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::Shared;
use crate::net::tls::Tls;

/// How soon a change of the interval itself is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the files of TLS again; the log tells what came of it.
pub(super) async fn reload(shared: &Shared, tls: &Arc<Tls>) {
    let settings = shared.engine().config.settings().tls.clone();
    let tls = Arc::clone(tls);
    // A failure is in the log, and what was in force stays.
    let _ = tokio::task::spawn_blocking(move || tls.reload(&settings)).await;
}

/// Reloads at the interval, while there is one.
pub(super) async fn follow_files(shared: Arc<Shared>, tls: Arc<Tls>) {
    let mut last = Instant::now();
    loop {
        shared.timers.sleep(LOOK).await;
        let interval = shared.engine().config.settings().tls.reload_interval;
        if !interval.is_zero() && last.elapsed() >= interval {
            reload(&shared, &tls).await;
            last = Instant::now();
        }
    }
}
