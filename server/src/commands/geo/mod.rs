//! The geo commands: sorted sets whose scores are places. Not here: the arithmetic (`types::geo`).

mod add;
mod place;

mod query;
mod search;

use super::spec::{Command, Group};
use crate::engine::Args;
use crate::error::{self, Result};
use crate::types::geo::Point;

pub(super) const COMMANDS: &[Command] = &[
    add::GEOADD,
    place::GEODIST,
    place::GEOHASH,
    place::GEOPOS,
    search::GEORADIUS,
    search::GEORADIUS_RO,
    search::GEORADIUSBYMEMBER,
    search::GEORADIUSBYMEMBER_RO,
    search::GEOSEARCH,
    search::GEOSEARCHSTORE,
];

/// What all geo commands share.
const GEO: Command = Command { group: Group::Geo, ..Command::BASE };

/// Longitude and latitude.
fn parse_point(args: &mut Args<'_>) -> Result<Point> {
    let (longitude, latitude) = (args.float()?, args.float()?);
    let point = Point { longitude, latitude };
    point.is_valid().then_some(point).ok_or_else(|| error::invalid_place(longitude, latitude))
}

/// Metres of a unit.
fn parse_unit(args: &mut Args<'_>) -> Result<f64> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let known = UNITS.into_iter().find(|(name, _)| args.keyword(name));
    known.map(|(_, metres)| metres).ok_or(error::UNSUPPORTED_UNIT)
}

/// A distance as clients are told it: four places.
fn distance_text(distance: f64) -> String {
    let ten_thousandths = (distance * 10_000.0).round_ties_even() as i64;
    let (whole, places) = (ten_thousandths / 10_000, ten_thousandths.unsigned_abs() % 10_000);
    format!("{whole}.{places:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_have_four_places() {
        for (distance, expected) in [
            (0.0, "0.0000"),
            (0.00004, "0.0000"),
            (0.775, "0.7750"),
            (166274.15164, "166274.1516"),
            (20015086.79645, "20015086.7964"),
        ] {
            assert_eq!(distance_text(distance), expected);
        }
    }
}
