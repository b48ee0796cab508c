//! Lists: their nodes one by one, each a listpack or a plain element; older forms are ziplists, and
//! before that elements.

use super::legacy::ziplist;
use super::{Error, Reader, Result, Sink, Source, Writer, fails};
use crate::types::list::{End, Limits, List, Part, Saved};
use crate::types::listpack::Listpack;

const LISTPACK: &str = "Listpack integrity check failed.";
const ZIPLIST: &str = "Ziplist integrity check failed.";

const PLAIN: u64 = 1;
const PACKED: u64 = 2;

pub(super) fn write(writer: &mut Writer<impl Sink>, list: &List) {
    writer.count(list.part_count());
    list.each_part(|part| write_part(writer, part));
}

pub(super) fn write_part(writer: &mut Writer<impl Sink>, part: Part<'_>) {
    match part {
        Part::Packed(listpack) => {
            writer.number(PACKED);
            writer.listpack(listpack);
        }
        Part::Plain(element) => {
            writer.number(PLAIN);
            writer.string(element);
        }
        Part::Squeezed(squeezed) => {
            writer.number(if squeezed.is_plain { PLAIN } else { PACKED });
            writer.compressed(&squeezed.bytes, squeezed.len);
        }
    }
}

/// Listpacks and plain elements.
pub(super) fn read_nodes(reader: &mut Reader<impl Source>, limits: Limits) -> Result<List> {
    let mut parts = Vec::new();
    for _ in 0..reader.count()? {
        parts.push(match reader.number()? {
            PACKED => {
                Saved::Packed(Listpack::from_bytes(reader.string()?).map_err(fails(LISTPACK))?)
            }
            PLAIN => Saved::Plain(read_plain(reader)?),
            _ => return Err(Error::Corrupt("Quicklist integrity check failed.")),
        });
    }
    filled(List::of_parts(parts, limits))
}

fn read_plain(reader: &mut Reader<impl Source>) -> Result<Box<[u8]>> {
    match reader.string()? {
        [] => Err(Error::Corrupt("Quicklist integrity check failed.")),
        element => Ok(element.into()),
    }
}

pub(super) fn read_ziplists(reader: &mut Reader<impl Source>, limits: Limits) -> Result<List> {
    let mut parts = Vec::new();
    for _ in 0..reader.count()? {
        parts.push(Saved::Packed(ziplist::to_listpack(reader.string()?).map_err(fails(ZIPLIST))?));
    }
    filled(List::of_parts(parts, limits))
}

pub(super) fn read_ziplist(reader: &mut Reader<impl Source>, limits: Limits) -> Result<List> {
    let listpack = ziplist::to_listpack(reader.string()?).map_err(fails(ZIPLIST))?;
    filled(List::of_parts(vec![Saved::Packed(listpack)], limits))
}

pub(super) fn read_elements(reader: &mut Reader<impl Source>, limits: Limits) -> Result<List> {
    let mut list = List::new();
    for _ in 0..reader.count()? {
        let element = reader.string()?;
        list.make_room([element], limits);
        list.push(End::Tail, element);
    }
    Ok(list)
}

/// Nodes may be empty, but not all of them.
fn filled(list: List) -> Result<List> {
    if list.len() == 0 { Err(Error::Empty) } else { Ok(list) }
}
