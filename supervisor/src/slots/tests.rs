//! A machine of memory: its firmware, two slots and an update, cut off after every write.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn place(slot: Slot) -> Partition {
    let number = slot as u32 + 1;
    let first_sector = 2048 + u64::from(slot as u8) * 69_632;
    Partition { number, first_sector, sectors: 69_632, id: [number as u8; 16] }
}

const PLACES: fn() -> [Partition; 2] = || Slot::ALL.map(place);

/// Firmware: what is in its variables, and how it chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Machine {
    options: BTreeMap<u16, std::vec::Vec<u8>>,
    order: std::vec::Vec<u16>,
    next: Option<u16>,
    /// What was written since it was made.
    written: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    slot: Slot,
    current: u16,
}

/// The number that firmware gives what it finds by itself: the disk, of which it starts slot A.
const FOUND: u16 = 1;

impl Machine {
    /// As OVMF is when it has started once: its own menu, and a disk without a partition.
    fn fresh() -> Self {
        let found = b"\x01\0\0\0\x04\0d\0\0\0\x7f\xff\x04\0".to_vec();
        let options = BTreeMap::from([(0, found.clone()), (FOUND, found)]);
        Self { options, order: vec![FOUND, 0], ..Self::default() }
    }

    /// Power on, where these slots can be loaded.
    fn start(&mut self, loads: [bool; 2]) -> Option<Start> {
        let next = self.next.take();
        let numbers = next.into_iter().chain(self.order.clone());
        let led_to = |number: u16| {
            let bytes = self.options.get(&number)?;
            match LoadOption::parse(bytes).ok()?.partition() {
                Some(at) => Slot::ALL.into_iter().find(|slot| place(*slot) == at),
                None if number == FOUND => Slot::ALL.into_iter().find(|slot| loads[*slot as usize]),
                None => None,
            }
        };
        let mut starts = numbers.filter_map(|number| Some((number, led_to(number)?)));
        let found = starts.find(|(_, slot)| loads[*slot as usize]);
        found.map(|(current, slot)| Start { slot, current })
    }

    fn judge(&self, start: Start) -> Situation {
        let options: std::vec::Vec<_> =
            self.options.iter().map(|(number, bytes)| (*number, &bytes[..])).collect();
        let current = Some(start.current);
        let firmware = Firmware { options: &options, order: &self.order, current };
        judge(start.slot, &PLACES(), &firmware).expect("there is room")
    }

    fn write(&mut self, write: &Write) {
        self.written += 1;
        match write {
            Write::Option(number, bytes) => drop(self.options.insert(*number, bytes.to_vec())),
            Write::Order(order) => self.order = order.to_vec(),
            Write::Next(number) => self.next = Some(*number),
        }
    }

    /// What it starts with all that loads.
    fn starts(&self) -> Start {
        self.clone().start([true; 2]).expect("a slot loads")
    }
}

/// An update that does well; what the machine is after each write, and which slot it would start.
fn update(machine: &mut Machine, mut look: impl FnMut(&Machine, Slot)) -> Slot {
    let old = machine.start([true; 2]).expect("a slot loads");
    for write in &machine.judge(old).try_other {
        look(machine, old.slot);
        machine.write(write);
    }
    let new = machine.start([true; 2]).expect("a slot loads");
    assert_eq!(new.slot, old.slot.other());
    let situation = machine.judge(new);
    assert!(situation.is_trial);
    for write in &situation.keep {
        look(machine, old.slot);
        machine.write(write);
    }
    look(machine, new.slot);
    new.slot
}

#[test]
fn a_machine_that_is_cut_off_before_any_write_starts_the_good_slot() {
    let mut machine = Machine::fresh();
    for expected in [Slot::B, Slot::A, Slot::B] {
        let good = update(&mut machine, |machine, good| {
            let start = machine.starts();
            assert_eq!(start.slot, good, "{machine:?}");
            assert!(!machine.judge(start).is_trial, "{machine:?}");
        });
        assert_eq!(good, expected);
        assert_eq!(machine.judge(machine.starts()).good, Some(expected));
    }
}

#[test]
fn a_trial_is_one_start_and_then_the_old_slot_is_back_whatever_became_of_it() {
    let mut machine = Machine::fresh();
    let old = machine.start([true; 2]).expect("a slot loads");
    machine.judge(old).try_other.iter().for_each(|write| machine.write(write));
    let trial = machine.start([true; 2]).expect("a slot loads");
    assert!(machine.judge(trial).is_trial);
    for _ in 0..3 {
        let back = machine.start([true; 2]).expect("a slot loads");
        assert_eq!(back.slot, Slot::A);
        assert!(!machine.judge(back).is_trial);
    }
}

#[test]
fn a_slot_that_does_not_load_leaves_the_other_one_and_is_no_trial() {
    let mut machine = Machine::fresh();
    assert_eq!(update(&mut machine, |_, _| ()), Slot::B);
    let start = machine.start([true, false]).expect("the older one");
    assert_eq!((start.slot, machine.judge(start).is_trial), (Slot::A, false));
    let bad_update = machine.start([true; 2]).expect("a slot loads");
    machine.judge(bad_update).try_other.iter().for_each(|write| machine.write(write));
    let start = machine.start([false, true]).expect("the good one");
    assert_eq!((start.slot, machine.judge(start).is_trial), (Slot::B, false));
}

#[test]
fn variables_that_are_lost_start_slot_a_and_it_is_good() {
    let mut machine = Machine::fresh();
    update(&mut machine, |_, _| ());
    machine = Machine::fresh();
    let start = machine.start([true; 2]).expect("a slot loads");
    let situation = machine.judge(start);
    assert_eq!((start.slot, situation.is_trial, situation.good), (Slot::A, false, None));
}

/// Flash of firmware wears out.
#[test]
fn nothing_is_written_that_is_there_already() {
    let mut machine = Machine::fresh();
    update(&mut machine, |_, _| ());
    update(&mut machine, |_, _| ());
    machine.written = 0;
    update(&mut machine, |_, _| ());
    assert_eq!(machine.written, 3, "where the trial leads, that it is next, the order");
    assert_eq!(machine.judge(machine.starts()).keep, []);
}

#[test]
fn options_of_others_are_kept_and_stay_in_their_order() {
    let mut machine = Machine::fresh();
    let others = option("Linux", &Partition { id: [9; 16], ..place(Slot::A) });
    let stale = option("Holdfast A", &Partition { id: [8; 16], ..place(Slot::A) });
    machine.options.insert(7, others.to_vec());
    machine.options.insert(3, stale.to_vec());
    machine.order = vec![7, FOUND, 3, 0];
    let start = Start { slot: Slot::A, current: FOUND };
    assert_eq!(machine.judge(start).good, None, "it leads elsewhere");
    machine.judge(start).keep.iter().for_each(|write| machine.write(write));
    assert_eq!(machine.order, [3, 2, 7, FOUND, 0]);
    assert_eq!(machine.options[&7], others[..]);
    assert_eq!(machine.options[&3], option("Holdfast A", &place(Slot::A))[..], "put right");
}

proptest! {
    /// Whatever the firmware has: what is to be written makes the running slot the first one.
    #[test]
    fn any_firmware_is_judged(
        options in prop::collection::btree_map(0u16..9, prop::collection::vec(any::<u8>(), 0..90), 0..9),
        ours in prop::collection::vec((0u16..9, 0usize..3, any::<bool>()), 0..4),
        order in prop::collection::vec(0u16..12, 0..9),
        current in prop::option::of(0u16..12),
        in_b in any::<bool>(),
    ) {
        let mut machine = Machine { options, order, ..Machine::default() };
        for (number, name, of_b) in ours {
            let at = place(if of_b { Slot::B } else { Slot::A });
            let bytes = option(["Holdfast A", "Holdfast B", TRIAL][name], &at);
            machine.options.insert(number, bytes.to_vec());
        }
        let slot = if in_b { Slot::B } else { Slot::A };
        let all: std::vec::Vec<_> =
            machine.options.iter().map(|(number, bytes)| (*number, &bytes[..])).collect();
        let firmware = Firmware { options: &all, order: &machine.order, current };
        let situation = judge(slot, &PLACES(), &firmware).expect("there is room");
        let before = machine.order.clone();
        for write in &situation.keep {
            machine.write(write);
        }
        prop_assert_eq!(machine.starts().slot, slot);
        prop_assert!(before.iter().all(|number| machine.order.contains(number)));
        let again = machine.judge(Start { slot, current: 0 });
        prop_assert_eq!((&again.keep[..], again.good), (&[][..], Some(slot)));
    }
}
