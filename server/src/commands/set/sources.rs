//! The sets that a command combines, where they lie.

use crate::config::settings::Settings;
use crate::engine::{Args, Call, Engine, Typed};
use crate::error::Result;
use crate::resp::Reply;
use crate::types::set::Set;

/// Looks all keys up for reading, and then hands their sets to `combine`; `None` for a missing one.
pub(super) fn with_sets<'a, R>(
    call: &mut Call<'a>,
    keys: Args<'_>,
    combine: impl FnOnce(&[Option<&Set>], &mut Reply<'a>, &Settings) -> R,
) -> Result<R> {
    let is_there = keys
        .map(|key| call.read_as::<Set>(key).map(|set| set.is_some()))
        .collect::<Result<Vec<bool>>>()?;
    let Engine { keyspace, config, .. } = &*call.engine;
    let db = keyspace.db(call.client.db);
    let set = |(key, is_there): (&[u8], bool)| {
        let entry = db.find(key).filter(|_| is_there)?;
        Typed::of(entry)
    };
    let sets: Vec<Option<Typed<'_, Set>>> = keys.zip(is_there).map(set).collect();
    let sets: Vec<Option<&Set>> = sets.iter().map(Option::as_deref).collect();
    Ok(combine(&sets, &mut call.reply, config.settings()))
}
