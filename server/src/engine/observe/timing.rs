//! How long commands take: for INFO's `usec`, the histograms, the slow log and the latency monitor.
//!
//! One reading of the clock ends a command and begins the next. As it costs about what a short
//! command does, [brief](crate::commands::Entry::brief) ones of one kind in a row share a reading,
//! while nobody asks for times so short that it would matter: see [`SHARED_MAX`]. What takes long by its
//! nature never shares one. Of brief commands that come alone one in [`LONE_SHARED`] of a kind is measured,
//! and the next are said to take as long; to those it is as late as the thread last saw, if it was awake
//! since. If brief commands together take longer than they ever could, the machine had no processor for
//! us, and the one at whose end that was noticed is said to have taken it; where that one was not
//! measured, nobody is.

use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id};
use crate::engine::{Client, Engine};
use crate::resp::Argv;

use super::Event;

/// Commands that share a reading of the clock, at most.
const SHARED_MAX: u32 = 16;
/// Brief commands of a kind, each alone in its batch, that share one.
const LONE_SHARED: u32 = 8;
/// Each of them has at most this many arguments, and a request and a reply of this many bytes.
const LIGHT_ARGS: usize = 8;
const LIGHT_BYTES: usize = 32 * 1024;
/// While stalls below this are looked for, in microseconds, every command has a reading of its own.
/// [`SHARED_MAX`] brief commands of [`LIGHT_BYTES`] take a fraction of it.
const SHARING_ALERT_US: u64 = 1000;

/// Commands of one kind in a row that share a reading of the clock.
pub(in crate::engine) struct Run<'a> {
    /// When the batch began.
    began: Now,
    started: Now,
    /// Whether these were read off the clock for this batch.
    is_exact: bool,
    /// Kind and latest command.
    current: Option<(Id, Argv<'a>)>,
    count: u32,
    shares: bool,
}

impl Run<'_> {
    pub(in crate::engine) fn starting(now: Now) -> Self {
        Self { began: now, started: now, is_exact: true, current: None, count: 0, shares: false }
    }

    /// Of one command, about now: what it turns out to be decides whether the clock is read.
    pub(in crate::engine) fn starting_about(now: Now) -> Self {
        Self { is_exact: false, ..Self::starting(now) }
    }

    /// Microseconds since the batch began.
    #[inline]
    pub(in crate::engine) fn spent_us(&self) -> u64 {
        self.started.us.abs_diff(self.began.us)
    }

    /// What time it is for the command being executed.
    #[inline]
    pub(in crate::engine) fn now(&self) -> Now {
        self.started
    }

    /// What comes next begins now: something that is no command was done meanwhile.
    pub(in crate::engine) fn skip_to(&mut self, now: Now) {
        self.started = now;
    }
}

impl Engine {
    /// A command is about to be executed.
    #[inline]
    pub(in crate::engine) fn begin<'a>(
        &mut self,
        run: &mut Run<'a>,
        client: &mut Client,
        id: Id,
        argv: Argv<'a>,
        clock: &Clock,
    ) {
        let is_light = argv.len() <= LIGHT_ARGS && argv.reach_bytes() <= LIGHT_BYTES;
        if let Some((last, _)) = run.current
            && (last != id || !is_light || run.count == SHARED_MAX)
        {
            self.end(run, client, clock);
        }
        let alert_us = self.config.settings().alert_us;
        run.shares = id.entry().brief && is_light && alert_us >= SHARING_ALERT_US;
        let is_measured = !run.shares || self.stats.command(id).unmeasured_left == 0;
        if is_measured && !run.is_exact {
            run.started = clock.now();
            (run.began, run.is_exact) = (run.started, true);
        }
        run.current = Some((id, argv));
        run.count += 1;
    }

    /// It was executed.
    #[inline]
    pub(in crate::engine) fn settle(
        &mut self,
        run: &mut Run<'_>,
        client: &mut Client,
        reply_len: usize,
        clock: &Clock,
    ) {
        if !run.shares || reply_len > LIGHT_BYTES {
            self.end(run, client, clock);
        }
    }

    /// A batch is over, and with it the run at its end.
    #[inline]
    pub(in crate::engine) fn end_batch(
        &mut self,
        run: &mut Run<'_>,
        client: &mut Client,
        clock: &Clock,
    ) {
        let lone = run.current.filter(|_| run.shares && run.count == 1).map(|(id, _)| id);
        let Some(id) = lone else { return self.end(run, client, clock) };
        let known = self.stats.command(id);
        if let Some(left) = known.unmeasured_left.checked_sub(1) {
            known.unmeasured_left = left;
            let us = known.lone_us;
            self.stats.record(id, 1, us, self.config.settings().latency_tracking);
            run.started.us = run.started.us.saturating_add_unsigned(us);
            (run.current, run.count) = (None, 0);
            return;
        }
        let began = run.started;
        self.end(run, client, clock);
        let known = self.stats.command(id);
        known.lone_us = run.started.us.abs_diff(began.us);
        known.unmeasured_left = LONE_SHARED - 1;
    }

    /// Accounts for a run that is over.
    #[inline]
    pub(in crate::engine) fn end(&mut self, run: &mut Run<'_>, client: &mut Client, clock: &Clock) {
        let Some((id, argv)) = run.current.take() else { return };
        let now = clock.now();
        let us = now.us.abs_diff(run.started.us);
        self.account(client, id, argv, std::mem::take(&mut run.count), us, now);
        run.started = now;
    }

    /// Accounts for `count` commands that took `us` together. One that waits now is accounted for
    /// once it is answered.
    #[inline]
    pub(in crate::engine) fn account(
        &mut self,
        client: &mut Client,
        id: Id,
        argv: Argv<'_>,
        count: u32,
        us: u64,
        now: Now,
    ) {
        if let Some(waiting) = &mut client.blocked {
            waiting.spent_us += us;
            return;
        }
        let us = us + client.retried.as_ref().map_or(0, |waited| waited.spent_us);
        let settings = self.config.settings();
        self.stats.record(id, u64::from(count), us, settings.latency_tracking);
        if us >= settings.alert_us {
            self.alert(client, id, argv, us, now);
        }
    }

    /// A command took long: for the slow log, or the latency monitor.
    #[cold]
    fn alert(&mut self, client: &Client, id: Id, argv: Argv<'_>, us: u64, now: Now) {
        let is_fast = id.entry().command.flags.contains(Flags::FAST);
        let event = if is_fast { Event::FastCommand } else { Event::Command };
        self.note_latency(event, us, now);
        self.log_slow(client, id, argv, us, now);
    }

    /// Tells the latency monitor what took `us`.
    #[inline]
    pub(in crate::engine) fn note_latency(&mut self, event: Event, us: u64, now: Now) {
        let threshold_ms = self.config.settings().latency_threshold_ms;
        self.latency.note(event, us, threshold_ms, now.unix_ms().div_euclid(1000));
    }
}
