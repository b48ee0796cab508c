//! Changing a hash: fields, values and deadlines.

use super::field::{self, Head};
use super::{Encoding, Hash, Limits, SHOW_DUE, find};
use crate::types::members::{Place, Record as _, Table, hash};
use crate::types::string::Digits;

/// What a new value does to the field's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    Clear,
    Keep,
    At(i64),
}

/// What became of a field that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    New,
    Replaced,
    /// It was there, but due: it counts as expired, and as new.
    ReplacedDue,
}

impl Put {
    pub fn is_new(self) -> bool {
        self != Self::Replaced
    }
}

impl Hash {
    /// Before fields and values are put in: changes over at once where they will be too many or are
    /// too long.
    pub fn expect<'a>(
        &mut self,
        pairs: usize,
        mut texts: impl Iterator<Item = &'a [u8]>,
        limits: &Limits,
    ) {
        let Encoding::Listpack(list) = &self.0 else { return };
        let mut bytes = 0;
        let too_long = |text: &[u8]| {
            bytes += text.len();
            text.len() > limits.listpack_value
        };
        if pairs > limits.listpack_entries || texts.any(too_long) || !list.fits(bytes) {
            self.become_table();
        }
    }

    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        ttl: Ttl,
        limits: &Limits,
        now_ms: i64,
    ) -> Put {
        match &mut self.0 {
            Encoding::Table(table) => set(table, field, value, ttl, now_ms),
            Encoding::Listpack(list) => {
                let longest = field.len().max(value.len());
                let has_deadline = matches!(ttl, Ttl::At(_));
                if has_deadline || longest > limits.listpack_value || !list.fits(2 * longest) {
                    return set(self.become_table(), field, value, ttl, now_ms);
                }
                if let Some((_, old)) = find(list, field) {
                    list.replace(old, value);
                    return Put::Replaced;
                }
                list.push_back(field);
                list.push_back(value);
                if list.len() / 2 > limits.listpack_entries {
                    self.become_table();
                }
                Put::New
            }
        }
    }

    /// Whether the field was there, and not due.
    pub fn remove(&mut self, field: &[u8], now_ms: i64) -> bool {
        match &mut self.0 {
            Encoding::Listpack(list) => {
                let found = find(list, field);
                found.inspect(|&(at, _)| _ = list.remove_range(at, 2)).is_some()
            }
            Encoding::Table(table) => {
                let found = find_live(table, field, now_ms);
                found.inspect(|place| table.remove(*place)).is_some()
            }
        }
    }

    /// Gives a field that is there a deadline, or takes it.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) {
        if !self.contains(field, SHOW_DUE) {
            return;
        }
        let table = match &mut self.0 {
            Encoding::Table(table) => table,
            Encoding::Listpack(_) if deadline.is_none() => return,
            Encoding::Listpack(_) => self.become_table(),
        };
        if let Some((place, record)) = table.find(hash(field), field) {
            let value = field::parse(record).2.to_vec();
            table.replace(place, &[Head::new(field, deadline).bytes(), field, &value]);
        }
    }

    /// Removes fields that are due, about `limit` at a time, and shows each to `visit` before. How
    /// many; [`Self::next_deadline`] says whether there are more.
    pub fn remove_due(&mut self, now_ms: i64, limit: usize, mut visit: impl FnMut(&[u8])) -> usize {
        match &mut self.0 {
            Encoding::Listpack(_) => 0,
            Encoding::Table(table) => {
                table.remove_due(now_ms, limit, |record| visit(super::Field::key(record)))
            }
        }
    }

    fn become_table(&mut self) -> &mut Table<super::Field> {
        if let Encoding::Listpack(_) = &self.0 {
            let mut table = Box::default();
            for pair in self.iter(SHOW_DUE) {
                let (mut field, mut value) = (Digits::new(), Digits::new());
                let field = pair.field.write_to(&mut field);
                set(&mut table, field, pair.value.write_to(&mut value), Ttl::Clear, SHOW_DUE);
            }
            self.0 = Encoding::Table(table);
        }
        let Encoding::Table(table) = &mut self.0 else { unreachable!("it is one now") };
        table
    }
}

fn find_live(table: &Table<super::Field>, field: &[u8], now_ms: i64) -> Option<Place> {
    let (place, record) = table.find(hash(field), field)?;
    let (_, deadline, _) = field::parse(record);
    deadline.is_none_or(|at| at > now_ms).then_some(place)
}

fn set(table: &mut Table<super::Field>, field: &[u8], value: &[u8], ttl: Ttl, now_ms: i64) -> Put {
    let hash = hash(field);
    let Some((place, record)) = table.find(hash, field) else {
        let deadline = if let Ttl::At(at) = ttl { Some(at) } else { None };
        table.insert(hash, &[Head::new(field, deadline).bytes(), field, value]);
        return Put::New;
    };
    let (_, old, _) = field::parse(record);
    let was_due = old.is_some_and(|at| at <= now_ms);
    let deadline = match ttl {
        Ttl::At(at) => Some(at),
        Ttl::Keep if !was_due => old,
        Ttl::Keep | Ttl::Clear => None,
    };
    table.replace(place, &[Head::new(field, deadline).bytes(), field, value]);
    if was_due { Put::ReplacedDue } else { Put::Replaced }
}
