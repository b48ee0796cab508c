//! One connection: bytes in, batches to the engine, replies out.
//!
//! An idle connection holds no buffers. Bytes are read into a scratch buffer of the worker thread and
//! executed from there; only what is incomplete is copied into the connection. Replies are written
//! from another scratch buffer; only what the socket does not take is kept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::MutexGuard;
use tokio::task::yield_now;

use super::Shared;
use super::stream::Stream;
use crate::engine::{Bell, Buffers, ClientLimits, Closing, Durable, Progress, Slot, Traffic, Turn};
use crate::error::Error;
use crate::resp::{Batch, Decoder, Protocol, Reply};

/// Read at once; about 1,500 pipelined small commands.
const SCRATCH_LEN: usize = 64 * 1024;
/// Least room made for an incomplete command (`PROTO_IOBUF_LEN`).
const INPUT_ROOM: usize = 16 * 1024;
/// Most room made ahead for an announced long argument, beyond what has arrived of it already. It
/// costs addresses only, memory as it fills.
const INPUT_STEP: usize = 1024 * 1024;
/// Read at once of an argument that is longer than the scratch buffer.
const INPUT_READ: usize = 128 * 1024;
/// Replies that wait are gathered in pieces of about this size.
const BACKLOG_PIECE: usize = 64 * 1024;
/// A scratch output buffer that grew beyond this is given back.
const SCRATCH_KEEP: usize = 512 * 1024;

struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
    batch: Batch,
    /// Both buffers' capacity, as the engine last heard of it.
    told_capacity: usize,
}

impl Scratch {
    fn capacity(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; SCRATCH_LEN],
        output: Vec::new(),
        batch: Batch::default(),
        told_capacity: 0,
    });
}

/// Serves a connection until one side ends it.
pub async fn serve(stream: impl Stream, shared: Arc<Shared>, slot: Slot) {
    let (bell, limits) = {
        let engine = shared.engine();
        (Arc::clone(&engine.clients.get(slot).bell), engine.limits(slot))
    };
    let mut connection = Connection {
        stream,
        shared,
        slot,
        bell,
        decoder: Decoder::default(),
        input: Vec::new(),
        output: Vec::new(),
        sent: 0,
        backlog: VecDeque::new(),
        backlog_len: 0,
        backlog_capacity: 0,
        state: State::Open,
        limits,
        traffic: Traffic::default(),
        told: Buffers::default(),
        over_soft_limit_since_ms: None,
        held: None,
        turn: Turn::default(),
        is_told: false,
        has_more: false,
    };
    poll_fn(|cx| {
        connection.bell.listen(cx.waker());
        Poll::Ready(())
    })
    .await;
    // Errors of a socket only end its connection.
    let _ = poll_fn(|cx| connection.poll(cx)).await;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Commands in `input`, and those that follow, wait for the bell.
    Waiting,
    /// Commands in `input` wait until the replies before them are on their way.
    Full,
    /// Nothing is read any more; what is in `output` is still sent.
    Draining,
    Closed,
}

struct Connection<S> {
    stream: S,
    shared: Arc<Shared>,
    slot: Slot,
    bell: Arc<Bell>,
    decoder: Decoder,
    /// Bytes of a command that is not complete, or that waits.
    input: Vec<u8>,
    /// Replies being sent; the first `sent` bytes are.
    output: Vec<u8>,
    sent: usize,
    /// Replies behind those, in pieces that are never copied together.
    backlog: VecDeque<Vec<u8>>,
    backlog_len: usize,
    backlog_capacity: usize,
    state: State,
    limits: ClientLimits,
    /// Since the engine last heard of it.
    traffic: Traffic,
    /// What the engine knows of our buffers.
    told: Buffers,
    over_soft_limit_since_ms: Option<i64>,
    /// Nothing is sent before this is durable.
    held: Option<Durable>,
    turn: Turn,
    /// Whether a batch was executed in this turn: that tells, under the lock, all that the bell could.
    is_told: bool,
    /// Whether what was read in this turn is not all that there was.
    has_more: bool,
}

/// The task's turn is over, and it wants another: once the others that are ready have had theirs, and
/// after a look at who else has become ready.
fn again<T>(cx: &mut Context<'_>) -> Poll<T> {
    let _ = pin!(yield_now()).poll(cx);
    Poll::Pending
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // First, for the engine counts with them until it hears that the connection is gone.
        (self.input, self.output, self.backlog) = Default::default();
        let mut engine = self.shared.engine();
        engine.count_traffic(self.slot, std::mem::take(&mut self.traffic));
        engine.disconnect(self.slot);
    }
}

impl<S: Stream> Connection<S> {
    /// Ready when the connection is to be closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.told_capacity == 0 {
                // Before the thread's first command, which may evict.
                self.tell_scratch(scratch);
            }
            let polled = self.poll_with(cx, scratch);
            if polled.is_pending() {
                self.tell_buffers();
            }
            if scratch.capacity() != scratch.told_capacity {
                self.tell_scratch(scratch);
            }
            polled
        })
    }

    /// What a thread keeps for the next commands and replies is no client's, and no key is evicted for it.
    #[cold]
    fn tell_scratch(&self, scratch: &mut Scratch) {
        let capacity = scratch.capacity();
        let told = std::mem::replace(&mut scratch.told_capacity, capacity);
        self.shared.engine().count_scratch(told, capacity);
    }

    fn poll_with(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        (self.turn, self.is_told, self.has_more) = (Turn::default(), false, false);
        loop {
            if self.state != State::Open && self.bell.answer(cx.waker()) {
                self.answer_bell(scratch);
            }
            if self.state == State::Closed {
                return Poll::Ready(Ok(()));
            }
            let flushed = self.poll_flush(cx, scratch)?;
            if self.state == State::Draining {
                ready!(flushed);
                return Poll::Ready(Ok(()));
            }
            if flushed.is_pending() && self.is_over_output_limit() {
                return Poll::Ready(Ok(()));
            }
            if self.held.is_some() {
                // The next commands wait, or replies to them would hold these back for ever.
                if self.state == State::Open && self.bell.answer(cx.waker()) {
                    self.answer_bell(scratch);
                    continue;
                }
                return Poll::Pending;
            }
            match self.state {
                // Others have their turn first, here and at the lock.
                _ if self.has_more || self.turn.is_over() => return again(cx),
                State::Full if self.is_told => return again(cx),
                // Nothing is executed, but what comes is taken: so we hear of the peer's end.
                State::Waiting => {
                    if ready!(self.poll_read_ahead(cx, scratch))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    continue;
                }
                State::Full => {
                    self.state = State::Open;
                    self.execute_input(scratch);
                    continue;
                }
                _ => {}
            }
            // Reading goes on while replies wait: a client may send its whole pipeline first. What was
            // read in this turn was probably all there is.
            let may_read = !self.is_told || self.stream.poll_readable(cx)?.is_ready();
            let read = if may_read { self.poll_read(cx, scratch)? } else { Poll::Pending };
            match read {
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => {}
                // The bell's memory is seldom in the processor's cache, so it is looked at last.
                Poll::Pending if self.is_told || !self.bell.answer(cx.waker()) => {
                    return Poll::Pending;
                }
                Poll::Pending => self.answer_bell(scratch),
            }
        }
    }

    /// Reads once and executes what became complete. Zero at the end of the stream.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<usize>> {
        if self.input.is_empty() {
            let len = ready!(self.stream.poll_receive(cx, &mut scratch.input))?;
            self.count_read(len, scratch.input.len());
            let input = std::mem::take(&mut scratch.input);
            self.execute(&input[..len], scratch);
            scratch.input = input;
            return Poll::Ready(Ok(len));
        }
        let old_len = self.input.len();
        let ahead = self.decoder.missing(old_len).clamp(INPUT_ROOM, INPUT_STEP.max(old_len));
        // What is not announced comes in small steps; a quarter more each time is enough for those.
        if self.input.capacity() - old_len < ahead {
            self.input.reserve_exact(ahead.max(old_len / 4));
        }
        self.input.resize(old_len + ahead.min(INPUT_READ), 0);
        let received = self.stream.poll_receive(cx, &mut self.input[old_len..]);
        let len = if let Poll::Ready(Ok(len)) = received { len } else { 0 };
        self.input.truncate(old_len + len);
        ready!(received)?;
        self.count_read(len, ahead.min(INPUT_READ));
        self.execute_input(scratch);
        Poll::Ready(Ok(len))
    }

    /// Reads once and keeps it for when the waiting is over. Zero at the end of the stream. Stops
    /// at the query buffer's limit; what then stays in the socket is the client's own business.
    fn poll_read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<io::Result<usize>> {
        if self.input.len() >= self.limits.max_query_len {
            return Poll::Pending;
        }
        let len = ready!(self.stream.poll_receive(cx, &mut scratch.input))?;
        self.input.extend_from_slice(&scratch.input[..len]);
        self.count_read(len, scratch.input.len());
        Poll::Ready(Ok(len))
    }

    fn count_read(&mut self, len: usize, room: usize) {
        self.has_more = len == room;
        self.traffic.bytes_in += len as u64;
        self.traffic.reads += u64::from(len > 0);
    }

    fn execute_input(&mut self, scratch: &mut Scratch) {
        let mut input = std::mem::take(&mut self.input);
        let consumed = self.execute_bytes(&input, scratch);
        if consumed < input.len() {
            input.drain(..consumed);
            self.input = input;
        }
    }

    /// Executes the complete commands of `bytes` and keeps the rest.
    fn execute(&mut self, bytes: &[u8], scratch: &mut Scratch) {
        let consumed = self.execute_bytes(bytes, scratch);
        let rest = &bytes[consumed..];
        if !rest.is_empty() {
            self.input.reserve_exact(rest.len().max(INPUT_ROOM));
            self.input.extend_from_slice(rest);
        }
    }

    /// Executes the complete commands of `bytes`; how many bytes are done with.
    fn execute_bytes(&mut self, bytes: &[u8], scratch: &mut Scratch) -> usize {
        let Scratch { output, batch, .. } = scratch;
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let (consumed, result) = self.decoder.decode(rest, self.limits.decode, batch);
            if batch.is_empty() && result.is_ok() {
                done += consumed;
                break;
            }
            let has_waiting = !self.output.is_empty();
            if has_waiting {
                self.told = self.buffers();
            }
            let mut engine = self.shared.engine();
            if has_waiting {
                // More replies are coming: what those that wait take counts at once.
                engine.set_buffers(self.slot, self.told);
            }
            engine.prefetch(self.limits.db, batch, rest, 0);
            engine.count_traffic(self.slot, std::mem::take(&mut self.traffic));
            let (clock, turn) = (&self.shared.clock, &mut self.turn);
            let progress = engine.execute(self.slot, batch, rest, output, clock, turn);
            self.limits = engine.limits(self.slot);
            if let Some(durable) = engine.take_durable() {
                self.held = Some(durable);
            }
            self.is_told = true;
            let goes_on = match progress {
                Progress::Done => {
                    done += consumed;
                    let is_over = self.turn.is_over() && done < bytes.len();
                    if is_over {
                        self.state = State::Full;
                        self.decoder = Decoder::default();
                    }
                    !is_over
                }
                Progress::Waiting { at } | Progress::Full { at } => {
                    let waits = matches!(progress, Progress::Waiting { .. });
                    self.state = if waits { State::Waiting } else { State::Full };
                    self.decoder = Decoder::default();
                    done += batch.bytes_of(at);
                    false
                }
                Progress::Closing(closing) => {
                    let now = closing == Closing::Now;
                    self.state = if now { State::Closed } else { State::Draining };
                    done = bytes.len();
                    false
                }
            };
            if goes_on && let Err(error) = result {
                engine.count_protocol_error(self.slot, &error);
                let error = Error::owned(format!("ERR Protocol error: {}", error.0));
                Reply::new(output, Protocol::Resp2).error(&error);
                self.state = State::Draining;
                done = bytes.len();
            }
            if self.has_more || done < bytes.len() {
                // We shall want the lock again before a thread that waits for it can have woken up.
                MutexGuard::unlock_fair(engine);
            }
            if !goes_on {
                break;
            }
        }
        batch.shrink();
        self.queue(output);
        if bytes.len() - done > self.limits.max_query_len {
            self.refuse_query_buffer(bytes.len() - done);
        }
        done
    }

    /// Puts fresh replies behind those that wait.
    fn queue(&mut self, fresh: &mut Vec<u8>) {
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, fresh);
            return;
        }
        self.backlog_len += fresh.len();
        match self.backlog.back_mut() {
            Some(last) if last.len() + fresh.len() <= BACKLOG_PIECE => {
                self.backlog_capacity -= last.capacity();
                last.append(fresh);
                self.backlog_capacity += last.capacity();
            }
            _ if fresh.is_empty() => {}
            _ => {
                self.backlog_capacity += fresh.capacity();
                self.backlog.push_back(std::mem::take(fresh));
            }
        }
    }

    /// Bytes of replies that the socket has not taken.
    fn waiting_len(&self) -> usize {
        self.output.len() - self.sent + self.backlog_len
    }

    /// Whether what waits to be sent may not be told yet; the bell rings when it may.
    fn is_held(&mut self) -> bool {
        let Some(Durable { offset, log }) = &self.held else { return false };
        if log.reached(*offset) {
            self.held = None;
            return false;
        }
        log.ring_at(*offset, &self.bell);
        true
    }

    /// Sends what waits. Ready when nothing does.
    fn poll_flush(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> io::Result<Poll<()>> {
        if self.held.is_some() && self.is_held() {
            return Ok(Poll::Pending);
        }
        loop {
            while self.sent < self.output.len() {
                let rest = &self.output[self.sent..];
                match self.stream.poll_send(cx, rest)? {
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(len) => {
                        self.sent += len;
                        self.traffic.bytes_out += len as u64;
                        self.traffic.writes += 1;
                    }
                }
            }
            let Some(next) = self.backlog.pop_front() else { break };
            self.backlog_len -= next.len();
            self.backlog_capacity -= next.capacity();
            self.output = next;
            self.sent = 0;
        }
        if self.stream.poll_flush(cx)?.is_pending() {
            return Ok(Poll::Pending);
        }
        self.over_soft_limit_since_ms = None;
        self.sent = 0;
        // An idle connection keeps no buffer; the thread keeps one of a usual size.
        let mut empty = std::mem::take(&mut self.output);
        if empty.capacity() > scratch.output.capacity() && empty.capacity() <= SCRATCH_KEEP {
            empty.clear();
            scratch.output = empty;
        }
        Ok(Poll::Ready(()))
    }

    /// Somebody rang: there is a message, the client was killed, or its waiting is over.
    fn answer_bell(&mut self, scratch: &mut Scratch) {
        let standing = {
            let mut engine = self.shared.engine();
            let standing = engine.collect(self.slot, &mut scratch.output);
            if !scratch.output.is_empty()
                && let Some(durable) = engine.durable()
            {
                self.held = Some(durable.clone());
            }
            standing
        };
        self.queue(&mut scratch.output);
        match standing.closing {
            Closing::Now => self.state = State::Closed,
            Closing::AfterReply => self.state = State::Draining,
            Closing::No if self.state == State::Waiting && !standing.waits => {
                self.state = State::Open;
                self.execute_input(scratch);
            }
            Closing::No => {}
        }
    }

    /// `client-output-buffer-limit normal`, for replies that the socket does not take.
    fn is_over_output_limit(&mut self) -> bool {
        let waiting = self.waiting_len() as u64;
        let limit = self.limits.output;
        let mut soft = false;
        if limit.soft_bytes > 0 && waiting > limit.soft_bytes {
            let now_ms = self.shared.clock.now().ms();
            let since_ms = *self.over_soft_limit_since_ms.get_or_insert(now_ms);
            soft = now_ms - since_ms >= limit.soft_seconds * 1000;
        } else {
            self.over_soft_limit_since_ms = None;
        }
        let hard = limit.hard_bytes > 0 && waiting > limit.hard_bytes;
        if hard || soft {
            self.shared.engine().count_output_refusal(self.slot);
        }
        hard || soft
    }

    fn refuse_query_buffer(&mut self, len: usize) {
        let mut engine = self.shared.engine();
        engine.stats.query_buffer_disconnections += 1;
        let client = engine.clients.get(self.slot);
        crate::log::warning!(
            "Closing client that reached max query buffer length: id={} addr={} qbuf={len}",
            client.id,
            client.address
        );
        self.state = State::Closed;
    }

    fn buffers(&self) -> Buffers {
        Buffers {
            query_len: self.input.len(),
            query_free: self.input.capacity() - self.input.len(),
            output_len: self.waiting_len(),
            output_capacity: self.output.capacity() + self.backlog_capacity,
        }
    }

    /// Keeps CLIENT LIST true while we hold something. Costs a taking of the lock only then.
    fn tell_buffers(&mut self) {
        let buffers = self.buffers();
        if buffers != self.told {
            self.told = buffers;
            self.shared.engine().set_buffers(self.slot, buffers);
        }
    }
}
