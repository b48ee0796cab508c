//! The two slots of a machine and what its firmware has to be told about them: which boot options are
//! written, in which order, so that whatever is cut off starts the slot that is known to be good.
//!
//! ```text
//!  Boot####  Holdfast A, Holdfast B   in BootOrder, the good one first, before everybody else's
//!            Holdfast trial           the other slot; in no order, BootNext alone leads there, once
//! ```
//!
//! That this start is a trial is therefore the firmware's own word, BootCurrent: a slot that was
//! started for any other reason (the good one does not load, somebody chose it) is none, and nothing
//! goes back or forth because of it. Everything before BootNext changes nothing about what is started
//! next; BootNext is gone once it was followed; and what makes a trial the good one is one write.
//!
//! Here is only what follows from what; init reads and writes the variables.

use heapless::Vec;

use crate::bytes::{Malformed, Reader, Writer, flag};
use crate::efi::{LoadOption, OptionBytes, Order, Partition, option};
use crate::plan::Name;
use crate::snapshot::one_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    A = 0,
    B = 1,
}

impl Slot {
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Stable, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Its partition's name.
    pub fn partition(self) -> &'static str {
        match self {
            Self::A => "holdfast-a",
            Self::B => "holdfast-b",
        }
    }

    /// Its boot option's.
    fn option(self) -> &'static str {
        match self {
            Self::A => "Holdfast A",
            Self::B => "Holdfast B",
        }
    }
}

const TRIAL: &str = "Holdfast trial";

/// Why this machine cannot be updated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Obstacle {
    #[default]
    None = 0,
    NoFirmware = 1,
    NoVariables = 2,
    UnknownSlot = 3,
    NoSlots = 4,
    TwoDisks = 5,
    FullOrder = 6,
}

impl Obstacle {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::NoFirmware,
        Self::NoVariables,
        Self::UnknownSlot,
        Self::NoSlots,
        Self::TwoDisks,
        Self::FullOrder,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::None => "nothing stands in the way",
            Self::NoFirmware => {
                "this machine was not started by UEFI firmware, which is what starts a slot and goes \
                 back to the other one"
            }
            Self::NoVariables => {
                "the firmware's variables cannot be had (efivarfs): the kernel has no driver for \
                 them, or the firmware gives none"
            }
            Self::UnknownSlot => {
                "the firmware does not tell from which partition it started this system \
                 (LoaderDevicePartUUID, BootCurrent), or it was no slot"
            }
            Self::NoSlots => {
                "the disk has no two slots (partitions holdfast-a and holdfast-b): it was made by an \
                 older version or by other tools, and is to be flashed anew"
            }
            Self::TwoDisks => {
                "two disks have partitions of the same unique id: it cannot be told which one was \
                 started. Remove one of them"
            }
            Self::FullOrder => "the firmware's boot order is damaged, or too long",
        }
    }
}

/// What is known of them; all zero where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub obstacle: Obstacle,
    pub running: Option<Slot>,
    /// What the firmware starts by itself, where that is one of ours.
    pub good: Option<Slot>,
    /// This start is the one try of an update.
    pub is_trial: bool,
    /// The next start is the other slot's.
    pub is_armed: bool,
    /// Of the last variable that could not be written; 0: none.
    pub errno: u16,
    /// The other slot's device below /dev, which the agent may write.
    pub other_device: Name,
}

impl View {
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            obstacle: one_of(&Obstacle::ALL, reader.u8()?)?,
            running: one_of(&[None, Some(Slot::A), Some(Slot::B)], reader.u8()?)?,
            good: one_of(&[None, Some(Slot::A), Some(Slot::B)], reader.u8()?)?,
            is_trial: flag(reader)?,
            is_armed: flag(reader)?,
            errno: reader.u16()?,
            other_device: reader.text()?,
        })
    }

    pub fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        let number = |slot: Option<Slot>| slot.map_or(0, |slot| slot as u8 + 1);
        writer.put(&[self.obstacle as u8, number(self.running), number(self.good)]);
        writer.put(&[u8::from(self.is_trial), u8::from(self.is_armed)]);
        writer.u16(self.errno);
        writer.text(&self.other_device);
    }
}

/// What the firmware has and says. Options are `Boot####`, by their number.
#[derive(Debug, Clone, Copy)]
pub struct Firmware<'a> {
    pub options: &'a [(u16, &'a [u8])],
    pub order: &'a [u16],
    /// BootCurrent.
    pub current: Option<u16>,
}

/// One variable to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// `Boot####`.
    Option(u16, OptionBytes),
    /// `BootOrder`.
    Order(Order),
    /// `BootNext`.
    Next(u16),
}

pub const MAX_WRITES: usize = 5;
pub type Writes = Vec<Write, MAX_WRITES>;

/// What there is to know and to do about the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// This start is the one try of an update.
    pub is_trial: bool,
    /// What the firmware starts by itself, where it is one of ours.
    pub good: Option<Slot>,
    /// That make the running slot the good one. Empty where it is.
    pub keep: Writes,
    /// That have the other slot tried at the next start.
    pub try_other: Writes,
}

/// `None` where the firmware has no number or no room left.
pub fn judge(running: Slot, at: &[Partition; 2], firmware: &Firmware) -> Option<Situation> {
    let wanted = Slot::ALL.map(|slot| option(slot.option(), &at[slot as usize]));
    let mut taken = Order::new();
    let mut numbers = [0; 2];
    for (slot, bytes) in Slot::ALL.into_iter().zip(&wanted) {
        let number = firmware.number(slot.option(), bytes, &taken)?;
        taken.push(number).ok()?;
        numbers[slot as usize] = number;
    }
    let trial_bytes = option(TRIAL, &at[running.other() as usize]);
    let trial = firmware.number(TRIAL, &trial_bytes, &taken)?;

    let mut keep = Writes::new();
    for (number, bytes) in numbers.into_iter().zip(&wanted) {
        firmware.write_option(number, bytes, &mut keep)?;
    }
    let order = in_front(numbers[running as usize], numbers[running.other() as usize], firmware)?;
    if order != firmware.order {
        keep.push(Write::Order(order)).ok()?;
    }
    let mut try_other = keep.clone();
    firmware.write_option(trial, &trial_bytes, &mut try_other)?;
    try_other.push(Write::Next(trial)).ok()?;

    let leads = |slot: &Slot, number| {
        let at = *slot as usize;
        numbers[at] == number && firmware.option(number) == Some(&wanted[at])
    };
    let ours = |number: &u16| Slot::ALL.into_iter().find(|slot| leads(slot, *number));
    let good = firmware.order.iter().find_map(ours);
    let is_trial = firmware.is_trial(&at[running as usize]);
    Some(Situation { is_trial, good, keep, try_other })
}

impl Firmware<'_> {
    fn option(&self, number: u16) -> Option<&[u8]> {
        self.options.iter().find(|(each, _)| *each == number).map(|(_, bytes)| *bytes)
    }

    /// Of an option that is there as it should be, else of one that has its name, else a free one.
    fn number(&self, name: &str, bytes: &[u8], taken: &[u16]) -> Option<u16> {
        let is_called = |bytes: &[u8]| LoadOption::parse(bytes).is_ok_and(|o| o.is_called(name));
        let there = self.options.iter().find(|(_, there)| *there == bytes);
        let named = || self.options.iter().find(|(_, there)| is_called(there));
        let found = there.or_else(named).map(|(number, _)| *number);
        let is_free = |number: &u16| {
            let is_there = self.option(*number).is_some() || self.order.contains(number);
            !is_there && !taken.contains(number)
        };
        found.or_else(|| (0..u16::MAX).find(is_free))
    }

    fn write_option(&self, number: u16, bytes: &OptionBytes, writes: &mut Writes) -> Option<()> {
        if self.option(number) != Some(bytes) {
            writes.push(Write::Option(number, bytes.clone())).ok()?;
        }
        Some(())
    }

    /// It says that it followed the option of a trial, and that leads to where we run.
    fn is_trial(&self, at: &Partition) -> bool {
        let followed = self.current.and_then(|current| self.option(current));
        let option = followed.and_then(|bytes| LoadOption::parse(bytes).ok());
        option
            .is_some_and(|it| it.is_called(TRIAL) && it.partition().is_some_and(|p| p.id == at.id))
    }
}

/// The running slot, the other one, then everybody else's in their order.
fn in_front(running: u16, other: u16, firmware: &Firmware) -> Option<Order> {
    let rest = firmware.order.iter().copied().filter(|each| *each != running && *each != other);
    let mut order = Order::new();
    for number in [running, other].into_iter().chain(rest) {
        order.push(number).ok()?;
    }
    Some(order)
}

#[cfg(test)]
mod tests;
