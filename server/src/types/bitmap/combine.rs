//! Rows of bits combined into one as long as the longest; a shorter one has zeros behind its end.

use std::mem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    And,
    Or,
    Xor,
    Not,
    /// In the first, and in none of the others.
    Diff,
    /// In some of the others, and not in the first.
    Diff1,
    /// In the first, and in some of the others.
    AndOr,
    /// In exactly one.
    One,
}

/// A combination of the rows that have been added so far.
pub struct Combination {
    operation: Operation,
    result: Vec<u8>,
    /// DIFF1 and ANDOR: the first row. ONE: bits seen in more than one row.
    aside: Vec<u8>,
    added: usize,
}

impl Combination {
    pub fn new(operation: Operation) -> Self {
        Self { operation, result: Vec::new(), aside: Vec::new(), added: 0 }
    }

    pub fn add(&mut self, row: &[u8]) {
        let is_first = self.added == 0;
        self.added += 1;
        if self.result.len() < row.len() {
            self.result.resize(row.len(), 0);
        }
        let result = &mut self.result;
        match self.operation {
            Operation::Diff1 | Operation::AndOr if is_first => self.aside = row.to_vec(),
            Operation::And | Operation::Diff if is_first => result.copy_from_slice(row),
            Operation::Not => each(result, row, |_, new| !new),
            Operation::Or | Operation::Diff1 | Operation::AndOr => {
                each(result, row, |old, new| old | new);
            }
            Operation::Xor => each(result, row, |old, new| old ^ new),
            Operation::And => {
                each(result, row, |old, new| old & new);
                result[row.len()..].fill(0);
            }
            Operation::Diff => each(result, row, |old, new| old & !new),
            Operation::One => {
                self.aside.resize(result.len(), 0);
                let seen = result.iter().zip(row);
                self.aside.iter_mut().zip(seen).for_each(|(twice, (old, new))| *twice |= old & new);
                each(result, row, |old, new| old | new);
            }
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        let mut result = mem::take(&mut self.result);
        let aside = &mut self.aside;
        aside.resize(result.len(), 0);
        match self.operation {
            Operation::Diff1 | Operation::One => each(&mut result, aside, |old, not| old & !not),
            Operation::AndOr => each(&mut result, aside, |old, first| old & first),
            _ => {}
        }
        result
    }
}

/// A loop over bytes that compilers turn into one over vectors.
fn each(result: &mut [u8], row: &[u8], combine: impl Fn(u8, u8) -> u8) {
    result.iter_mut().zip(row).for_each(|(old, new)| *old = combine(*old, *new));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(operation: Operation, rows: &[&[u8]]) -> Vec<u8> {
        let mut combination = Combination::new(operation);
        rows.iter().for_each(|row| combination.add(row));
        combination.finish()
    }

    #[test]
    fn rows_of_any_length_combine() {
        let rows: [&[u8]; 3] = [b"\x0f\x0f\x0f", b"\x33\x33", b"\x55"];
        for (operation, expected) in [
            (Operation::And, b"\x01\x00\x00"),
            (Operation::Or, b"\x7f\x3f\x0f"),
            (Operation::Xor, b"\x69\x3c\x0f"),
            (Operation::Diff, b"\x08\x0c\x0f"),
            (Operation::Diff1, b"\x70\x30\x00"),
            (Operation::AndOr, b"\x07\x03\x00"),
            (Operation::One, b"\x68\x3c\x0f"),
        ] {
            assert_eq!(combined(operation, &rows), expected, "{operation:?}");
        }
        assert_eq!(combined(Operation::Not, &rows[..1]), b"\xf0\xf0\xf0");
        assert_eq!(combined(Operation::Diff1, &[b"\xff\xff", b"\x01"]), b"\x00\x00");
        assert_eq!(combined(Operation::One, &[b"\x01", b"\x03\x03", b"\x03"]), b"\x00\x03");
        assert_eq!(combined(Operation::And, &[b"", b"\x01"]), b"\x00");
        assert_eq!(combined(Operation::Or, &[b"", b""]), b"");
    }
}
