//! `appendfsync always`: how long the next sync waits for company.
//!
//! Clients that wait for their replies come back all at once when a sync is over, a moment after
//! whoever else wrote meanwhile. A thread that syncs as soon as there is anything keeps the two apart
//! for good: half of the clients in each sync, and twice as many syncs as needed, each of which takes
//! its time and wears the flash. So after a sync the thread waits until as many batches have come as
//! there are clients that wait or were just answered, where they come soon: on a disk that syncs
//! faster than clients come back, the time is better spent on syncing.

use std::time::Duration;

use super::shared::WaitFor;

/// No reply comes later than this for the company of others.
const LONGEST: Duration = Duration::from_millis(10);
/// Syncs without waiting after it was in vain: twice as many each time, up to this.
const MAX_SYNCS_ALONE: u32 = 64;

/// What waiting for company has brought so far.
#[derive(Default)]
pub(super) struct Gather {
    /// Clients whose return the current wait is for; 0: it is for nobody's.
    awaited: usize,
    /// Syncs to come that wait for nobody.
    alone: u32,
    /// What `alone` was set to last.
    last_alone: u32,
}

impl Gather {
    /// What to wait for after a sync that took so long and let so many clients have their replies.
    pub(super) fn after_sync(&mut self, clients: usize, took: Duration) -> WaitFor {
        if self.alone > 0 {
            self.alone -= 1;
            return WaitFor::Work(None);
        }
        self.awaited = clients;
        WaitFor::Company { clients, at_most: (took / 2).min(LONGEST) }
    }

    /// So many batches came since that sync, and the wait is over.
    pub(super) fn learn(&mut self, came: usize) {
        let awaited = std::mem::take(&mut self.awaited);
        if came >= awaited - awaited / 8 {
            self.last_alone = 0;
        } else {
            self.last_alone = (self.last_alone * 2).clamp(1, MAX_SYNCS_ALONE);
            self.alone = self.last_alone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(8);

    fn waits(wait: &WaitFor) -> bool {
        matches!(wait, WaitFor::Company { .. })
    }

    #[test]
    fn clients_that_come_back_are_waited_for() {
        let mut gather = Gather::default();
        for _ in 0..100 {
            let wait = gather.after_sync(50, SLOW);
            assert_eq!(wait, WaitFor::Company { clients: 50, at_most: SLOW / 2 });
            gather.learn(44);
        }
    }

    #[test]
    fn nobody_waits_long_for_company() {
        let wait = Gather::default().after_sync(9, Duration::from_secs(3));
        assert_eq!(wait, WaitFor::Company { clients: 9, at_most: LONGEST });
    }

    #[test]
    fn waiting_in_vain_becomes_rare_and_is_tried_again() {
        let mut gather = Gather::default();
        let mut waited = 0;
        for _ in 0..1000 {
            if waits(&gather.after_sync(50, SLOW)) {
                waited += 1;
                gather.learn(43);
            }
        }
        assert!((15..25).contains(&waited), "{waited}");
        while !waits(&gather.after_sync(50, SLOW)) {}
        gather.learn(50);
        assert!(waits(&gather.after_sync(50, SLOW)));
    }
}
