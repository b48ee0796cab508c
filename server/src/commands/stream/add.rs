//! XADD: a new entry at the end.

use super::ids::NewId;
use super::trim::Trim;
use super::{FAST_WRITE, STREAM, UPDATES, limits, reply};
use crate::commands::spec::{Command, Flags};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::stream::{AddError, Effort, Keep, Limits, Log, Stream, StreamId, TEXT_MAX};

pub(super) const XADD: Command = Command {
    name: "xadd",
    syntax: "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold:string [LIMIT count]] <* | id> field value [field value ...]",
    summary: "Appends a new message to a stream. Creates the key if it doesn't exist.",
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    flags: FAST_WRITE.union(Flags::DENYOOM),
    keys: &[UPDATES.noted("UPDATE instead of INSERT because of the optional trimming feature")],
    handler: Some(xadd),
    history: &[
        (
            "6.2.0",
            "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.",
        ),
        ("7.0.0", "Added support for the `<ms>-*` explicit ID form."),
    ],
    tips: &["nondeterministic_output"],
    ..STREAM
};

fn xadd(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let options = Options::parse(args, call)?;
    if options.no_create && call.peek_as::<Stream>(key)?.is_none() {
        call.reply.null();
        return Ok(());
    }
    let unix_ms = u64::try_from(call.now.unix_ms()).unwrap_or(0);
    let limits = limits(call.settings());
    let edit = |stream: &mut Stream| options.apply(&mut stream.parts_mut().log, unix_ms, limits);
    let added = call.edit_or_create(key, |_| Stream::new(), |stream, _| edit(stream))??;
    let Added { id, trimmed, .. } = added;
    reply::id(&mut call.reply, id);
    call.changed(key);
    options.log(call, key, &added);
    call.event(Class::STREAM, "xadd", key);
    if trimmed > 0 {
        call.event(Class::STREAM, "xtrim", key);
    }
    call.signal(key);
    Ok(())
}

struct Options<'a> {
    id: NewId,
    /// Fields and values in turn.
    words: Args<'a>,
    no_create: bool,
    trim: Option<(Keep, Effort)>,
}

impl<'a> Options<'a> {
    fn parse(mut args: Args<'a>, call: &Call<'_>) -> Result<Self> {
        let mut no_create = false;
        let mut trim = Trim::default();
        let mut id = None;
        while let Some(word) = args.peek() {
            if word == b"*" {
                args.next();
                id = Some(NewId::Now);
                break;
            }
            if args.keyword("nomkstream") {
                no_create = true;
            } else if !trim.parse_option(&mut args)? {
                id = Some(NewId::parse(args.required()?)?);
                break;
            }
        }
        let trim = trim.finish(call.settings().stream_node_max_entries)?;
        let pairs_follow = args.left() >= 2 && args.left().is_multiple_of(2);
        let id = id.filter(|_| pairs_follow).ok_or_else(|| call.wrong_arity())?;
        if id == NewId::Exactly(StreamId::MIN) {
            return Err(error::STREAM_ID_ZERO);
        }
        Ok(Self { id, words: args, no_create, trim })
    }

    /// Adds the entry, then trims.
    fn apply(&self, log: &mut Log, unix_ms: u64, limits: Limits) -> Result<Added> {
        if log.last_id() == StreamId::MAX {
            return Err(error::STREAM_EXHAUSTED);
        }
        let id = self.id.resolve(log.last_id(), unix_ms)?;
        log.add(id, self.words, limits).map_err(|refused| match refused {
            AddError::NotBehindLast => error::STREAM_ID_TOO_SMALL,
            AddError::TooLarge => error::STREAM_ENTRY_TOO_LARGE,
        })?;
        let trimmed = self.trim.map_or(0, |(keep, effort)| log.trim(keep, effort));
        Ok(Added { id, trimmed, len: log.len() })
    }

    /// Logs the entry with its id, and by how much the stream was trimmed, which depends on how it is
    /// kept.
    fn log(&self, call: &mut Call<'_>, key: &[u8], added: &Added) {
        let is_exact = matches!(self.id, NewId::Exactly(_)) && self.trim.is_none();
        if is_exact {
            return;
        }
        let trim = added.trimmed > 0;
        call.log(3 + self.words.left() + if trim { 3 } else { 0 }, |line| {
            line.word(b"XADD").word(key);
            if trim {
                line.word(b"MAXLEN").word(b"=").int(added.len as i64);
            }
            line.word(added.id.write_to(&mut [0; TEXT_MAX])).words(self.words).done();
        });
    }
}

/// What came of it.
struct Added {
    id: StreamId,
    /// Older entries that went.
    trimmed: u64,
    /// Entries there are now.
    len: u64,
}
