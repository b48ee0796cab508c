//! What a file holds, by database and type: how many keys and elements, and how large they are.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::super::Key;
use crate::keyspace::{Kind, Loaded, Value};
use crate::number::DoubleText;
use crate::types::collection::Collection;
use crate::types::hash::SHOW_DUE;
use crate::types::stream::StreamId;
use crate::types::string::StrRef;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Table,
    Csv,
    Info,
}

impl Format {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "table" => Some(Self::Table),
            "csv" => Some(Self::Csv),
            "info" => Some(Self::Info),
            _ => None,
        }
    }
}

/// Types in the order of their numbers in Valkey.
const TYPES: [(&str, Option<Kind>); 7] = [
    ("string", Some(Kind::String)),
    ("list", Some(Kind::List)),
    ("set", Some(Kind::Set)),
    ("zset", Some(Kind::SortedSet)),
    ("hash", Some(Kind::Hash)),
    ("module", None),
    ("stream", Some(Kind::Stream)),
];

/// How many, how large: with percentiles.
#[derive(Default)]
struct Sizes {
    sum: u64,
    max: u64,
    recorded: u64,
    /// How often each size was seen; three digits of it are kept.
    seen: BTreeMap<u64, u64>,
}

impl Sizes {
    /// Sizes beyond are not recorded, as in Valkey's histograms.
    fn add(&mut self, size: u64, limit: u64) {
        self.sum += size;
        self.max = self.max.max(size);
        if size <= limit {
            self.recorded += 1;
            *self.seen.entry(rounded(size)).or_default() += 1;
        }
    }

    fn percentile(&self, percent: f64) -> u64 {
        let wanted = (percent / 100.0 * self.recorded as f64 + 0.5) as u64;
        let mut seen = 0;
        let reached = self.seen.iter().find(|(_, count)| {
            seen += **count;
            seen >= wanted.max(1)
        });
        reached.map_or(0, |(size, _)| *size)
    }
}

/// The largest size that counts as the same one: 11 bits of it are kept.
fn rounded(size: u64) -> u64 {
    const EXACT_BITS: u32 = 11;
    let bits = u64::BITS - size.leading_zeros();
    let dropped = bits.saturating_sub(EXACT_BITS);
    size | ((1 << dropped) - 1)
}

#[derive(Default)]
struct Group {
    keys: u64,
    expires: u64,
    expired: u64,
    key_bytes: u64,
    counts: Sizes,
    elements: Sizes,
}

const MAX_COUNT: u64 = 200 * 1024;
const MAX_SIZE: u64 = 1024 * 1024;

impl Group {
    fn element(&mut self, size: usize) {
        self.elements.add(size as u64, MAX_SIZE);
    }

    fn count(&mut self, count: u64) {
        self.counts.add(count, MAX_COUNT);
    }

    fn add_collection(&mut self, collection: &Collection) {
        match collection {
            Collection::List(list) => list.each(&mut |item| self.element(item.text_len())),
            Collection::Set(set) => set.iter().for_each(|item| self.element(item.text_len())),
            Collection::SortedSet(set) => set.iter().for_each(|(member, score)| {
                let score = DoubleText::shortest(score);
                self.element(member.text_len() + score.as_bytes().len());
            }),
            Collection::Hash(hash) => hash.iter(SHOW_DUE).for_each(|pair| {
                self.element(pair.field.text_len() + pair.value.text_len());
            }),
            Collection::Stream(stream) => {
                for entry in stream.log().range(StreamId::MIN..=StreamId::MAX) {
                    for (field, value) in entry.fields {
                        self.element(field.text_len() + value.text_len());
                    }
                }
            }
        }
        self.count(collection.len() as u64);
    }

    /// The facts in Valkey's order.
    fn facts(&self) -> [(&'static str, String); 17] {
        let ratio = |sum: u64, of: u64| {
            let mean = if of > 0 { sum as f64 / of as f64 } else { 0.0 };
            format!("{mean:.2}")
        };
        let percentile =
            |sizes: &Sizes, percent| format!("{:.2}", sizes.percentile(percent) as f64);
        let elements = self.counts.sum;
        [
            ("keys.total", self.keys.to_string()),
            ("expire_keys.total", self.expires.to_string()),
            ("already_expired.total", self.expired.to_string()),
            ("keys.size", self.key_bytes.to_string()),
            ("keys.value_size", self.elements.sum.to_string()),
            ("elements.total", elements.to_string()),
            ("elements.size", self.elements.sum.to_string()),
            ("elements.num.max", self.counts.max.to_string()),
            ("elements.num.avg", ratio(elements, self.keys)),
            ("elements.num.p99", percentile(&self.counts, 99.0)),
            ("elements.num.p90", percentile(&self.counts, 90.0)),
            ("elements.num.p50", percentile(&self.counts, 50.0)),
            ("elements.size.max", self.elements.max.to_string()),
            ("elements.size.avg", ratio(self.elements.sum, elements)),
            ("elements.size.p99", percentile(&self.elements, 99.0)),
            ("elements.size.p90", percentile(&self.elements, 90.0)),
            ("elements.size.p50", percentile(&self.elements, 50.0)),
        ]
    }
}

#[derive(Default)]
pub(super) struct Stats {
    databases: BTreeMap<usize, [Group; TYPES.len()]>,
}

impl Stats {
    /// `due` says of a key with an expiry whether it is over.
    pub(super) fn add(&mut self, key: &Key<'_>, due: Option<bool>) {
        let kind = match &key.value {
            Loaded::Owned(Value::Collection(collection)) => collection.kind(),
            _ => Kind::String,
        };
        let nth = TYPES.iter().position(|(_, of)| *of == Some(kind)).expect("all are listed");
        let group = &mut self.databases.entry(key.database).or_default()[nth];
        group.keys += 1;
        group.expires += u64::from(due.is_some());
        group.expired += u64::from(due == Some(true));
        group.key_bytes += key.name.len() as u64;
        let len = match &key.value {
            Loaded::Int(int) => StrRef::Int(*int).len(),
            Loaded::Bytes(bytes) => bytes.len(),
            Loaded::Owned(Value::Str(string)) => string.view().len(),
            Loaded::Owned(Value::Collection(collection)) => {
                return group.add_collection(collection);
            }
        };
        group.element(len);
        group.count(1);
    }

    /// All databases up to the last one in use, database 0 in any case.
    pub(super) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        let none = <[Group; TYPES.len()]>::default();
        let databases = [(0, &none)].into_iter().filter(|_| !self.databases.contains_key(&0));
        let in_use = self.databases.iter().map(|(index, groups)| (*index, groups));
        for (index, groups) in databases.chain(in_use) {
            let facts = groups.each_ref().map(Group::facts);
            match format {
                Format::Info => write_info(index, &facts, out)?,
                Format::Table => write_rows(index, &facts, out, |out, place, text| match place {
                    Place::Name => write!(out, "{text:<30}"),
                    Place::Value => write!(out, "\t{text:<5}"),
                })?,
                Format::Csv => write_rows(index, &facts, out, |out, place, text| match place {
                    Place::Name => write!(out, "{text}"),
                    Place::Value => write!(out, ",{text}"),
                })?,
            }
        }
        Ok(())
    }
}

type Facts = [(&'static str, String); 17];

enum Place {
    Name,
    Value,
}

fn write_info(index: usize, facts: &[Facts], out: &mut dyn Write) -> io::Result<()> {
    for nth in 0..facts[0].len() {
        for ((kind, _), facts) in TYPES.iter().zip(facts) {
            let (name, value) = &facts[nth];
            writeln!(out, "[info] db.{index}.type.{kind}.{name}:{value}")?;
        }
    }
    Ok(())
}

fn write_rows(
    index: usize,
    facts: &[Facts],
    out: &mut dyn Write,
    cell: fn(&mut dyn Write, Place, &str) -> io::Result<()>,
) -> io::Result<()> {
    cell(out, Place::Name, &format!("db.{index}.type.name"))?;
    for (kind, _) in TYPES {
        cell(out, Place::Value, kind)?;
    }
    writeln!(out)?;
    for nth in 0..facts[0].len() {
        cell(out, Place::Name, &format!("db.{index}.{}", facts[0][nth].0))?;
        for facts in facts {
            cell(out, Place::Value, &facts[nth].1)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
