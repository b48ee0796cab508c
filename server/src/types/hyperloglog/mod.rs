//! HyperLogLog: how many different elements were added, told with an error of 0.81 % in 12 KiB.
//! A string value, byte for byte as Redis keeps it, with the same hash and the same estimator.
//!
//! ```text
//!   "HYLL"  encoding  0 0 0  cached count (u64)   registers
//! ```
//!
//! The count is valid unless its topmost bit is set. Registers are 16384 numbers of six bits (`dense`),
//! or runs of equal ones (`sparse`), while that is shorter.

mod dense;
mod estimate;
mod hash;
mod sparse;

#[cfg(test)]
mod tests;

pub use sparse::Run;

const MAGIC: &[u8; 4] = b"HYLL";
const HEADER: usize = 16;
/// Bits of the hash that choose the register.
const INDEX_BITS: u32 = 14;
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// The place of the encoding in the header, and of the cached count.
const ENCODING: usize = 4;
const COUNT: std::ops::Range<usize> = 8..16;
/// In the count's last byte: it must be reckoned anew.
const STALE: u8 = 0x80;

/// One byte for each register: what merging works on.
pub type Registers = [u8; REGISTERS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// Runs that do not add up to the number of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// A string that looks like a HyperLogLog.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

impl<'a> View<'a> {
    /// `None` if it is another string. The runs of a sparse one are not looked at yet.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let encoding = match header[ENCODING] {
            0 if bytes.len() == dense::LEN => Encoding::Dense,
            1 => Encoding::Sparse,
            _ => return None,
        };
        header.starts_with(MAGIC).then_some(Self { bytes, encoding })
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The count that was reckoned before, unless something was added since.
    pub fn cached_count(&self) -> Option<u64> {
        let count = u64::from_le_bytes(*self.bytes[COUNT].first_chunk()?);
        (count >> 63 == 0).then_some(count)
    }

    pub fn count(&self) -> Result<u64, Corrupt> {
        let mut histogram = estimate::Histogram::default();
        match self.encoding {
            Encoding::Dense => {
                let registers = dense::registers(self.bytes);
                registers.for_each(|register| histogram.add(register, 1));
            }
            Encoding::Sparse => {
                self.each_run(|_, run| histogram.add(run.value(), run.len()))?;
            }
        }
        Ok(histogram.estimate())
    }

    /// Raises each register to this one's.
    pub fn merge_into(&self, max: &mut Registers) -> Result<(), Corrupt> {
        match self.encoding {
            Encoding::Dense => {
                let registers = dense::registers(self.bytes);
                max.iter_mut().zip(registers).for_each(|(max, own)| *max = own.max(*max));
                Ok(())
            }
            Encoding::Sparse => self.each_run(|at, run| {
                let covered = &mut max[at..at + run.len()];
                covered.iter_mut().for_each(|max| *max = run.value().max(*max));
            }),
        }
    }

    /// The runs of a sparse one, as far as they can be read.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        sparse::runs(self.bytes)
    }

    /// Gives each run with the register that it begins at.
    fn each_run(&self, mut give: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
        let mut at = 0;
        for run in self.runs() {
            if at + run.len() > REGISTERS {
                return Err(Corrupt);
            }
            give(at, run);
            at += run.len();
        }
        if at == REGISTERS { Ok(()) } else { Err(Corrupt) }
    }
}

/// How many different elements the registers stand for.
pub fn count(registers: &Registers) -> u64 {
    let mut histogram = estimate::Histogram::default();
    registers.iter().for_each(|register| histogram.add(*register, 1));
    histogram.estimate()
}

/// Notes a count that was just reckoned.
pub fn cache_count(bytes: &mut [u8], count: u64) {
    bytes[COUNT].copy_from_slice(&count.to_le_bytes());
}

/// Adds an element to the string of a dense one, in place; whether a register rose.
pub fn add_dense(bytes: &mut [u8], element: &[u8]) -> bool {
    let (index, value) = hash::place_of(element);
    let rose = dense::raise(bytes, index, value);
    if rose {
        invalidate(bytes);
    }
    rose
}

fn invalidate(bytes: &mut [u8]) {
    bytes[COUNT.end - 1] |= STALE;
}

/// An owned one, which may change its encoding.
#[derive(Clone, Debug)]
pub struct HyperLogLog {
    bytes: Vec<u8>,
    /// A sparse one becomes dense before it is longer than this.
    sparse_max_bytes: usize,
}

impl HyperLogLog {
    /// One without elements.
    pub fn new(sparse_max_bytes: usize) -> Self {
        let mut bytes = [0; HEADER].to_vec();
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[ENCODING] = 1;
        sparse::append(&mut bytes, Run::Zeros(REGISTERS));
        Self { bytes, sparse_max_bytes }
    }

    pub fn of(view: View<'_>, sparse_max_bytes: usize) -> Self {
        Self { bytes: view.bytes.to_vec(), sparse_max_bytes }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn view(&self) -> View<'_> {
        let encoding = if self.bytes[ENCODING] == 0 { Encoding::Dense } else { Encoding::Sparse };
        View { bytes: &self.bytes, encoding }
    }

    /// Adds an element; whether a register rose.
    pub fn add(&mut self, element: &[u8]) -> Result<bool, Corrupt> {
        let (index, value) = hash::place_of(element);
        self.raise(index, value)
    }

    /// Raises all registers to these, which are no lower than the own ones.
    pub fn raise_to(&mut self, registers: &Registers) -> Result<(), Corrupt> {
        for (index, &value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
            if self.view().encoding == Encoding::Dense {
                dense::write(&mut self.bytes, registers);
                break;
            }
            self.raise(index, value)?;
        }
        invalidate(&mut self.bytes);
        Ok(())
    }

    fn raise(&mut self, index: usize, value: u8) -> Result<bool, Corrupt> {
        if self.view().encoding == Encoding::Dense {
            let rose = dense::raise(&mut self.bytes, index, value);
            if rose {
                invalidate(&mut self.bytes);
            }
            return Ok(rose);
        }
        match sparse::raise(&mut self.bytes, index, value, self.sparse_max_bytes)? {
            sparse::Raised::No => Ok(false),
            sparse::Raised::Yes => {
                invalidate(&mut self.bytes);
                Ok(true)
            }
            sparse::Raised::NoRoom => {
                self.make_dense()?;
                self.raise(index, value)
            }
        }
    }

    /// Whether it was sparse before.
    pub fn make_dense(&mut self) -> Result<bool, Corrupt> {
        if self.view().encoding == Encoding::Dense {
            return Ok(false);
        }
        let mut registers = [0; REGISTERS];
        self.view().merge_into(&mut registers)?;
        self.bytes.truncate(HEADER);
        self.bytes[ENCODING] = 0;
        self.bytes.resize(dense::LEN, 0);
        dense::write(&mut self.bytes, &registers);
        Ok(true)
    }
}
