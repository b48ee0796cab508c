//! `oom-score-adj`: how soon the kernel kills this process when memory runs out.

use std::io;
use std::path::Path;

use crate::config::settings::OomWish as Wish;
use crate::log;

const PATH: &str = "/proc/self/oom_score_adj";
/// The kernel's own bounds.
const SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// The score in force, and the one before us.
#[derive(Debug, Default)]
pub struct OomScore {
    before: Option<i32>,
}

impl OomScore {
    /// Brings the process's score to what is wished. Lowering it takes a capability.
    pub fn follow(&mut self, wish: Wish) -> io::Result<()> {
        self.follow_at(Path::new(PATH), wish)
    }

    fn follow_at(&mut self, path: &Path, wish: Wish) -> io::Result<()> {
        let failed = |error: &io::Error| log::warning!("Unable to set {}: {error}", path.display());
        if wish == Wish::Untouched && self.before.is_none() {
            return Ok(());
        }
        let before = self.before.map_or_else(|| read(path), Ok).inspect_err(failed)?;
        self.before = Some(before);
        let score = match wish {
            Wish::Untouched => before,
            Wish::Absolute(score) => score,
            Wish::Relative(score) => before.saturating_add(score),
        };
        let score = score.clamp(*SCORES.start(), *SCORES.end());
        std::fs::write(path, score.to_string()).inspect_err(failed)?;
        if wish == Wish::Untouched {
            self.before = None;
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<i32> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_before_us_is_the_base_and_comes_back() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path();
        let is = |expected| assert_eq!(read(path).expect("a score"), expected);
        std::fs::write(path, "5\n").expect("written");
        let mut score = OomScore::default();
        let mut follow = |wish| score.follow_at(path, wish).expect("it can be set");
        follow(Wish::Untouched);
        is(5);
        follow(Wish::Relative(10));
        is(15);
        follow(Wish::Relative(2000));
        is(1000);
        follow(Wish::Absolute(-7));
        is(-7);
        follow(Wish::Untouched);
        is(5);
        // What another set meanwhile is the base from now on.
        std::fs::write(path, "3\n").expect("written");
        follow(Wish::Relative(1));
        is(4);
    }
}
