//! How handlers reach lists, sets, hashes, sorted sets and streams: typed, with the wrong type
//! refused, due keys out of sight and empty collections removed.

use rand_pcg::Pcg64Mcg;

use super::{Call, Engine};
use crate::clock::Now;
use crate::config::notify::Class;
use crate::config::settings::Settings;
use crate::error::{self, Result};
use crate::keyspace::{Key, Keyspace, Value};
use crate::resp::Reply;
use crate::types::collection::{Collection, CollectionType};

/// What a handler may use while it edits a collection.
pub struct With<'c, 'a> {
    pub reply: &'c mut Reply<'a>,
    pub settings: &'c Settings,
    pub rng: &'c mut Pcg64Mcg,
    pub now: Now,
}

fn typed<T: CollectionType>(collection: Option<&Collection>) -> Result<&T> {
    collection.and_then(T::of).ok_or(error::WRONG_TYPE)
}

impl<'a> Call<'a> {
    /// Looks a collection up for reading: hits and misses are counted, the access is noted.
    pub fn read_as<T: CollectionType>(&mut self, key: &[u8]) -> Result<Option<&T>> {
        self.read_as_and_reply(key).map(|(found, _)| found)
    }

    /// The same, with the reply to write it into from where it lies.
    pub fn read_as_and_reply<T: CollectionType>(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<&T>, &mut Reply<'a>)> {
        let (found, reply) = self.read_and_reply(key);
        let value = found.map(|entry| typed::<T>(entry.collection())).transpose()?;
        Ok((value, reply))
    }

    /// Looks a collection up before a write, without a trace.
    pub fn peek_as<T: CollectionType>(&mut self, key: &[u8]) -> Result<Option<&T>> {
        self.peek(key).map(|entry| typed::<T>(entry.collection())).transpose()
    }

    /// Edits a collection where it lies, and removes its key should it be empty then. `None` if
    /// there is no such key.
    pub fn edit<T: CollectionType, R>(
        &mut self,
        key: &[u8],
        edit: impl FnOnce(&mut T, With<'_, 'a>) -> R,
    ) -> Result<Option<R>> {
        let hashed = self.db().key(key);
        Ok(self.edit_if_there(hashed, edit)?.ok())
    }

    /// The same; where there is no such key, on a new collection, which is kept unless it stays
    /// empty.
    pub fn edit_or_create<T: CollectionType, R>(
        &mut self,
        key: &[u8],
        create: impl FnOnce(&Settings) -> T,
        edit: impl FnOnce(&mut T, With<'_, 'a>) -> R,
    ) -> Result<R> {
        let hashed = self.db().key(key);
        let edit = match self.edit_if_there(hashed, edit)? {
            Ok(result) => return Ok(result),
            Err(edit) => edit,
        };
        let mut value = create(self.settings());
        let result = edit(&mut value, self.with().0);
        if !value.is_void() {
            let value = Value::Collection(value.into_collection());
            self.db_mut().set(hashed, value, None);
            self.event(Class::NEW, "new", key);
        }
        Ok(result)
    }

    /// Edits the collection at `key`; gives `edit` back if there is none.
    fn edit_if_there<T: CollectionType, R, F: FnOnce(&mut T, With<'_, 'a>) -> R>(
        &mut self,
        key: Key<'_>,
        edit: F,
    ) -> Result<Result<R, F>> {
        let note = self.note_of_write();
        let db = self.client.db;
        self.remove_if_due(db, key);
        let (with, keyspace) = self.with();
        let Some(found) = keyspace.db_mut(db).find_mut(key) else { return Ok(Err(edit)) };
        if let Some(note) = note {
            note.on(found.entry());
        }
        let value = found.into_collection().and_then(T::of_mut).ok_or(error::WRONG_TYPE)?;
        let deadline = value.next_deadline();
        let result = edit(value, with);
        let is_void = value.is_void();
        if value.next_deadline() != deadline {
            keyspace.db_mut(db).note_deadline_within(key, deadline.is_some());
        }
        if is_void {
            self.engine.remove(db, key);
        }
        Ok(Ok(result))
    }

    fn with(&mut self) -> (With<'_, 'a>, &mut Keyspace) {
        let Engine { config, rng, keyspace, .. } = &mut *self.engine;
        let settings = config.settings();
        (With { reply: &mut self.reply, settings, rng, now: self.now }, keyspace)
    }

    /// Puts a collection at `key` in place of whatever was there, without an expiry; `None`, or an
    /// empty one, only removes. Whether something was there before.
    pub fn store<T: CollectionType>(&mut self, key: &[u8], value: Option<T>) -> bool {
        let was_there = self.remove(key);
        if let Some(value) = value.filter(|value| !value.is_void()) {
            self.set_value(key, Value::Collection(value.into_collection()), None);
        }
        was_there
    }
}
