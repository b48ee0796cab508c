//! Integers of 1 to 64 bits anywhere in a row of bits.

/// What an integer field is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub signed: bool,
    /// 1 to 64; unsigned to 63, so that every value is an `i64`.
    pub width: u32,
    /// Of its first bit.
    pub offset: u64,
}

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its lower bits are kept.
    Wrap,
    /// It becomes the nearest that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Field {
    /// Bytes that the string needs for the field.
    pub fn end_byte(&self) -> u64 {
        (self.offset + u64::from(self.width) - 1) / 8 + 1
    }

    /// The value; bits beyond the string are 0.
    pub fn read(&self, bytes: &[u8]) -> i64 {
        let raw = (self.window(bytes) >> self.shift()) as u64 & self.mask();
        self.extended(raw)
    }

    /// Writes a value that fits; the string reaches to the field's end.
    pub fn write(&self, bytes: &mut [u8], value: i64) {
        let cleared = self.window(bytes) & !(u128::from(self.mask()) << self.shift());
        let window = cleared | u128::from(value as u64 & self.mask()) << self.shift();
        let start = (self.offset / 8) as usize;
        let room = &mut bytes[start..];
        let len = room.len().min(WINDOW);
        room[..len].copy_from_slice(&window.to_be_bytes()[..len]);
    }

    /// The value to write for `value`, which may be any sum of two.
    pub fn fit(&self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = match (self.signed, self.width) {
            (true, width) => (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1),
            (false, width) => (0, (1i128 << width) - 1),
        };
        if (least..=most).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.extended(value as u64 & self.mask())),
            Overflow::Saturate => Some(value.clamp(least, most) as i64),
            Overflow::Fail => None,
        }
    }

    /// A value as SET gives it: for an unsigned field, the bits that make up the number.
    pub fn given(&self, value: i64) -> i128 {
        if self.signed { value.into() } else { i128::from(value as u64) }
    }

    /// The bytes from the field's first one on, as the upper ones of a number.
    fn window(&self, bytes: &[u8]) -> u128 {
        let mut window = [0; WINDOW];
        let start = usize::try_from(self.offset / 8).unwrap_or(usize::MAX);
        let there = bytes.get(start..).unwrap_or_default();
        let len = there.len().min(WINDOW);
        window[..len].copy_from_slice(&there[..len]);
        u128::from_be_bytes(window)
    }

    /// Bits of the window behind the field.
    fn shift(&self) -> u32 {
        u128::BITS - (self.offset % 8) as u32 - self.width
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (u64::BITS - self.width)
    }

    /// With the sign continued upwards.
    fn extended(&self, raw: u64) -> i64 {
        let unused = u64::BITS - self.width;
        if self.signed { (raw << unused) as i64 >> unused } else { raw as i64 }
    }
}

/// A field of 64 bits begins and ends within 9 bytes; as many as an integer has do no harm.
const WINDOW: usize = size_of::<u128>();

#[cfg(test)]
mod tests {
    use super::*;

    fn field(signed: bool, width: u32, offset: u64) -> Field {
        Field { signed, width, offset }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_changes() {
        for background in [0u8, 0xff, 0xa5] {
            for width in 1..=64 {
                for offset in 0..24 {
                    let field = field(true, width, offset);
                    for value in [0, -1, 1, i64::MIN, i64::MAX, 0x1234_5678_9abc_def0] {
                        let value = field.fit(value.into(), Overflow::Wrap).expect("it wraps");
                        let mut bytes = vec![background; field.end_byte() as usize];
                        field.write(&mut bytes, value);
                        assert_eq!(field.read(&bytes), value);
                        let before = Field { width: offset.max(1) as u32, offset: 0, ..field };
                        if offset > 0 {
                            let kept = before.read(&[background; 3]);
                            assert_eq!(before.read(&bytes), kept);
                        }
                        field.write(&mut bytes, field.read(&[background; 12]));
                        assert!(bytes.iter().all(|byte| *byte == background));
                    }
                }
            }
        }
    }

    #[test]
    fn values_that_do_not_fit_wrap_saturate_or_fail() {
        let (u8_, i8_, i64_) = (field(false, 8, 0), field(true, 8, 0), field(true, 64, 0));
        for (field, value, wrapped, saturated) in [
            (u8_, 256, 0, 255),
            (u8_, -1, 255, 0),
            (u8_, u8_.given(-1), 255, 255),
            (i8_, 128, -128, 127),
            (i8_, -129, 127, -128),
            (i64_, i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            (i64_, i128::from(i64::MIN) - 1, i64::MAX, i64::MIN),
        ] {
            assert_eq!(field.fit(value, Overflow::Wrap), Some(wrapped));
            assert_eq!(field.fit(value, Overflow::Saturate), Some(saturated));
            assert_eq!(field.fit(value, Overflow::Fail), None);
        }
        assert_eq!(i8_.fit(-128, Overflow::Fail), Some(-128));
    }

    #[test]
    fn beyond_the_string_are_zeros() {
        assert_eq!(field(false, 8, 4).read(b"\xff"), 0xf0);
        assert_eq!(field(true, 8, 4).read(b"\xff"), -16);
        assert_eq!(field(true, 8, 1 << 40).read(b"\xff"), 0);
    }
}
