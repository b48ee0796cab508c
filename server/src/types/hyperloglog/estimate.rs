//! From registers to a count: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv:1702.01284. As in Redis, so that estimates are the same.

use super::{INDEX_BITS, REGISTERS};

/// The largest value of a register, less one.
const Q: usize = (u64::BITS - INDEX_BITS) as usize;

/// 0.5 / ln 2
const ALPHA_INF: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value.
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Histogram {
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        self.0[usize::from(value % 64)] += registers as u32;
    }

    pub(super) fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let count = |value: usize| f64::from(self.0[value]);
        let mut z = m * tau((m - count(Q + 1)) / m);
        for value in (1..=Q).rev() {
            z = (z + count(value)) * 0.5;
        }
        z += m * sigma(count(0) / m);
        (ALPHA_INF * m * m / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        let before = z;
        x *= x;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        let before = z;
        x = x.sqrt();
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
