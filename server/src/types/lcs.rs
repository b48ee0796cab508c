//! The longest common subsequence of two byte strings, by the textbook table of prefixes.
//!
//! Only one row of lengths is kept. To walk back from the end, a bit per cell tells whether the way
//! goes up (drop the last byte of `a`) or left (drop that of `b`); where the two bytes are equal, it
//! goes both ways at once. Among equally long results this is the one that Redis finds.

/// A run that both strings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where the run begins in the first string.
    pub a: usize,
    pub b: usize,
    pub len: usize,
}

/// Length of the longest common subsequence.
pub fn len(a: &[u8], b: &[u8]) -> usize {
    fill(a, b, |_, _| {})
}

/// The runs that make up the longest common subsequence, the last one first.
pub fn matches(a: &[u8], b: &[u8]) -> Vec<Match> {
    let mut ups = Bits::new(a.len(), b.len());
    fill(a, b, |i, j| ups.set(i, j));
    let mut runs: Vec<Match> = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            match runs.last_mut().filter(|run| run.a == i && run.b == j) {
                Some(run) => *run = Match { a: i - 1, b: j - 1, len: run.len + 1 },
                None => runs.push(Match { a: i - 1, b: j - 1, len: 1 }),
            }
            (i, j) = (i - 1, j - 1);
        } else if ups.get(i - 1, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    runs
}

/// Goes through the table row by row and calls `up` for each cell, counted from 0, whose upper
/// neighbour is longer than the left one. Returns the last cell.
fn fill(a: &[u8], b: &[u8], mut up: impl FnMut(usize, usize)) -> usize {
    let mut row = vec![0u32; b.len() + 1];
    for (i, byte_a) in a.iter().enumerate() {
        let mut diagonal = 0;
        for (j, byte_b) in b.iter().enumerate() {
            let (above, left) = (row[j + 1], row[j]);
            row[j + 1] = if byte_a == byte_b { diagonal + 1 } else { above.max(left) };
            if above > left {
                up(i, j);
            }
            diagonal = above;
        }
    }
    row[b.len()] as usize
}

/// A bit for each pair of positions.
struct Bits {
    words: Vec<u64>,
    columns: usize,
}

impl Bits {
    fn new(rows: usize, columns: usize) -> Self {
        Self { words: vec![0; (rows * columns).div_ceil(64)], columns }
    }

    fn set(&mut self, row: usize, column: usize) {
        let at = row * self.columns + column;
        self.words[at / 64] |= 1 << (at % 64);
    }

    fn get(&self, row: usize, column: usize) -> bool {
        let at = row * self.columns + column;
        self.words[at / 64] >> (at % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, common: &str, runs: &[(usize, usize, usize)]) {
        let found = matches(a.as_bytes(), b.as_bytes());
        let text: String = found.iter().rev().map(|run| &a[run.a..run.a + run.len]).collect();
        assert_eq!(text, common);
        assert_eq!(len(a.as_bytes(), b.as_bytes()), common.len());
        let found: Vec<_> = found.iter().map(|run| (run.a, run.b, run.len)).collect();
        assert_eq!(found, runs, "{a} {b}");
    }

    #[test]
    fn runs_come_last_first() {
        check("ohmytext", "mynewtext", "mytext", &[(4, 5, 4), (2, 0, 2)]);
        check("abc", "abc", "abc", &[(0, 0, 3)]);
        check("abc", "xyz", "", &[]);
        check("", "abc", "", &[]);
        check("abcbdab", "bdcaba", "bdab", &[(5, 3, 2), (3, 0, 2)]);
    }
}
