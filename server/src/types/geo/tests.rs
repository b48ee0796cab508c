//! Numbers that valkey-server 9.1.2 gave, and what must hold of cells and shapes.

use proptest::prelude::*;

use super::*;

const PALERMO: Point = Point { longitude: 13.361389, latitude: 38.115556 };
const CATANIA: Point = Point { longitude: 15.087269, latitude: 37.502669 };

fn at(longitude: f64, latitude: f64) -> Point {
    Point { longitude, latitude }
}

#[test]
fn places_are_kept_as_valkey_keeps_them() {
    assert_eq!(PALERMO.score(), 3479099956230698.0);
    assert_eq!(CATANIA.score(), 3479447370796909.0);
    let kept = Point::of_score(PALERMO.score());
    assert_eq!(format!("{:.17}", kept.longitude), "13.36138933897018433");
    assert_eq!(format!("{:.17}", kept.latitude), "38.11555639549629859");
    assert_eq!(&kept.geohash(), b"sqc8b49rny0");
    let distance = kept.distance_m(&Point::of_score(CATANIA.score()));
    assert_eq!(format!("{distance:.4}"), "166274.1516");
}

#[test]
fn the_edges_of_the_grid_are_kept() {
    for (longitude, latitude) in [(-180.0, -MAX_LATITUDE), (180.0, MAX_LATITUDE), (0.0, 0.0)] {
        let kept = Point::of_score(at(longitude, latitude).score());
        assert!((kept.latitude - latitude).abs() < 1e-5, "{kept:?}");
        assert!(kept.is_valid());
    }
    assert!(!at(180.1, 0.0).is_valid());
    assert!(!at(0.0, 85.06).is_valid());
}

#[test]
fn neighbours_go_around_the_grid() {
    let cell = Cell::at(at(179.9, 0.1), 4).expect("in the grid");
    let east = cell.neighbour(1, 0);
    assert_eq!(east.longitudes().min, -180.0);
    assert_eq!(east.neighbour(-1, 0), cell);
    assert_eq!(cell.neighbour(0, 1).neighbour(0, -1), cell);
}

fn point() -> impl Strategy<Value = Point> {
    (-180.0..180.0f64, -MAX_LATITUDE..MAX_LATITUDE)
        .prop_map(|(longitude, latitude)| at(longitude, latitude))
}

proptest! {
    #[test]
    fn a_place_is_kept_within_its_cell(point in point()) {
        let kept = Point::of_score(point.score());
        prop_assert!(point.distance_m(&kept) < 0.6);
        let (first, end) = Cell::of_score(point.score()).scores();
        prop_assert_eq!((first, end), (point.score(), point.score() + 1.0));
    }

    #[test]
    fn what_is_in_a_shape_is_in_its_cells(
        centre in point(),
        reach_km in 0.001..400.0f64,
        angle in 0.0..std::f64::consts::TAU,
        share in 0.0..1.0f64,
        is_box: bool,
    ) {
        // Redis does not look across the date line and at the poles.
        prop_assume!(centre.longitude.abs() < 150.0 && centre.latitude.abs() < 75.0);
        let extent = match is_box {
            true => Extent::Box { width: reach_km * 2.0, height: reach_km },
            false => Extent::Circle { radius: reach_km },
        };
        let shape = Shape { centre, extent, unit_m: 1000.0 };
        let delta = degrees(reach_km * 1000.0 * share / EARTH_RADIUS_M);
        let other = Point::of_score(at(
            centre.longitude + delta * angle.cos() / radians(centre.latitude).cos(),
            centre.latitude + delta * angle.sin(),
        ).score());
        if shape.distance_m(&other).is_some() {
            let score = other.score();
            let holds = |cell: &Cell| (cell.scores().0..cell.scores().1).contains(&score);
            prop_assert_eq!(covering(&shape).iter().filter(|cell| holds(cell)).count(), 1);
        }
    }
}

#[test]
fn a_polygon_around_the_pole_searches_everything() {
    let shape = Shape::polygon(vec![at(0.0, 84.0), at(120.0, 84.0), at(-120.0, 84.0)]);
    assert!(!shape.centre.is_valid());
    let cells = covering(&shape);
    let scores: f64 = cells.iter().map(|cell| cell.scores().1 - cell.scores().0).sum();
    assert_eq!(scores, (1u64 << 52) as f64);
}

#[test]
fn a_polygon_holds_what_its_edges_enclose() {
    let square = Shape::polygon(vec![at(0.0, 0.0), at(2.0, 0.0), at(2.0, 2.0), at(0.0, 2.0)]);
    assert!(square.distance_m(&at(1.0, 1.5)).is_some());
    assert!(square.distance_m(&at(2.5, 1.0)).is_none());
    assert!(square.distance_m(&at(1.0, -0.1)).is_none());
}
