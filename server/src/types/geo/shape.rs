//! Areas to search: circles, boxes and polygons.

use libm::{atan2, cos, sin};

use super::{EARTH_RADIUS_M, Point, degrees, radians};

#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Of a polygon, the centroid.
    pub centre: Point,
    pub extent: Extent,
    /// Metres of the unit in which lengths are given and distances told.
    pub unit_m: f64,
}

/// Lengths are in the shape's unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
    Polygon(Vec<Point>),
}

/// The least box of longitudes and latitudes around a shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min: Point,
    pub(super) max: Point,
}

impl Shape {
    /// Of at least one point.
    pub fn polygon(points: Vec<Point>) -> Self {
        Self { centre: centroid(&points), extent: Extent::Polygon(points), unit_m: 1.0 }
    }

    /// How far a point in the shape is from the centre, in metres; `None` outside.
    pub fn distance_m(&self, point: &Point) -> Option<f64> {
        match &self.extent {
            Extent::Circle { radius } => {
                let distance = self.centre.distance_m(point);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Extent::Box { width, height } => {
                if point.latitude_distance_m(&self.centre) > height * self.unit_m / 2.0 {
                    return None;
                }
                let beside = Point { longitude: self.centre.longitude, ..*point };
                if point.distance_m(&beside) > width * self.unit_m / 2.0 {
                    return None;
                }
                Some(self.centre.distance_m(point))
            }
            Extent::Polygon(points) => {
                is_inside(points, point).then(|| self.centre.distance_m(point))
            }
        }
    }

    /// The farthest that anything in the shape is from the centre, in metres, about.
    pub(super) fn reach_m(&self, bounds: &Bounds) -> f64 {
        let reach = match &self.extent {
            Extent::Circle { radius } => *radius,
            Extent::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
            Extent::Polygon(_) => {
                let Bounds { min, max } = *bounds;
                let corners = [(min, max), (max, max), (min, min), (max, min)];
                let corner = |(x, y): (Point, Point)| Point { latitude: y.latitude, ..x };
                let distances = corners.map(|pair| self.centre.distance_m(&corner(pair)));
                distances.into_iter().fold(distances[0], f64::max)
            }
        };
        reach * self.unit_m
    }

    pub(super) fn bounds(&self) -> Bounds {
        match &self.extent {
            Extent::Circle { radius } => {
                self.bounds_around(self.unit_m * radius, self.unit_m * radius)
            }
            Extent::Box { width, height } => {
                self.bounds_around(self.unit_m * width / 2.0, self.unit_m * height / 2.0)
            }
            Extent::Polygon(points) => polygon_bounds(points),
        }
    }

    /// What lies within so many metres to each side. Meridians come together towards the poles.
    fn bounds_around(&self, width_m: f64, height_m: f64) -> Bounds {
        let Point { longitude, latitude } = self.centre;
        let latitude_delta = degrees(height_m / EARTH_RADIUS_M);
        let towards_pole =
            if latitude < 0.0 { latitude - latitude_delta } else { latitude + latitude_delta };
        let longitude_delta = degrees(width_m / EARTH_RADIUS_M / cos(radians(towards_pole)));
        let to = |sign: f64| Point {
            longitude: longitude + sign * longitude_delta,
            latitude: latitude + sign * latitude_delta,
        };
        Bounds { min: to(-1.0), max: to(1.0) }
    }
}

fn polygon_bounds(points: &[Point]) -> Bounds {
    let of = |axis: fn(&Point) -> f64, choose: fn(f64, f64) -> f64, start: f64| {
        points.iter().map(axis).fold(start, choose)
    };
    let (longitude, latitude) = (|point: &Point| point.longitude, |point: &Point| point.latitude);
    Bounds {
        min: Point {
            longitude: of(longitude, f64::min, super::MAX_LONGITUDE),
            latitude: of(latitude, f64::min, super::MAX_LATITUDE),
        },
        max: Point {
            longitude: of(longitude, f64::max, -super::MAX_LONGITUDE),
            latitude: of(latitude, f64::max, -super::MAX_LATITUDE),
        },
    }
}

/// The direction of the sum of all directions.
fn centroid(points: &[Point]) -> Point {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for point in points {
        let (longitude, latitude) = (radians(point.longitude), radians(point.latitude));
        x += cos(latitude) * cos(longitude);
        y += cos(latitude) * sin(longitude);
        z += sin(latitude);
    }
    let across = (x * x + y * y).sqrt();
    Point { longitude: degrees(atan2(y, x)), latitude: degrees(atan2(z, across)) }
}

/// Whether a ray from the point crosses the edges an odd number of times.
/// From <https://wrfranklin.org/Research/Short_Notes/pnpoly.html>.
fn is_inside(points: &[Point], point: &Point) -> bool {
    let edges = points.iter().zip(points.iter().cycle().skip(points.len() - 1));
    let crossed = edges.filter(|(a, b)| {
        (a.latitude > point.latitude) != (b.latitude > point.latitude)
            && point.longitude
                < (b.longitude - a.longitude) * (point.latitude - a.latitude)
                    / (b.latitude - a.latitude)
                    + a.longitude
    });
    crossed.count() % 2 == 1
}
