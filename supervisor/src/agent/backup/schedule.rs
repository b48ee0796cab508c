//! When a backup is due: by the age of the newest, on the clock that no one sets.

use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::clock::{Ms, now_ms};

use super::store::Store;
use super::{make, unix_ms};
use crate::run::Shared;

/// Between two looks at what is due: at least, and at most.
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(60);
/// After a failure; never longer than the period.
const RETRY: Duration = Duration::from_secs(600);
/// A machine without any backup makes its first this long after its start.
const FIRST: Duration = Duration::from_secs(3600);

/// For as long as the agent runs.
pub(crate) async fn keep(shared: &Rc<Shared>) {
    let started = now_ms();
    let mut snapshots = shared.snapshot.subscribe();
    loop {
        let due = due_at(shared, started);
        shared.backup.borrow_mut().next_at = due;
        if due.is_some_and(|due| due <= now_ms()) && is_ready(shared) {
            // Somebody's own backup or restore counts as well: looked at again when it is over.
            if let Ok(_busy) = shared.operation.try_lock() {
                let _ = make(shared).await;
            }
        }
        tokio::time::sleep(LOOK_MIN).await;
        let pause = due.map_or(LOOK_MAX, |due| Duration::from_millis(due.saturating_sub(now_ms())));
        // A new configuration and a server that becomes ready come with a snapshot.
        let _ = tokio::time::timeout(pause.min(LOOK_MAX), snapshots.changed()).await;
    }
}

fn due_at(shared: &Shared, started: Ms) -> Option<Ms> {
    let mode = shared.snapshot.borrow().as_ref()?.mode;
    let settings = shared.config().backup.clone();
    let period = settings.period(mode)?;
    let state = shared.backup.borrow();
    if let Some(failed) = &state.failed {
        return Some(failed.at + RETRY.min(period).as_millis() as Ms);
    }
    let newest = Store::at(&settings.directory).list().pop();
    let taken = newest.and_then(|entry| entry.facts).map(|facts| facts.taken_unix_ms);
    Some(due(now_ms(), started, taken.and_then(|taken| unix_ms().checked_sub(taken)), period))
}

/// An age that nobody can tell, for want of a backup or of a clock, counts from the start.
fn due(now: Ms, started: Ms, age: Option<Ms>, period: Duration) -> Ms {
    let period_ms = period.as_millis() as Ms;
    match age {
        Some(age) => now + period_ms.saturating_sub(age),
        None => started + period.min(FIRST).as_millis() as Ms,
    }
}

fn is_ready(shared: &Shared) -> bool {
    use holdfast_supervisor::machine::State::Ready;
    let snapshot = shared.snapshot.borrow();
    let server = snapshot.as_ref().and_then(|snapshot| snapshot.service("server"));
    server.is_some_and(|(_, server)| matches!(server.record.state, Ready { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Ms = 3_600_000;
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn the_age_of_the_newest_decides() {
        assert_eq!(due(100 * HOUR, 0, Some(HOUR), DAY), 123 * HOUR);
        assert_eq!(due(100 * HOUR, 0, Some(24 * HOUR), DAY), 100 * HOUR);
        assert_eq!(due(100 * HOUR, 0, Some(99_000 * HOUR), DAY), 100 * HOUR, "long ago: now");
    }

    #[test]
    fn without_an_age_it_counts_from_the_start() {
        assert_eq!(due(7, 5, None, DAY), 5 + HOUR);
        assert_eq!(due(7, 5, None, Duration::from_secs(2)), 2_005);
    }
}
