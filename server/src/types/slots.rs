//! How long an array of slots is that keeps them in order of their hash: the keyspace's segments and
//! those of a sorted set's index. Each slot is at its home or after the one before it.

/// The shortest array.
pub(crate) const SMALLEST: usize = 8;

/// Slots past the last home.
#[inline]
pub(crate) fn overflow(slots: usize) -> usize {
    slots / 32 + 2
}

/// Slots that may be in use before an array grows.
pub(crate) fn limit(slots: usize) -> usize {
    slots - slots / 32
}

/// The next length after `slots`: four steps to each doubling, the allocator's size classes.
pub(crate) fn longer(slots: usize) -> usize {
    slots + slots.next_power_of_two() / if slots.is_power_of_two() { 4 } else { 8 }
}

/// The length for `len` slots in use with some room to grow.
pub(crate) fn fitting(len: usize) -> usize {
    let mut slots = SMALLEST;
    while slots - slots / 8 < len + 1 {
        slots = longer(slots);
    }
    slots
}

/// The same with an eighth more room, for an array that has just lost some.
pub(crate) fn roomy(len: usize) -> usize {
    fitting(len + len / 8)
}
