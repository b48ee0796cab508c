//! Waiting for a time, on a descriptor of the kernel's (timerfd).
//!
//! tokio's own timers make every turn of its event loop read the clock twice and take their lock four
//! times, whether or not anybody waits for a time; a server whose clients send one command at a time has
//! a turn for every second command. Here the kernel is told of the earliest deadline, and wakes us then.
//! Deadlines are on `CLOCK_BOOTTIME`, as all of the server's: sleep of the machine counts.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::boot_us;

/// Whoever waits for a time.
#[derive(Debug)]
pub struct Timers {
    alarm: AsyncFd<OwnedFd>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The earliest deadline last. They are few, or those of handshakes, each of which takes more time
    /// than moving thousands of these does.
    sleepers: Vec<(Ticket, Waker)>,
    next_id: u64,
}

impl Waiting {
    fn earliest(&self) -> Option<Ticket> {
        self.sleepers.last().map(|(ticket, _)| *ticket)
    }

    /// Where the ticket is, or where it belongs.
    fn place(&self, ticket: Ticket) -> Result<usize, usize> {
        self.sleepers.binary_search_by(|(other, _)| ticket.cmp(other))
    }
}

/// Its order is that of the deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    deadline_us: i64,
    id: u64,
}

impl Timers {
    /// Timers of the runtime that this is called in.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let alarm = timerfd_create(TimerfdClockId::Boottime, flags)?;
        // SAFETY: it owns the descriptor that it names, the same one until both are dropped.
        let alarm = unsafe { AsyncFd::register_with_interest(alarm, Interest::READABLE)? };
        Ok(Self { alarm, waiting: Mutex::default() })
    }

    /// Wakes those whose time has come, until the runtime ends.
    pub async fn run(&self) {
        while let Ok(mut rings) = self.alarm.readable().await {
            let mut expirations = [0; size_of::<u64>()];
            // Nothing to read means that the alarm was set anew meanwhile.
            let _ = rustix::io::read(&self.alarm, &mut expirations);
            rings.clear_ready();
            for waker in self.take_due(boot_us()) {
                waker.wake();
            }
        }
    }

    /// Over after `pause`, and never at once.
    pub fn sleep(&self, pause: Duration) -> Sleep<'_> {
        let pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        let mut waiting = self.waiting();
        waiting.next_id += 1;
        let deadline_us = boot_us().saturating_add(pause_us.max(1));
        Sleep { timers: self, ticket: Ticket { deadline_us, id: waiting.next_id } }
    }

    /// What `future` comes to; `None` if that takes longer than `limit`.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut over = self.sleep(limit);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Pin::new(&mut over).poll(cx).map(|()| None),
        })
        .await
    }

    fn take_due(&self, now_us: i64) -> Vec<Waker> {
        let mut waiting = self.waiting();
        let mut due = Vec::new();
        while waiting.earliest().is_some_and(|ticket| ticket.deadline_us <= now_us) {
            due.extend(waiting.sleepers.pop().map(|(_, waker)| waker));
        }
        self.set_alarm(&waiting);
        due
    }

    /// Has the alarm ring at the earliest deadline.
    fn set_alarm(&self, waiting: &Waiting) {
        let Some(Ticket { deadline_us, .. }) = waiting.earliest() else { return };
        let at =
            Timespec { tv_sec: deadline_us / 1_000_000, tv_nsec: deadline_us % 1_000_000 * 1000 };
        let once = Itimerspec { it_interval: Timespec::default(), it_value: at };
        timerfd_settime(&self.alarm, TimerfdTimerFlags::ABSTIME, &once)
            .expect("a deadline is a time that the kernel knows");
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics under the lock")
    }
}

/// The wait of [`Timers::sleep`].
#[derive(Debug)]
pub struct Sleep<'a> {
    timers: &'a Timers,
    ticket: Ticket,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.ticket.deadline_us <= boot_us() {
            return Poll::Ready(());
        }
        let mut waiting = self.timers.waiting();
        match waiting.place(self.ticket) {
            Ok(place) => waiting.sleepers[place].1.clone_from(cx.waker()),
            Err(place) => {
                waiting.sleepers.insert(place, (self.ticket, cx.waker().clone()));
                if waiting.earliest() == Some(self.ticket) {
                    self.timers.set_alarm(&waiting);
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        // An alarm that rings for nobody is set anew by whoever hears it.
        let mut waiting = self.timers.waiting();
        if let Ok(place) = waiting.place(self.ticket) {
            waiting.sleepers.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;

    use tokio::runtime::Builder;

    use super::*;

    /// Runs `test` with timers that ring, in a runtime that has none of its own.
    fn with_timers(test: impl AsyncFnOnce(&Timers)) {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let timers = Timers::new().expect("a timerfd");
            tokio::select! {
                () = timers.run() => panic!("the timers ended"),
                () = test(&timers) => {}
            }
            assert!(timers.waiting().sleepers.is_empty(), "nobody waits who is gone");
        });
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines_and_none_too_early() {
        with_timers(async |timers| {
            let woken = RefCell::new(Vec::new());
            let sleeper = async |ms| {
                let began_us = boot_us();
                timers.sleep(Duration::from_millis(ms)).await;
                assert!(boot_us() - began_us >= ms as i64 * 1000);
                woken.borrow_mut().push(ms);
            };
            tokio::join!(sleeper(60), sleeper(0), sleeper(120), sleeper(30));
            assert_eq!(*woken.borrow(), [0, 30, 60, 120]);
        });
    }

    #[test]
    fn a_timeout_ends_what_does_not_end_and_nothing_else() {
        with_timers(async |timers| {
            let never = timers.timeout(Duration::from_millis(5), pending::<()>());
            assert_eq!(never.await, None);
            let soon = timers.timeout(Duration::MAX, async {
                timers.sleep(Duration::from_millis(5)).await;
                7
            });
            assert_eq!(soon.await, Some(7));
        });
    }

    #[test]
    fn whoever_gave_up_does_not_keep_others_from_waking() {
        with_timers(async |timers| {
            for _ in 0..100 {
                let given_up = timers.timeout(Duration::from_millis(2), async {
                    tokio::task::yield_now().await;
                });
                assert_eq!(given_up.await, Some(()));
            }
            timers.sleep(Duration::from_millis(10)).await;
        });
    }
}
