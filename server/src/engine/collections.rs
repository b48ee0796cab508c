//! How handlers reach lists, sets, hashes, sorted sets and streams: typed, with the wrong type
//! refused, due keys out of sight and empty collections removed.

use std::marker::PhantomData;
use std::ops::Deref;

use rand_pcg::Pcg64Mcg;

use super::{Call, Engine};
use crate::clock::Now;
use crate::config::notify::Class;
use crate::config::settings::Settings;
use crate::error::{self, Result};
use crate::keyspace::{CollectionRef, Entry, Key, Keyspace, Value};
use crate::resp::Reply;
use crate::types::collection::CollectionType;

/// What a handler may use while it edits a collection.
pub struct With<'c, 'a> {
    pub reply: &'c mut Reply<'a>,
    pub settings: &'c Settings,
    pub rng: &'c mut Pcg64Mcg,
    pub now: Now,
}

/// A collection where it lies, of a type that was checked.
pub struct Typed<'a, T> {
    collection: CollectionRef<'a>,
    of_type: PhantomData<T>,
}

impl<'a, T: CollectionType> Typed<'a, T> {
    /// `None` for a value of another type.
    pub fn of(entry: Entry<'a>) -> Option<Self> {
        let collection = entry.collection().filter(|collection| T::of(collection).is_some())?;
        Some(Self { collection, of_type: PhantomData })
    }
}

impl<T: CollectionType> Deref for Typed<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::of(&self.collection).expect("the type was checked when this was made")
    }
}

fn typed<T: CollectionType>(entry: Entry<'_>) -> Result<Typed<'_, T>> {
    Typed::of(entry).ok_or(error::WRONG_TYPE)
}

impl<'a> Call<'a> {
    /// Looks a collection up for reading: hits and misses are counted, the access is noted.
    pub fn read_as<T: CollectionType>(&mut self, key: &[u8]) -> Result<Option<Typed<'_, T>>> {
        self.read_as_and_reply(key).map(|(found, _)| found)
    }

    /// The same, with the reply to write it into from where it lies.
    pub fn read_as_and_reply<T: CollectionType>(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<Typed<'_, T>>, &mut Reply<'a>)> {
        let (found, reply) = self.read_and_reply(key);
        let value = found.map(typed).transpose()?;
        Ok((value, reply))
    }

    /// Looks a collection up before a write, without a trace.
    pub fn peek_as<T: CollectionType>(&mut self, key: &[u8]) -> Result<Option<Typed<'_, T>>> {
        self.peek(key).map(typed).transpose()
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
        if found.entry().kind() != T::KIND {
            return Err(error::WRONG_TYPE);
        }
        let edited = found.edit_collection(|collection| {
            let value = T::of_mut(collection)?;
            let before = value.next_deadline();
            let result = edit(value, with);
            Some((result, value.is_void(), before, value.next_deadline() != before))
        });
        let (result, is_void, before, moved) = edited.flatten().expect("of this type");
        if moved {
            keyspace.db_mut(db).note_deadline_within(key, before.is_some());
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
