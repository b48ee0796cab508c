//! Where members are: GEOPOS, GEOHASH, GEODIST.

use super::{GEO, distance_text, parse_unit};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::geo::Point;
use crate::types::sorted_set::SortedSet;

pub(super) const GEOPOS: Command = Command {
    name: "geopos",
    syntax: "key [member [member ...]]",
    summary: "Returns the longitude and latitude of members from a geospatial index.",
    complexity: "O(1) for each member requested.",
    since: "3.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(geopos),
    ..GEO
};

fn geopos(call: &mut Call<'_>) -> Result {
    reply_places(call, |reply, place| match place {
        Some(point) => reply_point(reply, point),
        None => reply.null_array(),
    })
}

pub(super) const GEOHASH: Command = Command {
    name: "geohash",
    syntax: "key [member [member ...]]",
    summary: "Returns members from a geospatial index as geohash strings.",
    complexity: "O(1) for each member requested.",
    since: "3.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(geohash),
    ..GEO
};

fn geohash(call: &mut Call<'_>) -> Result {
    reply_places(call, |reply, place| match place {
        Some(point) => reply.bulk(&point.geohash()),
        None => reply.null(),
    })
}

pub(super) const GEODIST: Command = Command {
    name: "geodist",
    syntax: "key member1 member2 [M | KM | FT | MI]",
    summary: "Returns the distance between two members of a geospatial index.",
    complexity: "O(1)",
    since: "3.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(geodist),
    ..GEO
};

fn geodist(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (from, to) = (args.required()?, args.required()?);
    let unit_m = match args.left() {
        0 => 1.0,
        1 => parse_unit(&mut args)?,
        _ => return Err(error::SYNTAX),
    };
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    let place = |member| place_of(set, member);
    match (place(from), place(to)) {
        (Some(from), Some(to)) => {
            reply.bulk(distance_text(from.distance_m(&to) / unit_m).as_bytes());
        }
        _ => reply.null(),
    }
    Ok(())
}

fn place_of(set: Option<&SortedSet>, member: &[u8]) -> Option<Point> {
    set?.score(member).map(Point::of_score)
}

fn reply_places(call: &mut Call<'_>, write: impl Fn(&mut Reply<'_>, Option<Point>)) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    reply.array(args.left());
    args.for_each(|member| write(reply, place_of(set, member)));
    Ok(())
}

pub(super) fn reply_point(reply: &mut Reply<'_>, point: Point) {
    reply.array(2);
    reply.decimal(&degrees_text(point.longitude));
    reply.decimal(&degrees_text(point.latitude));
}

/// All digits up to 17 places, without zeros at the end.
fn degrees_text(degrees: f64) -> String {
    let text = format!("{degrees:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_told_to_the_last_digit() {
        for (degrees, expected) in [
            (Point::of_score(3479099956230698.0).latitude, "38.11555639549629859"),
            (-180.0, "-180"),
            (0.5, "0.5"),
            (-0.0, "0"),
            (-1e-20, "0"),
        ] {
            assert_eq!(degrees_text(degrees), expected);
        }
    }
}
