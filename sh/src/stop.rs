//! Why a command is not run: what is said on standard error, and the exit status.

/// Cannot be run: POSIX' status for what is there and is no use.
const REFUSED: u8 = 126;
/// Is not there.
const MISSING: u8 = 127;
/// Is not a command; what shells answer to broken syntax.
const BROKEN: u8 = 2;
/// What was asked for could not be had.
const FAILED: u8 = 1;

/// Bytes of the user's text that are repeated to him.
const MAX_SHOWN: usize = 60;

#[derive(Debug, PartialEq)]
pub(crate) struct Stop {
    pub(crate) status: u8,
    text: Vec<u8>,
}

impl Stop {
    /// `what` as it was written, and what to do instead.
    pub(crate) fn refused(what: impl AsRef<[u8]>, instead: &str) -> Self {
        let instead = instead.as_bytes();
        Self::new(
            REFUSED,
            &[&shown(what.as_ref()), b": not supported, as there is no shell here; ", instead],
        )
    }

    pub(crate) fn missing(program: &[u8]) -> Self {
        Self::new(
            MISSING,
            &[&shown(program), b": not found; there is ", crate::program::ALL.as_bytes()],
        )
    }

    pub(crate) fn broken(what: &str) -> Self {
        Self::new(BROKEN, &[b"Syntax error: ", what.as_bytes()])
    }

    pub(crate) fn unset(name: &[u8]) -> Self {
        Self { status: BROKEN, ..Self::failed(name, "parameter not set") }
    }

    pub(crate) fn failed(what: &[u8], why: &str) -> Self {
        Self::new(FAILED, &[&shown(what), b": ", why.as_bytes()])
    }

    /// A program that is there does not start.
    pub(crate) fn cannot(program: &[u8], why: &str) -> Self {
        Self { status: REFUSED, ..Self::failed(program, why) }
    }

    fn new(status: u8, parts: &[&[u8]]) -> Self {
        Self { status, text: parts.concat() }
    }

    /// For standard error.
    pub(crate) fn line(&self) -> Vec<u8> {
        [b"sh: ", &self.text[..], b"\n"].concat()
    }
}

/// Fit for a log: one line of printable characters.
fn shown(text: &[u8]) -> Vec<u8> {
    let cut = &text[..text.len().min(MAX_SHOWN)];
    let shown = cut.iter().map(|byte| if (b' '..=b'~').contains(byte) { *byte } else { b'?' });
    let dots = if cut.len() < text.len() { &b"..."[..] } else { b"" };
    shown.chain(dots.iter().copied()).collect()
}

/// What to do instead of what is not supported.
pub(crate) mod construct {
    pub(crate) const OFF: &str = "HOLDFAST_SH=off refuses every use of it";
    pub(crate) const NO_COMMAND: &str =
        "use `docker exec -it CONTAINER redis-cli`, or sh -c 'PROGRAM WORDS'";
    pub(crate) const OPTION: &str = "of sh's options there are -c, -e, -l and -u";
    pub(crate) const ONE: &str = "give one command, and others in calls of their own";
    pub(crate) const OUTSIDE: &str =
        "do it outside the container: docker exec CONTAINER redis-cli ... | ...";
    pub(crate) const OTHERWISE: &str = "behind || there can be exit, or exit and a number";
    pub(crate) const MAIN: &str = "leave it out: the server is the container's own process here, and its \
                                   exit status the container's";
    pub(crate) const FILES: &str = "there are >/dev/null, 2>/dev/null, 2>&1 and 1>&2";
    pub(crate) const QUOTE: &str = "quote it if it stands for itself";
    pub(crate) const SUBSTITUTION: &str = "there is $(cat FILE) for one file";
    pub(crate) const PARAMETER: &str =
        "there are $NAME, ${NAME}, ${NAME:-word}, ${NAME-word} and $1";
    pub(crate) const WORDS: &str =
        "name one of the image's programs and its words, in exec form: [\"redis-cli\", \"ping\"]";
    pub(crate) const SHORTER: &str = "it is too long";
    pub(crate) const SHALLOWER: &str = "it is nested too deeply";
}
