//! What services write: read from one pipe per service, kept in a ring, passed on to standard output
//! and to the agent.
//!
//! ```text
//!  service ──stdout, stderr──> pipe ──> ring ──> our standard output   (dropped lines are counted)
//!                                          └───> the agent             (a gap shows in positions)
//! ```
//!
//! The pipe outlives its writers: init holds both ends, so a service that ends loses nothing and a
//! new one finds it open. Nobody is waited for: who does not take a line in time does without it. Only
//! a service that writes faster than anybody could read is held up, by its own full pipe.

pub(crate) mod outlet;
pub(crate) mod ring;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use holdfast_supervisor::channel::{INIT_SLOT, MAX_LOG_BYTES, ToAgent};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::snapshot::MAX_SLOTS;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::console;
use outlet::{ATOMIC_BYTES, Offered, Outlet};
use ring::{Lines, Ring};

/// Of each service: what a start says many times over, and small against a machine's memory.
const RING_BYTES: usize = 32 * 1024;
/// One read of a pipe, and at most so many of them per turn and service.
const READ_BYTES: usize = 4096;
const READS_PER_TURN: usize = 16;
/// A service may write this much per period, about 5 MB/s; then its pipe is left to fill until the
/// next, so that a flood costs PID 1 a few percent of one CPU and not all of it.
const BYTES_PER_PERIOD: usize = 256 * 1024;
const PERIOD_MS: Ms = 50;
/// Writes to standard output per turn.
const WRITES_PER_TURN: usize = 16;
/// Messages to the agent per turn.
const PUSHES_PER_TURN: usize = 8;
/// The count of dropped lines is told this often.
const TELL_MS: Ms = 1_000;
/// An outlet that epoll cannot watch is tried again after this.
const TRY_AGAIN_MS: Ms = 50;

pub(crate) struct Logs {
    streams: Vec<Stream, MAX_SLOTS>,
    out: Outlet,
    /// init's own lines go to the same place.
    is_shared: bool,
    /// Where init's own lines have been pushed to.
    own_pushed: u64,
    try_again_at: Option<Ms>,
    /// How many dropped lines the agent knows of, and when it is next told.
    told: u64,
    tell_at: Option<Ms>,
}

struct Stream {
    reader: OwnedFd,
    writer: OwnedFd,
    ring: Box<Ring<RING_BYTES>>,
    lines: Lines,
    pushed: u64,
    left: usize,
    /// The pipe is left alone until then.
    refill_at: Option<Ms>,
}

impl Stream {
    fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok(Self {
            reader,
            writer,
            ring: Box::new(Ring::new()),
            lines: Lines::NEW,
            pushed: 0,
            left: BYTES_PER_PERIOD,
            refill_at: None,
        })
    }

    /// False: the pipe is empty.
    fn read(&mut self) -> bool {
        let mut buffer = [0; READ_BYTES];
        let Ok(len @ 1..) = rustix::io::read(&self.reader, &mut buffer[..]) else { return false };
        self.ring.push(buffer.get(..len).unwrap_or_default(), &mut self.lines);
        self.left = self.left.saturating_sub(len);
        true
    }
}

impl Logs {
    /// As many streams as services, each on the epoll under its token. Before the heap is sealed.
    pub(crate) fn open(epoll: &OwnedFd, count: usize, first_token: u64) -> Self {
        let mut streams = Vec::new();
        for at in 0..count {
            let Ok(stream) = Stream::new() else { break };
            let token = EventData::new_u64(first_token + at as u64);
            // Without either, services write where init writes.
            if epoll::add(epoll, &stream.reader, token, EventFlags::IN).is_err()
                || streams.push(stream).is_err()
            {
                break;
            }
        }
        let out = Outlet::open(rustix::stdio::stdout(), "/proc/self/fd/1");
        console::own_outlet();
        let is_shared = console::writes_to(&out);
        let (try_again_at, tell_at) = (None, None);
        Self { streams, out, is_shared, own_pushed: 0, try_again_at, told: 0, tell_at }
    }

    /// What a service's standard output and error are to be.
    pub(crate) fn writer(&self, at: usize) -> Option<BorrowedFd<'_>> {
        Some(self.streams.get(at)?.writer.as_fd())
    }

    pub(crate) fn dropped(&self, at: usize) -> u64 {
        self.streams.get(at).map_or(0, |stream| stream.lines.dropped())
    }

    /// True when lines were dropped that nobody was told of; at most once per [`TELL_MS`].
    pub(crate) fn has_news(&mut self, now: Ms) -> bool {
        let services: u64 = self.streams.iter().map(|stream| stream.lines.dropped()).sum();
        let dropped = console::dropped() + services;
        if dropped == self.told || self.tell_at.is_some_and(|due| due > now) {
            self.tell_at = self.tell_at.filter(|_| dropped != self.told);
            return false;
        }
        (self.told, self.tell_at) = (dropped, Some(now + TELL_MS));
        true
    }

    /// The pipe of a service has something.
    pub(crate) fn receive(&mut self, at: usize, epoll: &OwnedFd, first_token: u64, now: Ms) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        let mut reads = 0;
        while reads < READS_PER_TURN && stream.left > 0 && stream.read() {
            reads += 1;
        }
        if stream.left == 0 && stream.refill_at.is_none() {
            stream.refill_at = Some(now + PERIOD_MS);
            listen(epoll, stream, first_token + at as u64, EventFlags::empty());
        }
    }

    /// What falls due: pipes that were left alone, an outlet that cannot be watched.
    pub(crate) fn tick(&mut self, epoll: &OwnedFd, first_token: u64, now: Ms) {
        for (at, stream) in self.streams.iter_mut().enumerate() {
            if stream.refill_at.is_some_and(|due| due <= now) {
                stream.refill_at = None;
                stream.left = BYTES_PER_PERIOD;
                listen(epoll, stream, first_token + at as u64, EventFlags::IN);
            }
        }
        self.try_again_at = self.try_again_at.filter(|due| *due > now);
    }

    pub(crate) fn deadline(&self) -> Option<Ms> {
        let refills = self.streams.iter().filter_map(|stream| stream.refill_at);
        refills.chain(self.try_again_at).chain(self.tell_at).min()
    }

    /// The service has ended: all it wrote is in its pipe, and the pipe is small.
    pub(crate) fn drain(&mut self, at: usize) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        while stream.left > 0 && stream.read() {}
    }

    /// Passes lines on to standard output, and init's own to standard error, as far as they go.
    pub(crate) fn relay(&mut self, epoll: &OwnedFd, token: u64, now: Ms) {
        if self.try_again_at.is_some() {
            return;
        }
        let (own, flow) = self.relay_all(false);
        self.wait_for(own, console::arm(epoll, token, own), now);
        self.wait_for(flow, arm(epoll, &self.out, token, flow), now);
    }

    /// init's own lines and those of streams. Whatever went out in part is finished first.
    fn relay_all(&mut self, all: bool) -> (Flow, Flow) {
        if console::waits() {
            self.relay_streams(all);
        }
        let own = console::flush();
        if self.is_shared && console::is_mid_line() {
            return (own, Flow::Full);
        }
        (own, self.relay_streams(all))
    }

    fn wait_for(&mut self, flow: Flow, armed: Result<(), Errno>, now: Ms) {
        if armed.is_err() {
            self.try_again_at = Some(if flow == Flow::Full { now + TRY_AGAIN_MS } else { now });
        }
    }

    /// A line that went out in part is finished before another stream's begins.
    fn relay_streams(&mut self, all: bool) -> Flow {
        let first = self.streams.iter().position(|stream| stream.lines.is_mid_line()).unwrap_or(0);
        let (before, from) = self.streams.split_at_mut(first);
        let (mut whole, mut is_cut) = (Flow::Done, false);
        for stream in from.iter_mut().chain(before) {
            let flow = relay(&stream.ring, &mut stream.lines, &self.out, all);
            whole = whole.max(flow);
            // A line that its service has not finished is not waited for.
            is_cut = flow != Flow::Done && stream.lines.is_mid_line();
            if is_cut {
                break;
            }
        }
        console::wait(is_cut && self.is_shared);
        whole
    }

    /// Before the end: everything that can still go out within `bound_ms`.
    pub(crate) fn finish(&mut self, bound_ms: Ms) {
        let until = now_ms() + bound_ms;
        for at in 0..self.streams.len() {
            self.drain(at);
        }
        loop {
            let (own, streams) = self.relay_all(true);
            let flow = own.max(streams);
            if flow == Flow::Done || now_ms() >= until {
                return;
            }
            if flow == Flow::Full {
                crate::finish::pause();
            }
        }
    }

    /// A new agent is told everything that is still here.
    pub(crate) fn begin_anew(&mut self) {
        self.own_pushed = 0;
        self.streams.iter_mut().for_each(|stream| stream.pushed = 0);
    }

    /// Sends what the agent has not seen while `send` takes it. True: there is more.
    pub(crate) fn push(&mut self, mut send: impl FnMut(&ToAgent) -> bool) -> bool {
        let mut left = PUSHES_PER_TURN;
        while let Some(message) = self.next_message() {
            if left == 0 || !send(&message) {
                return true;
            }
            self.pushed(&message);
            left -= 1;
        }
        false
    }

    fn next_message(&self) -> Option<ToAgent> {
        let mut buffer = [0; MAX_LOG_BYTES];
        let mut found = console::copy(self.own_pushed, &mut buffer).map(|part| (INIT_SLOT, part));
        for (slot, stream) in self.streams.iter().enumerate() {
            if found.is_none() && stream.pushed < stream.ring.written() {
                let at = stream.pushed.max(stream.ring.oldest());
                let len = stream.ring.copy(at, &mut buffer).len();
                found = Some((slot as u8, (at, len)));
            }
        }
        let (slot, (at, len)) = found?;
        Some(ToAgent::Log { slot, at, text: Vec::from_slice(buffer.get(..len)?).ok()? })
    }

    fn pushed(&mut self, message: &ToAgent) {
        let ToAgent::Log { slot, at, text } = message else { return };
        let end = at + text.len() as u64;
        match self.streams.get_mut(usize::from(*slot)) {
            Some(stream) => stream.pushed = end,
            None => self.own_pushed = end,
        }
    }
}

/// How far lines got; the worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flow {
    Done,
    /// Enough for one turn.
    More,
    /// The outlet takes nothing now.
    Full,
}

/// Passes on what one stream has, and says in its place what it has no longer.
pub(crate) fn relay<const N: usize>(
    ring: &Ring<N>,
    lines: &mut Lines,
    out: &Outlet,
    all: bool,
) -> Flow {
    for _ in 0..WRITES_PER_TURN {
        let mut buffer = [0; ATOMIC_BYTES];
        let text = lines.next(ring, &mut buffer, all);
        if let Some((dropped, is_mid_line, passed)) = lines.next_notice() {
            let notice = console::notice(is_mid_line, dropped);
            let rest = notice.as_bytes().get(passed..).unwrap_or_default();
            match out.offer(rest) {
                Offered::Took(len) => lines.said(len, len == rest.len()),
                Offered::Full => return Flow::Full,
                Offered::Gone => return gone(ring, lines),
            }
            continue;
        }
        if text.is_empty() {
            return Flow::Done;
        }
        match out.offer(text) {
            Offered::Took(len) => lines.passed(text, len),
            Offered::Full => return Flow::Full,
            Offered::Gone => return gone(ring, lines),
        }
    }
    Flow::More
}

/// Counted, and nobody there to be told.
fn gone<const N: usize>(ring: &Ring<N>, lines: &mut Lines) -> Flow {
    lines.give_up(ring);
    Flow::Done
}

fn listen(epoll: &OwnedFd, stream: &Stream, token: u64, flags: EventFlags) {
    let _ = epoll::modify(epoll, &stream.reader, EventData::new_u64(token), flags);
}

/// Wakes the loop once when there is room, if there is a need. One shot, because a pipe without a
/// reader would be reported for ever.
pub(crate) fn arm(epoll: &OwnedFd, out: &Outlet, token: u64, flow: Flow) -> Result<(), Errno> {
    if flow == Flow::Done {
        return Ok(());
    }
    let (data, flags) = (EventData::new_u64(token), EventFlags::OUT | EventFlags::ONESHOT);
    match epoll::modify(epoll, out, data, flags) {
        Err(Errno::NOENT) => epoll::add(epoll, out, data, flags),
        other => other,
    }
}

#[cfg(test)]
mod tests;
