//! Cells of the grid, coarse and fine.

use super::Point;

/// The limits of Web Mercator (EPSG:900913).
pub const MAX_LONGITUDE: f64 = 180.0;
pub const MAX_LATITUDE: f64 = 85.05112878;

/// Bits of the longitude's half; the latitude's are the even ones.
const LONGITUDE: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const LATITUDE: u64 = 0x5555_5555_5555_5555;

/// A cell of the grid of 2^steps by 2^steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    steps: u32,
}

/// From the least to the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Span {
    fn middle(self, limit: f64) -> f64 {
        ((self.min + self.max) / 2.0).clamp(-limit, limit)
    }
}

impl Cell {
    /// 52 bits, which a double holds.
    pub const FINEST: u32 = 26;

    /// The cell in which a point lies; `None` outside the grid.
    pub(super) fn at(point: Point, steps: u32) -> Option<Self> {
        point.is_valid().then(|| Self { bits: interleaved(point, MAX_LATITUDE, steps), steps })
    }

    pub(super) fn of_score(score: f64) -> Self {
        Self { bits: score as u64, steps: Self::FINEST }
    }

    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    /// The scores that lie in the cell: from the first to before the second.
    pub fn scores(self) -> (f64, f64) {
        let align = |bits: u64| (bits << (2 * (Self::FINEST - self.steps))) as f64;
        (align(self.bits), align(self.bits + 1))
    }

    pub(super) fn longitudes(self) -> Span {
        self.span(every_second_bit(self.bits >> 1), MAX_LONGITUDE)
    }

    pub(super) fn latitudes(self) -> Span {
        self.span(every_second_bit(self.bits), MAX_LATITUDE)
    }

    fn span(self, index: u32, limit: f64) -> Span {
        let cells = (1u64 << self.steps) as f64;
        let edge = |index: u32| -limit + (f64::from(index) / cells) * (limit - -limit);
        Span { min: edge(index), max: edge(index.wrapping_add(1)) }
    }

    pub(super) fn middle(self) -> Point {
        Point {
            longitude: self.longitudes().middle(MAX_LONGITUDE),
            latitude: self.latitudes().middle(MAX_LATITUDE),
        }
    }

    /// The cell so many cells to the east and to the north, around the edges of the grid.
    ///
    /// What lies on its eastern or northern edge is one cell beyond it, and stays there unless it is
    /// moved across that edge.
    pub(super) fn neighbour(self, east: i8, north: i8) -> Self {
        let shift = u64::BITS - 2 * self.steps;
        let (columns, rows) = (LONGITUDE >> shift, LATITUDE >> shift);
        let longitude = moved(self.bits & LONGITUDE, columns, rows, east);
        let latitude = moved(self.bits & LATITUDE, rows, columns, north);
        Self { bits: longitude | latitude, ..self }
    }
}

/// Every second bit, `own`, counted up or down; `others` are those between, which the carry runs
/// through.
fn moved(bits: u64, own: u64, others: u64, by: i8) -> u64 {
    match by {
        0 => bits,
        1.. => bits.wrapping_add(others.wrapping_add(1)) & own,
        _ => (bits | others).wrapping_sub(others.wrapping_add(1)) & own,
    }
}

/// The number of a point's cell, with latitudes up to `max_latitude`.
pub(super) fn interleaved(point: Point, max_latitude: f64, steps: u32) -> u64 {
    let index = |degrees: f64, limit: f64| {
        let offset = (degrees - -limit) / (limit - -limit);
        (offset * (1u64 << steps) as f64) as u32
    };
    let latitude = index(point.latitude, max_latitude);
    let longitude = index(point.longitude, MAX_LONGITUDE);
    interleave(latitude) | interleave(longitude) << 1
}

/// Puts a zero before each bit.
/// From <https://graphics.stanford.edu/~seander/bithacks.html#InterleaveBMN>.
fn interleave(half: u32) -> u64 {
    let mut bits = u64::from(half);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & LATITUDE
}

/// Takes every second bit.
fn every_second_bit(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}
