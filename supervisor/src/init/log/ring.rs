//! The last bytes of one stream, and a reader of its lines that is told exactly what it missed.
//!
//! Positions count every byte the stream ever had, so they only grow and a gap is a difference of
//! two. The oldest bytes give way to new ones, whoever has not read them. Pure: no descriptor.

/// The last `N` bytes.
pub(crate) struct Ring<const N: usize> {
    bytes: [u8; N],
    written: u64,
}

/// How far the console has come. A line counts as dropped when its end was not passed on.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Lines {
    at: u64,
    /// Ever.
    dropped: u64,
    /// Since that was last said where the lines would have been.
    unsaid: u64,
    /// Being said: so many dropped lines, by a notice of which so many bytes were passed on.
    saying: Option<(u64, usize)>,
    /// What comes next is the rest of a line whose beginning was passed on.
    inside: bool,
    /// A line was passed on but for its end, which is gone.
    owes_end: bool,
    /// What comes next is the rest of a line whose beginning is gone.
    torn: bool,
    /// The last byte passed on did not end a line.
    mid_line: bool,
}

impl<const N: usize> Ring<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], written: 0 }
    }

    /// The position after the newest byte.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.written.saturating_sub(N as u64)
    }

    pub(crate) fn push(&mut self, text: &[u8], lines: &mut Lines) {
        for piece in text.chunks(N) {
            self.make_room(piece.len() as u64, lines);
            let start = self.place(self.written);
            let (to_the_end, from_the_start) = piece.split_at(piece.len().min(N - start));
            self.bytes[start..start + to_the_end.len()].copy_from_slice(to_the_end);
            self.bytes[..from_the_start.len()].copy_from_slice(from_the_start);
            self.written += piece.len() as u64;
        }
    }

    /// What lies from `at` on, as much of it as fits, into `buffer`.
    pub(crate) fn copy<'a>(&self, at: u64, buffer: &'a mut [u8]) -> &'a [u8] {
        let at = at.clamp(self.oldest(), self.written);
        let len = ((self.written - at) as usize).min(buffer.len());
        let (start, buffer) = (self.place(at), &mut buffer[..len]);
        let (head, tail) = buffer.split_at_mut(len.min(N - start));
        head.copy_from_slice(&self.bytes[start..start + head.len()]);
        tail.copy_from_slice(&self.bytes[..tail.len()]);
        buffer
    }

    fn place(&self, at: u64) -> usize {
        (at % N as u64) as usize
    }

    /// Takes from the reader what is about to be overwritten.
    fn make_room(&self, len: u64, lines: &mut Lines) {
        let keep_from = (self.written + len).saturating_sub(N as u64);
        for at in lines.at..keep_from {
            let ends_a_line = self.bytes[self.place(at)] == b'\n';
            if ends_a_line && lines.inside {
                lines.owes_end = true;
            } else {
                lines.lose(u64::from(ends_a_line));
            }
            (lines.inside, lines.torn) = (false, !ends_a_line);
        }
        lines.at = lines.at.max(keep_from);
    }
}

impl Lines {
    pub(crate) const NEW: Self = Self {
        at: 0,
        dropped: 0,
        unsaid: 0,
        saying: None,
        inside: false,
        owes_end: false,
        torn: false,
        mid_line: false,
    };

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The last byte passed on did not end a line, or a notice.
    pub(crate) fn is_mid_line(&self) -> bool {
        self.mid_line || self.saying.is_some_and(|(_, passed)| passed > 0)
    }

    /// What is to be said before the next line: how many were dropped, whether that ends a line that
    /// was cut short, and how many bytes of the notice were passed on already.
    pub(crate) fn next_notice(&mut self) -> Option<(u64, bool, usize)> {
        if self.saying.is_none() && (self.unsaid > 0 || self.owes_end) {
            self.saying = Some((std::mem::take(&mut self.unsaid), 0));
            self.owes_end = false;
        }
        self.saying.map(|(dropped, passed)| (dropped, self.mid_line, passed))
    }

    /// `len` bytes more of the notice were passed on, with its last if it `is_whole`.
    pub(crate) fn said(&mut self, len: usize, is_whole: bool) {
        match &mut self.saying {
            Some((_, passed)) if !is_whole => *passed += len,
            _ => (self.saying, self.mid_line) = (None, false),
        }
    }

    fn lose(&mut self, lines: u64) {
        self.dropped += lines;
        self.unsaid += lines;
    }

    /// The next whole lines, or as much of a longer one as `buffer` holds. A line that has not
    /// ended is waited for, unless `all`.
    pub(crate) fn next<'a, const N: usize>(
        &mut self,
        ring: &Ring<N>,
        buffer: &'a mut [u8],
        all: bool,
    ) -> &'a [u8] {
        while self.torn && self.at < ring.written() {
            self.skip_to_line_end(ring.copy(self.at, buffer));
        }
        let full = buffer.len();
        let text = ring.copy(self.at, buffer);
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let as_it_is = whole == 0 && (all || text.len() == full);
        if as_it_is || (all && text.len() < full) { text } else { &text[..whole] }
    }

    fn skip_to_line_end(&mut self, text: &[u8]) {
        let end = text.iter().position(|&byte| byte == b'\n');
        self.at += end.map_or(text.len(), |end| end + 1) as u64;
        if end.is_some() {
            self.lose(1);
            self.torn = false;
        }
    }

    /// The first `len` bytes of what `next` gave were passed on.
    pub(crate) fn passed(&mut self, text: &[u8], len: usize) {
        self.at += len as u64;
        if let Some(&last) = text.get(len.wrapping_sub(1)) {
            self.mid_line = last != b'\n';
            self.inside = self.mid_line;
        }
    }

    /// Nobody takes lines any more, nor is told: what there is counts as dropped.
    pub(crate) fn give_up<const N: usize>(&mut self, ring: &Ring<N>) {
        let mut buffer = [0; 256];
        while self.at < ring.written() {
            let text = ring.copy(self.at, &mut buffer);
            self.at += text.len() as u64;
            self.lose(text.iter().filter(|&&byte| byte == b'\n').count() as u64);
        }
        (self.torn, self.inside, self.mid_line) = (false, false, false);
        (self.saying, self.unsaid, self.owes_end) = (None, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Small = Ring<16>;

    fn take(lines: &mut Lines, ring: &Small, all: bool) -> Vec<u8> {
        if lines.next_notice().is_some() {
            lines.said(0, true);
        }
        let mut buffer = [0; 8];
        let text = lines.next(ring, &mut buffer, all).to_vec();
        lines.passed(&text, text.len());
        text
    }

    #[test]
    fn whole_lines_come_out_and_an_unfinished_one_waits() {
        let (mut ring, mut lines) = (Small::new(), Lines::NEW);
        ring.push(b"one\ntw", &mut lines);
        assert_eq!(take(&mut lines, &ring, false), b"one\n");
        assert_eq!(take(&mut lines, &ring, false), b"");
        ring.push(b"o\n", &mut lines);
        assert_eq!(take(&mut lines, &ring, false), b"two\n");
        ring.push(b"end", &mut lines);
        assert_eq!(take(&mut lines, &ring, true), b"end");
        assert!(lines.mid_line);
    }

    #[test]
    fn a_line_whose_beginning_was_overwritten_is_dropped_whole() {
        let (mut ring, mut lines) = (Small::new(), Lines::NEW);
        ring.push(b"first\nsecond\nthird\n", &mut lines);
        assert_eq!((lines.at, lines.dropped()), (3, 0), "the first line lost its beginning");
        assert_eq!(take(&mut lines, &ring, false), b"second\n");
        assert_eq!((lines.dropped(), lines.unsaid), (1, 1));
        assert_eq!(take(&mut lines, &ring, false), b"third\n");
    }

    #[test]
    fn a_line_longer_than_the_buffer_comes_in_pieces() {
        let (mut ring, mut lines) = (Small::new(), Lines::NEW);
        ring.push(b"0123456789\n", &mut lines);
        assert_eq!(take(&mut lines, &ring, false), b"01234567");
        assert!(lines.mid_line);
        assert_eq!(take(&mut lines, &ring, false), b"89\n");
        assert!(!lines.mid_line);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Vec<u8>),
        Take,
        GiveUp,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let letters = prop::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n')], 0..40);
        let step = prop_oneof![3 => letters.prop_map(Step::Push), 3 => Just(Step::Take), 1 => Just(Step::GiveUp)];
        prop::collection::vec(step, 0..40)
    }

    proptest! {
        /// Whatever happens, each line's end is either passed on or counted as dropped.
        #[test]
        fn no_line_is_lost_uncounted(steps in steps()) {
            let ends = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\n').count() as u64;
            let (mut ring, mut lines) = (Small::new(), Lines::NEW);
            let (mut written, mut passed) = (0, 0);
            for step in steps {
                match step {
                    Step::Push(text) => {
                        written += ends(&text);
                        let owed = lines.owes_end;
                        ring.push(&text, &mut lines);
                        // All but its end was passed on.
                        passed += u64::from(lines.owes_end && !owed);
                    }
                    Step::Take => passed += ends(&take(&mut lines, &ring, false)),
                    Step::GiveUp => lines.give_up(&ring),
                }
            }
            lines.give_up(&ring);
            prop_assert_eq!(written, passed + lines.dropped());
        }

        #[test]
        fn the_ring_holds_the_newest_bytes(text in prop::collection::vec(any::<u8>(), 0..100)) {
            let (mut ring, mut lines) = (Small::new(), Lines::NEW);
            for piece in text.chunks(7) {
                ring.push(piece, &mut lines);
            }
            let mut buffer = [0; 64];
            let newest = &text[text.len().saturating_sub(16)..];
            prop_assert_eq!(ring.copy(0, &mut buffer), newest);
            prop_assert_eq!(ring.written(), text.len() as u64);
        }
    }
}
