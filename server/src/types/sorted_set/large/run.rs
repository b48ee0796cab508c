//! A run: some (score, member) pairs in order, packed into one allocation. Leaves of the tree are
//! runs, and so are the separators of its inner nodes.
//!
//! ```text
//! score 0 … score n-1 │ end 0 … end n-1 │ member 0 … member n-1
//!    4 or 8 each      │   2 or 8 each   │    one after the other
//! ```
//!
//! Scores are 4 bytes each where they are short decimals, see `scores`. An end says where in the text
//! its member ends; 8 bytes wide once the text passes 64 KiB. Scores lie together, so that a search
//! reads few lines of cache. The allocation follows the allocator's size classes, but from half a leaf
//! on it has a whole one's size.

use super::scores::Scores;

/// Bytes of a leaf, at which it splits; a size class of the allocator.
pub(super) const LEAF: usize = 1024;

/// Packed pairs. Keeps whatever order it is given: the tree's.
#[derive(Debug, Default)]
pub(super) struct Run {
    blob: Vec<u8>,
    len: u32,
    scores: Scores,
    /// Ends are of 8 bytes.
    wide: bool,
}

const NARROW: usize = size_of::<u16>();
const WIDE: usize = size_of::<u64>();

impl Run {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes in use.
    #[inline]
    pub(super) fn used(&self) -> usize {
        self.blob.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.blob.capacity()
    }

    /// Bytes in use after a member of this length was added.
    #[inline]
    pub(super) fn used_with(&self, member_len: usize) -> usize {
        self.used() + self.score_width() + self.end_width() + member_len
    }

    /// Bytes that the pairs before `at` use.
    pub(super) fn used_up_to(&self, at: usize) -> usize {
        at * (self.score_width() + self.end_width()) + self.start(at)
    }

    #[inline]
    pub(super) fn score(&self, at: usize) -> f64 {
        self.scores.read(&self.blob, at)
    }

    #[inline]
    pub(super) fn member(&self, at: usize) -> &[u8] {
        let text = self.text_at();
        &self.blob[text + self.start(at)..text + self.end(at)]
    }

    #[inline]
    pub(super) fn pair(&self, at: usize) -> (f64, &[u8]) {
        (self.score(at), self.member(at))
    }

    /// Where `member` is, wherever its score puts it.
    #[inline]
    pub(super) fn position(&self, member: &[u8]) -> Option<usize> {
        if self.wide {
            return (0..self.len()).find(|&at| self.member(at) == member);
        }
        let (ends, text) = self.blob[self.ends_at()..].split_at(self.len() * NARROW);
        // Members often begin alike: the last bytes tell them apart soonest.
        let tail = tail(member);
        let mut start = 0;
        for (at, end) in ends.chunks_exact(NARROW).enumerate() {
            let end = usize::from(u16::from_le_bytes([end[0], end[1]]));
            let candidate = &text[start..end];
            if candidate.len() == member.len()
                && self::tail(candidate) == tail
                && candidate == member
            {
                return Some(at);
            }
            start = end;
        }
        None
    }

    /// The first pair of which `before` says no; it says yes to all that come earlier.
    #[inline]
    pub(super) fn partition_point(&self, before: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Where a pair is, or belongs, among those from `from` on, which are in order.
    #[inline]
    pub(super) fn place(&self, from: usize, score: f64, member: &[u8]) -> usize {
        let scores = &self.blob[from * self.score_width()..self.ends_at()];
        let (below, up_to) = self.scores.bounds(scores, score);
        let (mut low, mut high) = (from + below, from + up_to);
        while low < high {
            let middle = low.midpoint(high);
            if self.member(middle) < member {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn set_score(&mut self, at: usize, score: f64) {
        self.admit(score);
        self.scores.write(&mut self.blob, at, score);
    }

    pub(super) fn insert(&mut self, at: usize, score: f64, member: &[u8]) {
        if !self.wide && self.text_len() + member.len() > usize::from(u16::MAX) {
            self.widen();
        }
        self.admit(score);
        let (score_width, width) = (self.score_width(), self.end_width());
        let (ends, text) = (self.ends_at(), self.text_at());
        let start = self.start(at);
        let used = self.blob.len();
        let added = score_width + width + member.len();
        self.reserve(added);
        self.blob.resize(used + added, 0);
        // From the back: what goes furthest first.
        self.blob.copy_within(text + start..used, text + start + added);
        self.blob.copy_within(text..text + start, text + score_width + width);
        self.blob.copy_within(ends + at * width..text, ends + score_width + (at + 1) * width);
        self.blob.copy_within(ends..ends + at * width, ends + score_width);
        self.blob.copy_within(at * score_width..ends, (at + 1) * score_width);
        self.len += 1;
        self.scores.write(&mut self.blob, at, score);
        self.set_end(at, start);
        self.shift_ends(at, member.len() as u64);
        let place = self.text_at() + start;
        self.blob[place..place + member.len()].copy_from_slice(member);
    }

    /// Takes out the pairs from `from` to before `to`.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let (score_width, width) = (self.score_width(), self.end_width());
        let (ends, text) = (self.ends_at(), self.text_at());
        let (start, end) = (self.start(from), self.start(to));
        let left = self.len() - (to - from);
        self.shift_ends(to, ((end - start) as u64).wrapping_neg());
        let used = self.blob.len();
        let (new_ends, new_text) = (left * score_width, left * (score_width + width));
        self.blob.copy_within(to * score_width..ends, from * score_width);
        self.blob.copy_within(ends..ends + from * width, new_ends);
        self.blob.copy_within(ends + to * width..text, new_ends + from * width);
        self.blob.copy_within(text..text + start, new_text);
        self.blob.copy_within(text + end..used, new_text + start);
        self.len = left as u32;
        self.blob.truncate(new_text + (used - text) - (end - start));
        self.fit();
    }

    /// Takes out everything from `at` on, as a run of its own.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut tail = Self::default();
        tail.extend(self, at);
        self.remove(at, self.len());
        tail
    }

    /// Adds the pairs of `other` from `from` on at the end.
    pub(super) fn extend(&mut self, other: &Self, from: usize) {
        let added = other.len() - from;
        let text: &[u8] = &other.blob[other.text_at() + other.start(from)..];
        let own = (0..self.len()).map(|at| self.score(at));
        let all = own.clone().chain((from..other.len()).map(|at| other.score(at)));
        let scores = Scores::for_all(all.clone());
        let wide = self.text_len() + text.len() > usize::from(u16::MAX);
        let len = self.len() + added;
        let mut joined = Self { blob: Vec::new(), len: len as u32, scores, wide };
        let text_at = joined.text_at();
        joined.reserve(text_at + self.text_len() + text.len());
        joined.blob.resize(text_at, 0);
        joined.blob.extend_from_slice(&self.blob[self.text_at()..]);
        joined.blob.extend_from_slice(text);
        for (at, score) in all.enumerate() {
            scores.write(&mut joined.blob, at, score);
        }
        for at in 0..self.len() {
            joined.set_end(at, self.end(at));
        }
        let (base, skipped) = (self.text_len(), other.start(from));
        for at in 0..added {
            joined.set_end(self.len() + at, base + other.end(from + at) - skipped);
        }
        *self = joined;
    }

    /// Puts the pairs of `front` before the own ones.
    pub(super) fn prepend(&mut self, mut front: Self) {
        front.extend(self, 0);
        *self = front;
    }

    // ── Layout ──────────────────────────────────────────────────────────────────────────────

    #[inline]
    fn score_width(&self) -> usize {
        self.scores.width()
    }

    #[inline]
    fn ends_at(&self) -> usize {
        self.len() * self.score_width()
    }

    #[inline]
    fn end_width(&self) -> usize {
        if self.wide { WIDE } else { NARROW }
    }

    #[inline]
    fn text_at(&self) -> usize {
        self.len() * (self.score_width() + self.end_width())
    }

    fn text_len(&self) -> usize {
        self.blob.len() - self.text_at()
    }

    #[inline]
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.end(at - 1) }
    }

    #[inline]
    fn end(&self, at: usize) -> usize {
        let ends = self.ends_at();
        if self.wide {
            u64::from_le_bytes(bytes(&self.blob, ends + at * WIDE)) as usize
        } else {
            usize::from(u16::from_le_bytes(bytes(&self.blob, ends + at * NARROW)))
        }
    }

    fn set_end(&mut self, at: usize, end: usize) {
        let (ends, width) = (self.ends_at(), self.end_width());
        self.blob[ends + at * width..][..width]
            .copy_from_slice(&(end as u64).to_le_bytes()[..width]);
    }

    /// Adds `by` to the ends from `from` on.
    fn shift_ends(&mut self, from: usize, by: u64) {
        let (ends, width, text) = (self.ends_at(), self.end_width(), self.text_at());
        let shifted = &mut self.blob[ends + from * width..text];
        if width == NARROW {
            for end in shifted.chunks_exact_mut(NARROW) {
                let moved = u16::from_le_bytes([end[0], end[1]]).wrapping_add(by as u16);
                end.copy_from_slice(&moved.to_le_bytes());
            }
        } else {
            for end in shifted.chunks_exact_mut(WIDE) {
                let moved = u64::from_le_bytes(bytes(end, 0)).wrapping_add(by);
                end.copy_from_slice(&moved.to_le_bytes());
            }
        }
    }

    fn widen(&mut self) {
        self.relay(self.scores, true);
    }

    /// Sees to it that a score can be kept.
    #[inline]
    fn admit(&mut self, score: f64) {
        if !self.scores.holds(score) {
            let own = (0..self.len()).map(|at| self.score(at));
            self.relay(Scores::for_all(own.chain([score])), self.wide);
        }
    }

    /// Lays everything out anew, in other widths that hold it.
    fn relay(&mut self, scores: Scores, wide: bool) {
        let mut new = Self { blob: Vec::new(), len: self.len, scores, wide };
        let text_at = new.text_at();
        new.reserve(text_at + self.text_len());
        new.blob.resize(text_at, 0);
        new.blob.extend_from_slice(&self.blob[self.text_at()..]);
        for at in 0..self.len() {
            scores.write(&mut new.blob, at, self.score(at));
            new.set_end(at, self.end(at));
        }
        *self = new;
    }

    fn reserve(&mut self, added: usize) {
        let wanted = self.blob.len() + added;
        if wanted > self.blob.capacity() {
            self.blob.reserve_exact(class(wanted) - self.blob.len());
        }
    }

    /// Gives back what is far too much.
    fn fit(&mut self) {
        let fitting = class(self.blob.len());
        if self.blob.capacity() >= fitting + fitting / 2 {
            self.blob.shrink_to(fitting);
        }
    }
}

impl Clone for Run {
    fn clone(&self) -> Self {
        let mut blob = Vec::with_capacity(self.blob.capacity());
        blob.extend_from_slice(&self.blob);
        Self { blob, ..*self }
    }
}

#[inline]
fn bytes<const N: usize>(blob: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&blob[at..at + N]);
    value
}

/// The last eight bytes of a longer text; of a shorter one nothing.
#[inline]
fn tail(text: &[u8]) -> u64 {
    text.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail))
}

/// The allocator's size class for so many bytes: four to each doubling. What fills more than half of
/// a leaf has room for a whole one: leaves that went from class to class as they fill up would leave
/// half-empty pages of each behind.
fn class(len: usize) -> usize {
    const SMALLEST: usize = 16;
    if (LEAF / 2 + 1..=LEAF).contains(&len) {
        return LEAF;
    }
    let step = (len.next_power_of_two() / 8).max(SMALLEST);
    len.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scores by their bits: a zero keeps its sign.
    fn pairs(run: &Run) -> Vec<(u64, Vec<u8>)> {
        (0..run.len()).map(|at| (run.score(at).to_bits(), run.member(at).to_vec())).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, f64, usize),
        Remove(usize, usize),
        Split(usize),
        SetScore(usize, f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = prop_oneof![8 => 0usize..30, 1 => 20_000usize..70_000];
        let score = || {
            let whole = (-5e9..5e9f64).prop_map(f64::round);
            let decimals = (-99..99i32).prop_map(|tenths| f64::from(tenths) / 10.0);
            prop_oneof![
                8 => (-9..9i32).prop_map(f64::from),
                4 => decimals,
                1 => whole,
                1 => Just(-0.0),
                1 => 0.0..1.0,
            ]
        };
        prop_oneof![
            6 => (any::<usize>(), score(), len).prop_map(|(at, s, l)| Step::Insert(at, s, l)),
            2 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Remove(a, b)),
            1 => any::<usize>().prop_map(Step::Split),
            1 => (any::<usize>(), score()).prop_map(|(at, s)| Step::SetScore(at, s)),
        ]
    }

    proptest! {
        #[test]
        fn a_run_is_a_list_of_pairs(steps in prop::collection::vec(step(), 1..60)) {
            let mut run = Run::default();
            let mut model: Vec<(u64, Vec<u8>)> = Vec::new();
            for (nth, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(at, score, len) => {
                        let at = at % (model.len() + 1);
                        let member = vec![nth as u8; len];
                        run.insert(at, score, &member);
                        model.insert(at, (score.to_bits(), member));
                    }
                    Step::Remove(a, b) => {
                        let (a, b) = (a % (model.len() + 1), b % (model.len() + 1));
                        run.remove(a.min(b), a.max(b));
                        model.drain(a.min(b)..a.max(b));
                    }
                    Step::Split(at) => {
                        let at = at % (model.len() + 1);
                        let tail = run.split_off(at);
                        prop_assert_eq!(pairs(&tail), &model[at..]);
                        run.extend(&tail, 0);
                    }
                    Step::SetScore(at, score) if !model.is_empty() => {
                        let at = at % model.len();
                        run.set_score(at, score);
                        model[at].0 = score.to_bits();
                    }
                    Step::SetScore(..) => {}
                }
                prop_assert_eq!(pairs(&run), &model[..]);
                for (at, (_, member)) in model.iter().enumerate() {
                    let found = run.position(member);
                    prop_assert!(found.is_some_and(|found| found <= at && model[found].1 == *member));
                }
            }
        }
    }

    #[test]
    fn a_run_of_more_than_half_a_leaf_has_room_for_one() {
        for (len, expected) in
            [(1, 16), (100, 112), (130, 160), (512, 512), (513, 1024), (1024, 1024), (1025, 1280)]
        {
            assert_eq!(class(len), expected);
        }
        assert_eq!(class(0), 0);
    }
}
