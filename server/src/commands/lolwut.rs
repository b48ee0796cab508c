//! LOLWUT: a little art, different each time, and the version.

use rand_pcg::rand_core::Rng as _;

use super::spec::{Command, Flags, Group};
use crate::config::cli::{REDIS_VERSION, VALKEY_VERSION};
use crate::engine::{Args, Call};
use crate::error::Result;

pub(super) const COMMANDS: &[Command] = &[LOLWUT];

const LOLWUT: Command = Command {
    name: "lolwut",
    syntax: "[VERSION version:integer]",
    summary: "Displays computer art and the server version.",
    complexity: "",
    since: "5.0.0",
    group: Group::Server,
    flags: Flags::READONLY.union(Flags::FAST),
    handler: Some(lolwut),
    ..Command::BASE
};

const DEFAULT_COLUMNS: i64 = 66;
const DEFAULT_ROWS: i64 = 12;
/// A picture is at most so wide, and so high.
const MAX_SIDE: i64 = 1000;

/// There is one piece of art, whichever version is asked for; columns and rows may follow.
fn lolwut(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    if args.left() >= 2 && args.keyword("version") {
        args.int()?;
    }
    let columns = side(&mut args, DEFAULT_COLUMNS)?;
    let rows = side(&mut args, DEFAULT_ROWS)?;
    let mut text = sea(columns, rows, || call.rng().next_u64());
    text.push_str(&format!(
        "\nA keep above the tide. Holdfast ver. {} (Redis ver. {REDIS_VERSION}, Valkey ver. {VALKEY_VERSION})\n",
        env!("CARGO_PKG_VERSION")
    ));
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn side(args: &mut Args<'_>, default: i64) -> Result<usize> {
    let asked = if args.is_empty() { default } else { args.int()? };
    Ok(usize::try_from(asked.clamp(1, MAX_SIDE)).expect("it is positive"))
}

/// Kelp on the ground of the sea, held fast while the current bends it.
fn sea(columns: usize, rows: usize, mut draw: impl FnMut() -> u64) -> String {
    let heights: Vec<usize> = (0..columns)
        .map(|_| if draw().is_multiple_of(3) { draw() as usize % (rows + 1) } else { 0 })
        .collect();
    let mut text = String::with_capacity((columns + 1) * (rows + 1));
    for row in (0..rows).rev() {
        for &height in &heights {
            text.push(match height.checked_sub(row + 1) {
                None if draw().is_multiple_of(97) => 'o',
                None => ' ',
                Some(0) => [',', '\'', '`'][draw() as usize % 3],
                Some(_) => ['(', ')', '{', '}'][draw() as usize % 4],
            });
        }
        text.push('\n');
    }
    let ground = heights.iter().map(|&height| if height > 0 { '#' } else { '~' });
    text.extend(ground);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::World;

    #[test]
    fn every_stalk_stands_on_its_holdfast() {
        let mut state = 1u64;
        let picture = sea(40, 9, || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            state >> 33
        });
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines.len(), 10);
        assert!(lines.iter().all(|line| line.chars().count() == 40));
        for (above, ground) in lines[8].chars().zip(lines[9].chars()) {
            assert_eq!(ground == '#', !matches!(above, ' ' | 'o'));
        }
    }

    #[test]
    fn sizes_are_bounded_and_checked() {
        let mut world = World::new();
        let client = world.connect();
        assert!(world.run(client, "LOLWUT").contains("Redis ver. "));
        assert!(world.run(client, "LOLWUT VERSION 5 1 1").contains("Valkey ver. "));
        assert!(world.run(client, "LOLWUT 99999999 -4").len() < 10_000);
        for wrong in ["LOLWUT VERSION x", "LOLWUT x"] {
            assert!(world.run(client, wrong).starts_with("-ERR value is not an integer"));
        }
    }
}
