//! Values as RDB keeps them: their bytes written, and read back whoever wrote them. What DUMP and
//! RESTORE exchange, and what files are made of.
//!
//! Written is what Valkey 9.1 writes for the encoding that a value has. Read is what any Redis from
//! 2.x to 8 and any Valkey up to 9.1 wrote. What is read is hostile until the opposite is proved:
//! every length is bounded by the bytes that are there, packed encodings are checked whole,
//! duplicates are refused, and no bytes make anything here panic.
//!
//! Reading order: [`form`] (how values differ), [`write`] and [`read`] (what all are made of), a file
//! per type with both directions, [`legacy`] (what only old servers wrote), [`payload`] (DUMP's),
//! [`file`] (whole files).

mod form;

mod deferred;
pub mod read;
pub mod write;

mod hash;
mod list;
mod set;
mod sorted_set;
mod stream;

mod parts;

mod legacy;

pub mod crc64;
pub mod file;
pub mod payload;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use deferred::Deferred;
pub use form::Form;
pub use parts::{has_times, write_behind_parts, write_part, write_part_count};
pub use read::{Error, Reader, Result, Source};
pub use write::{Counted, Sink, Writer};

use crate::keyspace::{Value, ValueRef};
use crate::types::collection::Collection;
use crate::types::listpack::{Corrupt, Listpack};
use crate::types::string::{Str, StrRef};
use crate::types::{hash as hashes, list as lists, set as sets, sorted_set as sorted_sets};

/// When collections change their encoding: the settings in force where a value is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub list: lists::Limits,
    pub set: sets::Limits,
    pub hash: hashes::Limits,
    pub sorted_set: sorted_sets::Limits,
}

/// Writes a value without its form, which goes before it, or before its key.
pub fn write_value(writer: &mut Writer<impl Sink>, value: ValueRef<'_>) {
    match value {
        ValueRef::Str(StrRef::Int(int)) => writer.int(int),
        ValueRef::Str(StrRef::Bytes(bytes)) => writer.string(bytes),
        ValueRef::Collection(Collection::List(list)) => list::write(writer, list),
        ValueRef::Collection(Collection::Set(set)) => set::write(writer, set),
        ValueRef::Collection(Collection::Hash(hash)) => hash::write(writer, hash),
        ValueRef::Collection(Collection::SortedSet(set)) => sorted_set::write(writer, set),
        ValueRef::Collection(Collection::Stream(stream)) => stream::write(writer, stream),
    }
}

/// Reads a value that was written in `form`.
pub fn read_value(reader: &mut Reader<impl Source>, form: Form, limits: &Limits) -> Result<Value> {
    let collection = match form {
        Form::String => return Ok(Value::Str(Str::new(reader.string()?.to_vec()))),
        Form::List => Collection::List(list::read_elements(reader, limits.list)?),
        Form::ListZiplist => Collection::List(list::read_ziplist(reader, limits.list)?),
        Form::ListOfZiplists => Collection::List(list::read_ziplists(reader, limits.list)?),
        Form::ListOfListpacks => Collection::List(list::read_nodes(reader, limits.list)?),
        Form::Set => Collection::Set(set::read_members(reader, &limits.set)?),
        Form::SetIntset => Collection::Set(set::read_intset(reader, &limits.set)?),
        Form::SetListpack => Collection::Set(set::read_listpack(reader, &limits.set)?),
        Form::SortedSetOfTexts | Form::SortedSet => {
            Collection::SortedSet(sorted_set::read_members(reader, form, &limits.sorted_set)?)
        }
        Form::SortedSetZiplist | Form::SortedSetListpack => {
            Collection::SortedSet(sorted_set::read_packed(reader, form, &limits.sorted_set)?)
        }
        Form::Hash | Form::HashWithTimes => {
            Collection::Hash(hash::read_pairs(reader, form, &limits.hash)?)
        }
        Form::HashWithTtls | Form::HashWithTtlsRc => {
            Collection::Hash(hash::read_with_ttls(reader, form, &limits.hash)?)
        }
        Form::HashZipmap | Form::HashZiplist | Form::HashListpack => {
            Collection::Hash(hash::read_packed(reader, form, &limits.hash)?)
        }
        Form::HashListpackWithTtls | Form::HashListpackWithTtlsRc => {
            Collection::Hash(hash::read_triples(reader, form, &limits.hash)?)
        }
        Form::Stream1 | Form::Stream2 | Form::Stream3 => {
            Collection::Stream(stream::read(reader, form)?)
        }
        Form::ModuleRc => return Err(Error::Corrupt("pre-release module format not supported")),
        Form::Module => return Err(read_module(reader)?),
    };
    Ok(Value::Collection(collection))
}

/// A packed encoding as a listpack, every byte of it checked.
type ToListpack = fn(&[u8]) -> Result<Listpack, Corrupt>;

/// The error that a packed encoding is refused with, in Valkey's words.
fn fails(check: &'static str) -> impl Fn(Corrupt) -> Error {
    move |Corrupt| Error::Corrupt(check)
}

/// A module's value can be read by the module only; the error tells its name.
fn read_module(reader: &mut Reader<impl Source>) -> Result<Error> {
    Ok(Error::Module(module_name(reader.number()?)))
}

/// The name of a module's type, which is in its number along with a version.
fn module_name(id: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const CHARS: u32 = 9;
    const VERSION_BITS: u32 = 10;
    let char_at = |nth| ALPHABET[(id >> (VERSION_BITS + 6 * nth)) as usize & 0x3f] as char;
    (0..CHARS).rev().map(char_at).collect()
}
