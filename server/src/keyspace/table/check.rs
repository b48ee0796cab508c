//! What must always hold of the table; for tests.

use super::segment::home;
use super::{Table, directory_index};
use crate::keyspace::hash::Hash;

impl Table {
    /// What must always hold; for tests.
    pub(in crate::keyspace) fn check(&self) {
        let mut keys = 0;
        let mut slots = 0;
        let mut at = 0;
        while at < self.directory.len() {
            let number = self.directory[at] as usize;
            let segment = &self.segments[number];
            assert_eq!(directory_index(Hash(segment.prefix), self.depth), at);
            let copies = 1 << (self.depth - segment.depth());
            assert!(self.directory[at..at + copies].iter().all(|&n| n as usize == number));
            at += copies;
            let array = &segment.slots;
            slots += array.len();
            let mut previous = None;
            let mut len = 0;
            for (index, slot) in array.iter().enumerate() {
                if slot.is_empty() {
                    continue;
                }
                len += 1;
                assert!(previous <= Some(slot.tag()), "slots are in order");
                previous = Some(slot.tag());
                let hash = self.hasher.hash(slot.entry().key());
                assert_eq!(segment.tag(hash), slot.tag());
                assert!((segment.prefix..=segment.last_hash()).contains(&hash.0));
                let home = home(slot.tag(), array.len());
                assert!(home <= index);
                assert!(array[home..index].iter().all(|slot| !slot.is_empty()), "no gap");
                let entry = slot.entry();
                assert!(entry.next_deadline().is_none() || slot.horizon() != 0);
                // What was due within a collection may have gone without a word.
                assert!(
                    entry.expire_at().is_some()
                        || entry.collection().is_some()
                        || slot.horizon() == 0
                );
            }
            assert_eq!(len, segment.len);
            keys += len as usize;
        }
        assert_eq!(keys, self.len);
        assert_eq!(slots, self.slots);
    }
}
