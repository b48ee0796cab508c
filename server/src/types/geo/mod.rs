//! Places on Earth as the scores of a sorted set, and searches among them.
//!
//! A place is kept as its cell in a grid of 2^26 by 2^26 over longitude and latitude, the bits of
//! both interleaved: 52 bits, which a score holds exactly. Cells that lie together mostly have
//! numbers that lie together, so an area is nine ranges of scores at most, and what is in them is
//! looked at one by one. The formulas are Redis', down to the order of their operations, so that
//! every digit is the same.

mod area;
mod cell;
mod shape;

use libm::{asin, cos, sin};

pub use area::covering;
pub use cell::{Cell, MAX_LATITUDE, MAX_LONGITUDE};
pub use shape::{Extent, Shape};

/// Mean of the Earth's radius in WGS 84, in metres.
const EARTH_RADIUS_M: f64 = 6372797.560856;

/// Longitude and latitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

impl Point {
    /// Whether the grid covers it.
    pub fn is_valid(&self) -> bool {
        self.longitude.abs() <= MAX_LONGITUDE && self.latitude.abs() <= MAX_LATITUDE
    }

    /// The score under which it is kept.
    pub fn score(&self) -> f64 {
        Cell::at(*self, Cell::FINEST).map_or(0.0, |cell| cell.bits() as f64)
    }

    /// The middle of the cell that a score stands for.
    pub fn of_score(score: f64) -> Self {
        Cell::of_score(score).middle()
    }

    /// Metres along the surface (haversine).
    pub fn distance_m(&self, other: &Self) -> f64 {
        /// About 6 nm: the longitudes are the same.
        const SAME: f64 = 1e-15;
        let longitude = radians(self.longitude);
        let v = sin((radians(other.longitude) - longitude) / 2.0);
        if v.abs() <= SAME {
            return self.latitude_distance_m(other);
        }
        let (latitude, other) = (radians(self.latitude), radians(other.latitude));
        let u = sin((other - latitude) / 2.0);
        let a = u * u + cos(latitude) * cos(other) * v * v;
        2.0 * EARTH_RADIUS_M * asin(a.sqrt())
    }

    /// Metres along a meridian.
    fn latitude_distance_m(&self, other: &Self) -> f64 {
        EARTH_RADIUS_M * (radians(other.latitude) - radians(self.latitude)).abs()
    }

    /// The eleven letters of geohash.org. The last is always `0`: 52 bits make ten and a half.
    pub fn geohash(&self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = cell::interleaved(*self, 90.0, Cell::FINEST);
        let mut text = [b'0'; 11];
        for (nth, letter) in text[..10].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (52 - (nth + 1) * 5)) as usize & 0x1f];
        }
        text
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

#[cfg(test)]
mod tests;
