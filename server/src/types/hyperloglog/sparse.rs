//! Registers as runs of equal ones.
//!
//! ```text
//!   00llllll             l+1 registers of 0
//!   01llllll llllllll    l+1 registers of 0
//!   1vvvvvll             l+1 registers of v+1
//! ```

use super::{Corrupt, HEADER};

const LONG: u8 = 0x40;
const VALUE: u8 = 0x80;
const MAX_VALUE: u8 = 32;
const MAX_VALUE_RUN: usize = 4;
const MAX_SHORT_RUN: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Written in two bytes where one does not do.
    Zeros(usize),
    /// Two bytes, whatever its length: Redis keeps what it once wrote.
    LongZeros(usize),
    Values {
        value: u8,
        len: usize,
    },
}

impl Run {
    pub fn len(self) -> usize {
        match self {
            Self::Zeros(len) | Self::LongZeros(len) | Self::Values { len, .. } => len,
        }
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub fn value(self) -> u8 {
        match self {
            Self::Zeros(_) | Self::LongZeros(_) => 0,
            Self::Values { value, .. } => value,
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [len @ 0..LONG, ..] => Some(Self::Zeros(usize::from(len) + 1)),
            [high @ LONG..VALUE, low, ..] => {
                Some(Self::LongZeros((usize::from(high & 0x3f) << 8 | usize::from(low)) + 1))
            }
            [byte @ VALUE..=0xff, ..] => {
                Some(Self::Values { value: (byte >> 2 & 0x1f) + 1, len: usize::from(byte & 3) + 1 })
            }
            _ => None,
        }
    }

    fn len_bytes(self) -> usize {
        match self {
            Self::LongZeros(_) => 2,
            Self::Zeros(len) if len > MAX_SHORT_RUN => 2,
            Self::Zeros(_) | Self::Values { .. } => 1,
        }
    }

    fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Values { value, len } => [VALUE | (value - 1) << 2 | (len - 1) as u8, 0],
            Self::Zeros(len) if len <= MAX_SHORT_RUN => [(len - 1) as u8, 0],
            Self::Zeros(len) | Self::LongZeros(len) => {
                let [high, low] = ((len - 1) as u16).to_be_bytes();
                [LONG | high, low]
            }
        }
    }
}

pub(super) fn append(bytes: &mut Vec<u8>, run: Run) {
    bytes.extend_from_slice(&run.to_bytes()[..run.len_bytes()]);
}

/// The runs of a sparse string, up to one that is cut short.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = &bytes[HEADER..];
    std::iter::from_fn(move || {
        let run = Run::read(rest)?;
        rest = &rest[run.len_bytes()..];
        Some(run)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    Yes,
    No,
    /// The value, or the string, would be too large: nothing was changed.
    NoRoom,
}

/// Raises one register, keeping the string no longer than `max_bytes`.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    max_bytes: usize,
) -> Result<Raised, Corrupt> {
    if value > MAX_VALUE {
        return Ok(Raised::NoRoom);
    }
    let Found { run, at, before, skip } = find(bytes, index).ok_or(Corrupt)?;
    if run.value() >= value {
        return Ok(Raised::No);
    }
    let pieces = split(run, skip, value);
    let old_len = run.len_bytes();
    let new_len: usize = pieces.iter().flatten().map(|piece| piece.len_bytes()).sum();
    if new_len > old_len && bytes.len() - old_len + new_len > max_bytes {
        return Ok(Raised::NoRoom);
    }
    let new = pieces
        .into_iter()
        .flatten()
        .flat_map(|piece| piece.to_bytes().into_iter().take(piece.len_bytes()));
    bytes.splice(at..at + old_len, new);
    merge_from(bytes, before.unwrap_or(HEADER));
    Ok(Raised::Yes)
}

/// The run that covers a register.
struct Found {
    run: Run,
    /// Where its bytes are, and where those of the run before it.
    at: usize,
    before: Option<usize>,
    /// Registers of the run before the one looked for.
    skip: usize,
}

fn find(bytes: &[u8], index: usize) -> Option<Found> {
    let (mut at, mut before, mut first) = (HEADER, None, 0);
    loop {
        let run = Run::read(&bytes[at..])?;
        if index < first + run.len() {
            return Some(Found { run, at, before, skip: index - first });
        }
        first += run.len();
        before = Some(at);
        at += run.len_bytes();
    }
}

/// The run with one register, behind `skip` others, set to `value`.
fn split(run: Run, skip: usize, value: u8) -> [Option<Run>; 3] {
    let part = |len: usize| {
        let rest = match run {
            Run::Zeros(_) | Run::LongZeros(_) => Run::Zeros(len),
            Run::Values { value, .. } => Run::Values { value, len },
        };
        (len > 0).then_some(rest)
    };
    [part(skip), Some(Run::Values { value, len: 1 }), part(run.len() - skip - 1)]
}

/// Joins neighbouring runs of one value, in the few runs that a change can have touched.
fn merge_from(bytes: &mut Vec<u8>, mut at: usize) {
    /// As many as Redis looks at, so that the bytes come out the same.
    const SCANNED: usize = 5;
    for _ in 0..SCANNED {
        let Some(run) = bytes.get(at..).and_then(Run::read) else { return };
        let next = at + run.len_bytes();
        match (run, bytes.get(next..).and_then(Run::read)) {
            (Run::Values { value, len }, Some(Run::Values { value: other, len: more }))
                if value == other && len + more <= MAX_VALUE_RUN =>
            {
                bytes.remove(at);
                bytes[at] = Run::Values { value, len: len + more }.to_bytes()[0];
            }
            _ => at = next,
        }
    }
}
