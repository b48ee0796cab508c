//! How big a listpack of a list may grow (`list-max-listpack-size`), and how many nodes at each end stay
//! uncompressed (`list-compress-depth`), decided as Valkey decides it, so that encodings change at the
//! same element.

/// Bytes of a listpack that is limited by its count: it may not grow without end either.
const SAFE_BYTES: usize = 8 * 1024;
/// More than an entry takes beyond its text.
const ENTRY_OVERHEAD: usize = 8;
/// What -1 stands for; each further step doubles it.
const MIN_BYTES: u32 = 4096;
/// Whatever DEBUG says, a listpack must hold it.
const MAX_PACKED_LEN: usize = 512 * 1024 * 1024;
/// The count must fit a listpack's header, and a node's.
const MAX_COUNT: i64 = 0x7fff;

/// A copy of the settings; a quicklist keeps the one that it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    max: Max,
    /// DEBUG: elements from this length on get a node of their own.
    plain_from: Option<usize>,
    /// Nodes at each end that are not compressed; 0 if none is.
    depth: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Max {
    Bytes(u32),
    Count(u32),
}

const _: () = assert!(size_of::<Limits>() == 32);

impl Limits {
    /// `size` as the directive has it: a count, or -1 to -5 for 4 to 64 KiB.
    pub fn new(size: i64, plain_from: Option<usize>) -> Self {
        let max = if size < 0 {
            Max::Bytes(MIN_BYTES << (size.max(-5).unsigned_abs() - 1))
        } else {
            Max::Count(size.clamp(1, MAX_COUNT) as u32)
        };
        Self { max, plain_from, depth: 0 }
    }

    /// `depth` as the directive has it: beyond so many nodes from either end they are compressed.
    pub fn compressed_beyond(self, depth: i64) -> Self {
        Self { depth: u16::try_from(depth).unwrap_or(u16::MAX), ..self }
    }

    pub(super) fn depth(self) -> usize {
        self.depth.into()
    }

    /// The setting that this is made of, within its bounds.
    pub(super) fn size(self) -> i64 {
        match self.max {
            Max::Bytes(max) => -i64::from(max.ilog2() - MIN_BYTES.ilog2() + 1),
            Max::Count(max) => max.into(),
        }
    }

    /// Whether a listpack of `len_bytes` with `count` elements is too big.
    pub(super) fn exceeded_by(self, len_bytes: usize, count: usize) -> bool {
        match self.max {
            Max::Bytes(max) => len_bytes > max as usize,
            Max::Count(max) => len_bytes > SAFE_BYTES || count > max as usize,
        }
    }

    /// Whether an element of `len` bytes may join a listpack.
    pub(super) fn admit(self, len_bytes: usize, count: usize, len: usize) -> bool {
        !self.is_plain(len) && !self.exceeded_by(len_bytes + len + ENTRY_OVERHEAD, count + 1)
    }

    /// Whether an element of `len` bytes gets a node of its own.
    pub(super) fn is_plain(self, len: usize) -> bool {
        match (self.plain_from, self.max) {
            (Some(from), _) => len >= from.min(MAX_PACKED_LEN),
            (None, Max::Bytes(max)) => len > max as usize,
            (None, Max::Count(_)) => len > SAFE_BYTES,
        }
    }

    /// Whether a quicklist that shrank to one listpack is to become that listpack: at half the limit,
    /// so that a list around the limit does not change to and fro.
    pub(super) fn allow_listpack(self, len_bytes: usize, count: usize) -> bool {
        match self.max {
            Max::Bytes(max) => len_bytes <= max as usize / 2,
            Max::Count(max) => count <= max as usize / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_sizes_are_kilobytes() {
        for (size, bytes) in [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536)] {
            let limits = Limits::new(size, None);
            assert!(!limits.exceeded_by(bytes, 60_000) && limits.exceeded_by(bytes + 1, 1));
            assert!(!limits.is_plain(bytes) && limits.is_plain(bytes + 1));
            assert_eq!(limits.size(), size);
            assert!(limits.allow_listpack(bytes / 2, 60_000));
            assert!(!limits.allow_listpack(bytes / 2 + 1, 1));
        }
        assert_eq!(Limits::new(-100, None), Limits::new(-5, None));
    }

    #[test]
    fn others_are_counts() {
        let limits = Limits::new(3, None);
        assert!(!limits.exceeded_by(8192, 3));
        assert!(limits.exceeded_by(8193, 3) && limits.exceeded_by(100, 4));
        assert!(limits.allow_listpack(8000, 1) && !limits.allow_listpack(10, 2));
        assert_eq!(Limits::new(0, None), Limits::new(1, None));
        assert_eq!(Limits::new(1 << 40, None), Limits::new(0x7fff, None));
    }

    #[test]
    fn an_element_joins_where_it_fits_with_its_overhead() {
        let limits = Limits::new(-1, None);
        assert!(limits.admit(4000, 1, 88) && !limits.admit(4000, 1, 89));
        assert!(!Limits::new(-1, Some(5)).admit(7, 0, 5));
        assert!(Limits::new(-1, Some(usize::MAX)).is_plain(1 << 30));
    }
}
