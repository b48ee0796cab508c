//! Registers of six bits, four in three bytes, the lowest bits first.

use super::{HEADER, REGISTERS, Registers};

const BITS: usize = 6;
const MAX: u8 = (1 << BITS) - 1;

/// Length of the whole string.
pub(super) const LEN: usize = HEADER + REGISTERS * BITS / 8;

/// All registers of a dense string, in order.
pub(super) fn registers(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let (groups, _) = bytes[HEADER..].as_chunks::<3>();
    groups
        .iter()
        .flat_map(|&[a, b, c]| [a & MAX, (a >> 6 | b << 2) & MAX, (b >> 4 | c << 4) & MAX, c >> 2])
}

/// Overwrites all registers.
pub(super) fn write(bytes: &mut [u8], registers: &Registers) {
    let (groups, _) = bytes[HEADER..].as_chunks_mut::<3>();
    let (fours, _) = registers.as_chunks::<4>();
    for (group, [a, b, c, d]) in groups.iter_mut().zip(fours) {
        *group = [a | b << 6, b >> 2 | c << 4, c >> 4 | d << 2];
    }
}

/// Raises one register; whether it was lower.
pub(super) fn raise(bytes: &mut [u8], index: usize, value: u8) -> bool {
    let (groups, _) = bytes[HEADER..].as_chunks_mut::<3>();
    let [a, b, c] = groups[index / 4];
    let mut group = u32::from_le_bytes([a, b, c, 0]);
    let shift = index % 4 * BITS;
    let old = (group >> shift) as u8 & MAX;
    if old >= value {
        return false;
    }
    group = group & !(u32::from(MAX) << shift) | u32::from(value) << shift;
    let [a, b, c, _] = group.to_le_bytes();
    groups[index / 4] = [a, b, c];
    true
}
