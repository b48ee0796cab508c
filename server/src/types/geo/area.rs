//! Which cells cover a shape: the one in which its centre lies, and its neighbours.

use super::cell::Cell;
use super::shape::{Bounds, Shape};

/// Half of the Earth's girth in Mercator's projection, in metres.
const MERCATOR_MAX_M: f64 = 20037726.37;

/// Columns to the east and rows to the north, in the order in which cells are searched.
const NEIGHBOURS: [(i8, i8); 8] =
    [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// The cells to search, in order.
pub fn covering(shape: &Shape) -> Vec<Cell> {
    let bounds = shape.bounds();
    let steps = steps_for(shape.reach_m(&bounds), shape.centre.latitude);
    // A centroid beyond the grid: two by two cells are all there is.
    let Some(mut cell) = Cell::at(shape.centre, steps) else {
        let south_west = super::Point { longitude: -1.0, latitude: -1.0 };
        let cell = Cell::at(south_west, 1);
        return cell.iter().flat_map(|cell| whole_grid(*cell)).collect();
    };
    if steps > 1
        && is_too_fine(cell, &bounds)
        && let Some(coarser) = Cell::at(shape.centre, steps - 1)
    {
        cell = coarser;
        return around(cell, steps - 1, &bounds);
    }
    around(cell, steps, &bounds)
}

fn whole_grid(cell: Cell) -> [Cell; 4] {
    [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(east, north)| cell.neighbour(east, north))
}

/// How fine a grid may be for a cell and its neighbours to cover so much.
fn steps_for(mut reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return Cell::FINEST;
    }
    let mut steps: i32 = 1;
    while reach_m < MERCATOR_MAX_M {
        reach_m *= 2.0;
        steps += 1;
    }
    steps -= 2;
    // Cells are narrower towards the poles.
    steps -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    steps.clamp(1, Cell::FINEST as i32) as u32
}

/// Whether the bounds reach beyond the neighbours.
fn is_too_fine(cell: Cell, bounds: &Bounds) -> bool {
    cell.neighbour(0, 1).latitudes().max < bounds.max.latitude
        || cell.neighbour(0, -1).latitudes().min > bounds.min.latitude
        || cell.neighbour(1, 0).longitudes().max < bounds.max.longitude
        || cell.neighbour(-1, 0).longitudes().min > bounds.min.longitude
}

/// The cell and those of its neighbours into which the bounds reach.
fn around(cell: Cell, steps: u32, bounds: &Bounds) -> Vec<Cell> {
    let (longitudes, latitudes) = (cell.longitudes(), cell.latitudes());
    // In a grid of two by two everything is a neighbour.
    let is_useless = |(east, north): (i8, i8)| {
        steps >= 2
            && (north < 0 && latitudes.min < bounds.min.latitude
                || north > 0 && latitudes.max > bounds.max.latitude
                || east < 0 && longitudes.min < bounds.min.longitude
                || east > 0 && longitudes.max > bounds.max.longitude)
    };
    let mut cells = vec![cell];
    for offset in NEIGHBOURS.into_iter().filter(|offset| !is_useless(*offset)) {
        let neighbour = cell.neighbour(offset.0, offset.1);
        // In a small grid neighbours may be the same.
        if !cells.contains(&neighbour) {
            cells.push(neighbour);
        }
    }
    cells
}
