//! Members in an area: GEOSEARCH, GEOSEARCHSTORE, and the older GEORADIUS and GEORADIUSBYMEMBER.

use std::ops::Bound;

use super::place::reply_point;
use super::query::{Form, Order, Origin, Query, parse_radius};
use super::{GEO, distance_text, parse_point};
use crate::commands::sorted_set::{reply_member, store_and_reply};
use crate::commands::spec::{Access, Command, Flags, KeySpec, LastOf};
use crate::engine::Call;
use crate::error::Result;
use crate::resp::Reply;
use crate::types::geo::{Cell, Point, Shape, covering};
use crate::types::sorted_set::{Item, ScoreRange, SortedSet};

pub(super) const GEOSEARCH: Command = Command {
    name: "geosearch",
    syntax: "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI> | BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    summary: "Queries a geospatial index for members inside an area of a box, circle, or a polygon.",
    complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(geosearch),
    history: &[
        ("7.0.0", "Added support for uppercase unit names."),
        ("9.0.0", "Added support for the BYPOLYGON option."),
    ],
    ..GEO
};

fn geosearch(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let source = args.required()?;
    let query = Query::default().parse(args, Form::Search, name(call))?;
    run(call, source, query, "")
}

pub(super) const GEOSEARCHSTORE: Command = Command {
    name: "geosearchstore",
    syntax: "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI> | BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
    summary: "Queries a geospatial index for members inside an area of a box, a circle, or a polygon, optionally stores the result.",
    complexity: "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::one(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(geosearchstore),
    history: &[
        ("7.0.0", "Added support for uppercase unit names."),
        ("9.0.0", "Added support for the BYPOLYGON option."),
    ],
    ..GEO
};

fn geosearchstore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (destination, source) = (args.required()?, args.required()?);
    let query = Query { destination: Some(destination), ..Query::default() };
    let query = query.parse(args, Form::SearchStore, name(call))?;
    run(call, source, query, "geosearchstore")
}

pub(super) const GEORADIUS: Command = Command {
    name: "georadius",
    syntax: "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    summary: "Queries a geospatial index for members within a distance from a coordinate, optionally stores the result.",
    complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
    since: "3.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::ReadOnly, &["access"]),
        KeySpec::one(6, Access::Overwrite, &["update", "variable_flags"])
            .behind_last("STORE", &LAST_STORE)
            .varying(|_| &STORED),
        KeySpec::one(6, Access::Overwrite, &["update", "variable_flags"])
            .behind_last("STOREDIST", &LAST_STORE)
            .varying(|_| &STORED),
    ],
    handler: Some(georadius),
    history: &[
        ("6.2.0", "Added the `ANY` option for `COUNT`."),
        ("7.0.0", "Added support for uppercase unit names."),
    ],
    ..GEO
};

fn georadius(call: &mut Call<'_>) -> Result {
    around_point(call, Form::Radius { stores: true })
}

pub(super) const GEORADIUS_RO: Command = Command {
    name: "georadius_ro",
    syntax: "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    summary: "Returns members from a geospatial index that are within a distance from a coordinate.",
    complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
    since: "3.2.10",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(georadius_ro),
    history: &[
        ("6.2.0", "Added the `ANY` option for `COUNT`."),
        ("7.0.0", "Added support for uppercase unit names."),
    ],
    ..GEO
};

fn georadius_ro(call: &mut Call<'_>) -> Result {
    around_point(call, Form::Radius { stores: false })
}

pub(super) const GEORADIUSBYMEMBER: Command = Command {
    name: "georadiusbymember",
    syntax: "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]",
    summary: "Queries a geospatial index for members within a distance from a member, optionally stores the result.",
    complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
    since: "3.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::ReadOnly, &["access"]),
        KeySpec::one(5, Access::Overwrite, &["update", "variable_flags"])
            .behind_last("STORE", &LAST_STORE)
            .varying(|_| &STORED),
        KeySpec::one(5, Access::Overwrite, &["update", "variable_flags"])
            .behind_last("STOREDIST", &LAST_STORE)
            .varying(|_| &STORED),
    ],
    handler: Some(georadiusbymember),
    history: &[
        ("6.2.0", "Added the `ANY` option for `COUNT`."),
        ("7.0.0", "Added support for uppercase unit names."),
    ],
    ..GEO
};

fn georadiusbymember(call: &mut Call<'_>) -> Result {
    around_member(call, Form::Radius { stores: true })
}

pub(super) const GEORADIUSBYMEMBER_RO: Command = Command {
    name: "georadiusbymember_ro",
    syntax: "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]",
    summary: "Returns members from a geospatial index that are within a distance from a member.",
    complexity: "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
    since: "3.2.10",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(georadiusbymember_ro),
    history: &[
        ("6.2.0", "Added the `ANY` option for `COUNT`."),
        ("7.0.0", "Added support for uppercase unit names."),
    ],
    ..GEO
};

fn georadiusbymember_ro(call: &mut Call<'_>) -> Result {
    around_member(call, Form::Radius { stores: false })
}

const STORED: KeySpec = KeySpec::one(5, Access::Overwrite, &["update"]);

const LAST_STORE: LastOf = LastOf { words: &["STORE", "STOREDIST"], skipping: &[("COUNT", 1)] };

/// The command's name as the client wrote it.
fn name<'a>(call: &Call<'a>) -> &'a [u8] {
    call.argv.get(0).unwrap_or_default()
}

fn around_point(call: &mut Call<'_>, form: Form) -> Result {
    let mut args = call.args();
    let source = args.required()?;
    let origin = Some(Origin::Point(parse_point(&mut args)?));
    let extent = Some(parse_radius(&mut args)?);
    let query = Query { origin, extent, ..Query::default() }.parse(args, form, name(call))?;
    run(call, source, query, "georadiusstore")
}

fn around_member(call: &mut Call<'_>, form: Form) -> Result {
    let mut args = call.args();
    let source = args.required()?;
    let origin = Some(Origin::Member(args.required()?));
    let extent = Some(parse_radius(&mut args)?);
    let query = Query { origin, extent, ..Query::default() }.parse(args, form, name(call))?;
    run(call, source, query, "georadiusstore")
}

/// A member in the area.
struct Hit<'s> {
    member: Item<'s>,
    score: f64,
    place: Point,
    distance_m: f64,
}

fn run(call: &mut Call<'_>, source: &[u8], mut query: Query<'_>, event: &str) -> Result {
    let Some(destination) = query.destination else {
        let (set, reply) = call.read_as_and_reply::<SortedSet>(source)?;
        let set = set.as_deref();
        let Some(set) = set else {
            reply.array(0);
            return Ok(());
        };
        let shape = query.shape(set)?;
        reply_hits(reply, &search(set, &shape, &query), &shape, &query);
        return Ok(());
    };
    let limits = call.settings().sorted_set_limits;
    let found = call.read_as::<SortedSet>(source)?;
    let found = match found.as_deref() {
        None => None,
        Some(set) => {
            let shape = query.shape(set)?;
            let hits = search(set, &shape, &query);
            let pairs = hits.iter().map(|hit| {
                let score =
                    if query.store_distances { hit.distance_m / shape.unit_m } else { hit.score };
                (hit.member.to_vec(), score)
            });
            Some(SortedSet::from_members(&limits, pairs.collect()))
        }
    };
    let len = found.as_ref().map_or(0, SortedSet::len);
    store_and_reply(call, destination, found, event)?;
    call.dirty(len.saturating_sub(1) as u64);
    Ok(())
}

fn search<'s>(set: &'s SortedSet, shape: &Shape, query: &Query<'_>) -> Vec<Hit<'s>> {
    let count = query.count.unwrap_or(usize::MAX);
    let enough = if query.any { count } else { usize::MAX };
    let candidates = covering(shape).into_iter().flat_map(|cell| members_of(set, cell));
    let hits = candidates.filter_map(|(member, score)| {
        let place = Point::of_score(score);
        let distance_m = shape.distance_m(&place)?;
        Some(Hit { member, score, place, distance_m })
    });
    let mut hits: Vec<Hit<'s>> = hits.take(enough).collect();
    // The nearest ones are meant, unless any will do.
    let order = query.order.or((query.count.is_some() && !query.any).then_some(Order::Ascending));
    if let Some(order) = order {
        hits.sort_by(|a, b| {
            let ascending = a.distance_m.total_cmp(&b.distance_m);
            if order == Order::Descending { ascending.reverse() } else { ascending }
        });
    }
    hits.truncate(count);
    hits
}

fn members_of(set: &SortedSet, cell: Cell) -> impl Iterator<Item = (Item<'_>, f64)> {
    let (first, end) = cell.scores();
    let range = ScoreRange { min: Bound::Included(first), max: Bound::Excluded(end) };
    set.range(set.ranks_by_score(&range))
}

fn reply_hits(reply: &mut Reply<'_>, hits: &[Hit<'_>], shape: &Shape, query: &Query<'_>) {
    let details = [query.with_distance, query.with_hash, query.with_place];
    let details = details.into_iter().filter(|&wanted| wanted).count();
    reply.array(hits.len());
    for hit in hits {
        if details > 0 {
            reply.array(details + 1);
        }
        reply_member(reply, hit.member);
        if query.with_distance {
            reply.bulk(distance_text(hit.distance_m / shape.unit_m).as_bytes());
        }
        if query.with_hash {
            reply.int(hit.score as i64);
        }
        if query.with_place {
            reply_point(reply, hit.place);
        }
    }
}
