//! Notices that an operator, or what is mounted there, has replaced the files.
//!
//! They are judged once they lie still: between two looks nothing changed. Files that were refused
//! are judged again from time to time, as some become valid by waiting.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use holdfast_supervisor::clock::Ms;

use crate::config::tls::Files;

const JUDGE_AGAIN_MS: Ms = 60_000;

/// Device, inode, size, and when it changed, in nanoseconds; `None`: it is not there.
type Print = Option<(u64, u64, u64, i64, i64)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prints([Print; 3]);

impl Prints {
    /// Of what the paths lead to: a mounted secret is a link that is replaced.
    pub(crate) fn of(files: &Files) -> Self {
        let print = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
        };
        let authority = files.authority.as_deref().and_then(print);
        Self([print(&files.certificate), print(&files.key), authority])
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    last: Option<Prints>,
    judged: Option<Judged>,
}

#[derive(Debug, Clone, Copy)]
struct Judged {
    prints: Prints,
    at: Ms,
    good: bool,
}

impl Watch {
    /// Whether to judge them now. The first time there is nothing to wait for.
    pub(crate) fn look(&mut self, prints: Prints, mono: Ms) -> bool {
        let still = self.last.replace(prints).is_none_or(|last| last == prints);
        still
            && self.judged.is_none_or(|judged| {
                judged.prints != prints || (!judged.good && mono >= judged.at + JUDGE_AGAIN_MS)
            })
    }

    pub(crate) fn judged(&mut self, prints: Prints, good: bool, at: Ms) {
        self.judged = Some(Judged { prints, at, good });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(inode: u64) -> Prints {
        Prints([Some((1, inode, 1, 1, 1)), None, None])
    }

    #[test]
    fn files_are_judged_when_they_lie_still_and_once() {
        let mut watch = Watch::default();
        assert!(watch.look(prints(1), 0), "the first time at once");
        watch.judged(prints(1), true, 0);
        assert!(!watch.look(prints(1), 1_000_000), "good and unchanged");
        assert!(!watch.look(prints(2), 1_005_000) && !watch.look(prints(3), 1_010_000), "changing");
        assert!(watch.look(prints(3), 1_015_000));
    }

    #[test]
    fn what_was_refused_is_judged_again_after_a_while() {
        let mut watch = Watch::default();
        watch.look(prints(1), 0);
        watch.judged(prints(1), false, 0);
        assert!(!watch.look(prints(1), JUDGE_AGAIN_MS - 1));
        assert!(watch.look(prints(1), JUDGE_AGAIN_MS));
    }
}
