//! What GEOSEARCH and the older GEORADIUS… are asked for.

use super::{parse_point, parse_unit};
use crate::engine::Args;
use crate::error::{self, Error, Result};
use crate::types::geo::{Extent, Point, Shape};
use crate::types::sorted_set::SortedSet;

/// Which command it is: they differ in what they take, and in what errors call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS and GEORADIUSBYMEMBER; whether they may store.
    Radius {
        stores: bool,
    },
    Search,
    SearchStore,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    Member(&'a [u8]),
    Point(Point),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) origin: Option<Origin<'a>>,
    pub(super) extent: Option<(Extent, f64)>,
    pub(super) order: Option<Order>,
    /// At most so many.
    pub(super) count: Option<usize>,
    /// The first that are found will do.
    pub(super) any: bool,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_place: bool,
    /// Where the members that are found are stored.
    pub(super) destination: Option<&'a [u8]>,
    /// The stored scores are distances.
    pub(super) store_distances: bool,
}

impl<'a> Query<'a> {
    /// Parses the options, which come in any order. `name` is the command's as the client wrote it.
    pub(super) fn parse(mut self, mut args: Args<'a>, form: Form, name: &[u8]) -> Result<Self> {
        while !args.is_empty() {
            let known = self.parse_result_option(&mut args)?
                || self.parse_store_option(&mut args, form)?
                || matches!(form, Form::Search | Form::SearchStore)
                    && (self.parse_origin(&mut args)? || self.parse_extent(&mut args)?);
            if !known {
                return Err(error::SYNTAX);
            }
        }
        self.check(form, name).map(|()| self)
    }

    fn parse_result_option(&mut self, args: &mut Args<'a>) -> Result<bool> {
        if args.keyword("withdist") {
            self.with_distance = true;
        } else if args.keyword("withhash") {
            self.with_hash = true;
        } else if args.keyword("withcoord") {
            self.with_place = true;
        } else if args.keyword("any") {
            self.any = true;
        } else if args.keyword("asc") {
            self.order = Some(Order::Ascending);
        } else if args.keyword("desc") {
            self.order = Some(Order::Descending);
        } else if args.left() >= 2 && args.keyword("count") {
            let count = usize::try_from(args.int()?).ok().filter(|&count| count > 0);
            self.count = Some(count.ok_or(error::GEO_COUNT_NOT_POSITIVE)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn parse_store_option(&mut self, args: &mut Args<'a>, form: Form) -> Result<bool> {
        match form {
            Form::SearchStore if args.keyword("storedist") => self.store_distances = true,
            Form::Radius { stores: true } if args.left() >= 2 && args.keyword("store") => {
                self.destination = Some(args.required()?);
                self.store_distances = false;
            }
            Form::Radius { stores: true } if args.left() >= 2 && args.keyword("storedist") => {
                self.destination = Some(args.required()?);
                self.store_distances = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn parse_origin(&mut self, args: &mut Args<'a>) -> Result<bool> {
        let is_polygon = matches!(self.extent, Some((Extent::Polygon(_), _)));
        let may_be_member = !is_polygon && !matches!(self.origin, Some(Origin::Point(_)));
        let may_be_point = !is_polygon && !matches!(self.origin, Some(Origin::Member(_)));
        if may_be_member && args.left() >= 2 && args.keyword("frommember") {
            self.origin = Some(Origin::Member(args.required()?));
        } else if may_be_point && args.left() >= 3 && args.keyword("fromlonlat") {
            self.origin = Some(Origin::Point(parse_point(args)?));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn parse_extent(&mut self, args: &mut Args<'a>) -> Result<bool> {
        let is = |extent: fn(&Extent) -> bool| {
            self.extent.as_ref().is_none_or(|(given, _)| extent(given))
        };
        let may_be_circle = is(|extent| matches!(extent, Extent::Circle { .. }));
        let may_be_box = is(|extent| matches!(extent, Extent::Box { .. }));
        let may_be_polygon =
            is(|extent| matches!(extent, Extent::Polygon(_))) && self.origin.is_none();
        if may_be_circle && args.left() >= 3 && args.keyword("byradius") {
            self.extent = Some(parse_radius(args)?);
        } else if may_be_box && args.left() >= 4 && args.keyword("bybox") {
            self.extent = Some(parse_box(args)?);
        } else if may_be_polygon && args.left() >= 3 && args.keyword("bypolygon") {
            self.extent = Some((Extent::Polygon(parse_polygon(args)?), 1.0));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check(&self, form: Form, name: &[u8]) -> Result {
        let stores = self.destination.is_some();
        if stores && (self.with_distance || self.with_hash || self.with_place) {
            return Err(match form {
                Form::SearchStore => error::GEOSEARCHSTORE_WITH_DETAILS,
                _ => error::GEORADIUS_STORE_WITH_DETAILS,
            });
        }
        let is_polygon = matches!(self.extent, Some((Extent::Polygon(_), _)));
        if self.origin.is_none() && !is_polygon {
            return Err(error::one_origin(name));
        }
        if self.extent.is_none() {
            return Err(error::one_extent(name));
        }
        if self.any && self.count.is_none() {
            return Err(error::ANY_NEEDS_COUNT);
        }
        Ok(())
    }

    /// The area to search, once the set is known in which the member lies.
    pub(super) fn shape(&mut self, set: &SortedSet) -> Result<Shape> {
        let centre = match self.origin {
            Some(Origin::Point(point)) => Some(point),
            Some(Origin::Member(member)) => {
                let score = set.score(member).ok_or_else(|| error::no_such_member(member))?;
                Some(Point::of_score(score))
            }
            None => None,
        };
        match (self.extent.take(), centre) {
            (Some((Extent::Polygon(points), _)), _) => Ok(Shape::polygon(points)),
            (Some((extent, unit_m)), Some(centre)) => Ok(Shape { centre, extent, unit_m }),
            _ => Err(error::SYNTAX),
        }
    }
}

fn number(args: &mut Args<'_>, otherwise: Error) -> Result<f64> {
    args.float().map_err(|_| otherwise)
}

pub(super) fn parse_radius(args: &mut Args<'_>) -> Result<(Extent, f64)> {
    let radius = number(args, error::RADIUS_NOT_NUMERIC)?;
    if radius < 0.0 {
        return Err(error::RADIUS_NEGATIVE);
    }
    Ok((Extent::Circle { radius }, parse_unit(args)?))
}

fn parse_box(args: &mut Args<'_>) -> Result<(Extent, f64)> {
    let width = number(args, error::WIDTH_NOT_NUMERIC)?;
    let height = number(args, error::HEIGHT_NOT_NUMERIC)?;
    if width < 0.0 || height < 0.0 {
        return Err(error::BOX_NEGATIVE);
    }
    Ok((Extent::Box { width, height }, parse_unit(args)?))
}

fn parse_polygon(args: &mut Args<'_>) -> Result<Vec<Point>> {
    let count = args.int32_or(error::INVALID_VERTICES)?;
    let count = usize::try_from(count).ok().filter(|&count| count >= 3 && count <= args.left() / 2);
    let count = count.ok_or(error::TOO_FEW_VERTICES)?;
    (0..count).map(|_| parse_point(args)).collect()
}
