//! A command's text to what it says, as far as the grammar goes. Nothing is looked up here.

use crate::stop::{Stop, construct};

/// Bytes of a command; the kernel's limit for one argument is twice that.
const MAX_TEXT: usize = 64 << 10;
/// Words of a command, as many as init takes.
pub(crate) const MAX_WORDS: usize = 500;
/// `${A:-${B:-…}}` within each other.
const MAX_DEPTH: u8 = 16;

/// They begin what is more than a simple command.
const KEYWORDS: [&[u8]; 15] = [
    b"if", b"then", b"else", b"elif", b"fi", b"do", b"done", b"case", b"esac", b"for", b"while",
    b"until", b"{", b"}", b"!",
];

#[derive(Debug, Default)]
pub(crate) struct Script {
    /// NAME=word before the command.
    pub(crate) assignments: Vec<(Vec<u8>, Word)>,
    pub(crate) words: Vec<Word>,
    pub(crate) streams: Streams,
    pub(crate) otherwise: Option<Exit>,
}

/// `|| exit`, with its number if it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exit(pub(crate) Option<u8>);

/// Where the command's output and its errors go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Streams {
    pub(crate) out: Stream,
    pub(crate) err: Stream,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stream {
    Out,
    Err,
    Null,
}

impl Default for Streams {
    fn default() -> Self {
        Self { out: Stream::Out, err: Stream::Err }
    }
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Word(pub(crate) Vec<Piece>);

#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// Stands for itself.
    Text { bytes: Vec<u8>, quoted: bool },
    /// Is looked up. Without quotes it is split at white space.
    Value { value: Value, quoted: bool },
}

#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Variable {
        name: Vec<u8>,
        otherwise: Option<Otherwise>,
    },
    /// `$(cat FILE)`
    File(Word),
}

/// The word that stands for a variable which is not set.
#[derive(Debug, PartialEq)]
pub(crate) struct Otherwise {
    pub(crate) word: Word,
    /// Or is empty: `:-`
    pub(crate) for_empty: bool,
}

impl Word {
    fn push(&mut self, byte: u8, quoted: bool) {
        self.open(quoted).push(byte);
    }

    /// The text to go on with. Quotes make a word even where nothing is between them.
    fn open(&mut self, quoted: bool) -> &mut Vec<u8> {
        let goes_on =
            matches!(self.0.last(), Some(Piece::Text { quoted: last, .. }) if *last == quoted);
        if !goes_on {
            self.0.push(Piece::Text { bytes: Vec::new(), quoted });
        }
        match self.0.last_mut() {
            Some(Piece::Text { bytes, .. }) => bytes,
            _ => unreachable!("a text was put there"),
        }
    }

    /// What it is if it was written without quotes and needs no looking up.
    fn plain(&self) -> Option<&[u8]> {
        match &self.0[..] {
            [Piece::Text { bytes, quoted: false }] => Some(bytes),
            _ => None,
        }
    }
}

pub(crate) fn parse(text: &[u8]) -> Result<Script, Stop> {
    if text.len() > MAX_TEXT {
        return Err(Stop::refused("the command", construct::SHORTER));
    }
    Parser { text, at: 0, depth: 0 }.script()
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: u8,
}

/// Where an unquoted word ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// At white space and operators.
    Blank,
    /// `}` of `${NAME:-word}`.
    Brace,
}

impl End {
    fn is_at(self, byte: u8) -> bool {
        match self {
            Self::Blank => b" \t\n;|&<>()".contains(&byte),
            Self::Brace => byte == b'}',
        }
    }
}

impl Parser<'_> {
    fn script(&mut self) -> Result<Script, Stop> {
        let mut script = Script::default();
        self.skip_lines();
        let start = self.at;
        while self.element(&mut script)? {}
        if self.has(b"||") {
            if self.at == start {
                return Err(Stop::broken("\"||\" unexpected"));
            }
            script.otherwise = Some(self.exit()?);
        }
        if self.has(b";") {
            if self.at == start || self.has(b";;") {
                return Err(Stop::broken("\";\" unexpected"));
            }
            self.at += 1;
        }
        self.skip_lines();
        match self.rest() {
            [] => Ok(script),
            rest => Err(Stop::refused(rest, construct::ONE)),
        }
    }

    /// One assignment, word or redirection; `false` behind the last.
    fn element(&mut self, script: &mut Script) -> Result<bool, Stop> {
        self.skip_blanks();
        match self.rest() {
            [] | [b'\n' | b';' | b'#', ..] | [b'|', b'|', ..] => return Ok(false),
            [b'|', ..] => return Err(self.refused(construct::OUTSIDE)),
            [b'&' | b'(', ..] => return Err(self.refused(construct::ONE)),
            [b')', ..] => return Err(Stop::broken("\")\" unexpected")),
            [byte @ (b'<' | b'>'), ..] => self.redirection(*byte, 1, &mut script.streams)?,
            _ => self.assignment_or_word(script)?,
        }
        if script.words.len() + script.assignments.len() > MAX_WORDS {
            return Err(Stop::refused("the command", construct::SHORTER));
        }
        Ok(true)
    }

    fn assignment_or_word(&mut self, script: &mut Script) -> Result<(), Stop> {
        let name = name_of(self.rest());
        if script.words.is_empty() && !name.is_empty() && self.rest().get(name.len()) == Some(&b'=')
        {
            let name = name.to_vec();
            self.at += name.len() + 1;
            script.assignments.push((name, self.word(End::Blank)?));
            return Ok(());
        }
        let word = self.word(End::Blank)?;
        match (self.peek(), word.plain()) {
            (Some(byte @ (b'<' | b'>')), Some([digit @ b'0'..=b'9'])) => {
                return self.redirection(byte, digit - b'0', &mut script.streams);
            }
            // Shells differ: some take it for a stream's number, some for a word.
            (Some(b'<' | b'>'), Some(digits)) if digits.iter().all(u8::is_ascii_digit) => {
                return Err(self.refused(construct::FILES));
            }
            (_, Some(plain)) if script.words.is_empty() && KEYWORDS.contains(&plain) => {
                return Err(Stop::refused(plain, construct::WORDS));
            }
            _ => script.words.push(word),
        }
        Ok(())
    }

    /// `>` or `<` is next, and `number` what it stands behind.
    fn redirection(&mut self, sign: u8, number: u8, streams: &mut Streams) -> Result<(), Stop> {
        let start = self.at;
        self.at += 1;
        let copies = self.has(b"&");
        if copies {
            self.at += 1;
        }
        self.skip_blanks();
        let target = self.word(End::Blank)?;
        let stream = match (sign, copies, target.plain()) {
            (b'>', false, Some(b"/dev/null")) => Stream::Null,
            (b'>', true, Some(b"1")) => streams.out,
            (b'>', true, Some(b"2")) => streams.err,
            _ => return Err(Stop::refused(&self.text[start..], construct::FILES)),
        };
        match number {
            1 => streams.out = stream,
            2 => streams.err = stream,
            _ => return Err(Stop::refused(&self.text[start..], construct::FILES)),
        }
        Ok(())
    }

    /// `||` is next.
    fn exit(&mut self) -> Result<Exit, Stop> {
        let start = self.at;
        self.at += 2;
        self.skip_lines();
        if self.word(End::Blank)?.plain() != Some(b"exit") {
            return Err(Stop::refused(&self.text[start..], construct::OTHERWISE));
        }
        self.skip_blanks();
        if self.peek().is_none_or(|byte| byte == b'#' || End::Blank.is_at(byte)) {
            return Ok(Exit(None));
        }
        let number = self.word(End::Blank)?;
        self.skip_blanks();
        match number.plain() {
            Some(digits) => Ok(Exit(Some(status(digits)?))),
            None => Err(Stop::refused(&self.text[start..], construct::OTHERWISE)),
        }
    }

    fn word(&mut self, end: End) -> Result<Word, Stop> {
        let mut word = Word::default();
        while let Some(byte) = self.peek().filter(|byte| !end.is_at(*byte)) {
            match byte {
                b'\\' => self.escape(&mut word),
                b'\'' => self.single_quotes(&mut word)?,
                b'"' => {
                    self.at += 1;
                    self.double_quotes(&mut word, b'"')?;
                }
                b'$' => self.dollar(&mut word, false)?,
                b'`' => return Err(self.refused(construct::SUBSTITUTION)),
                b'[' if self.is_alone() && word == Word::default() => {
                    word.push(byte, false);
                    self.at += 1;
                }
                b'*' | b'?' | b'[' => return Err(self.refused(construct::QUOTE)),
                b'~' if self.may_be_home(end) => return Err(self.refused(construct::QUOTE)),
                _ => {
                    word.push(byte, false);
                    self.at += 1;
                }
            }
        }
        Ok(word)
    }

    /// A `[` that begins no pattern: what it is the name of is refused as that.
    fn is_alone(&self) -> bool {
        self.text.get(self.at + 1).is_none_or(|next| End::Blank.is_at(*next))
    }

    /// A shell takes `~` for a directory at a word's start, and in assignments behind `=` and `:`.
    fn may_be_home(&self, end: End) -> bool {
        let before = self.at.checked_sub(1).map_or(b' ', |at| self.text[at]);
        end == End::Brace || b" \t\n=:<>;|&()".contains(&before)
    }

    /// A backslash without quotes around it.
    fn escape(&mut self, word: &mut Word) {
        match self.text.get(self.at + 1) {
            Some(b'\n') => {}
            Some(byte) => word.push(*byte, true),
            None => word.push(b'\\', true),
        }
        self.at = self.text.len().min(self.at + 2);
    }

    fn single_quotes(&mut self, word: &mut Word) -> Result<(), Stop> {
        let inner = &self.rest()[1..];
        let Some(len) = inner.iter().position(|byte| *byte == b'\'') else {
            return Err(Stop::broken("Unterminated quoted string"));
        };
        word.open(true).extend_from_slice(&inner[..len]);
        self.at += len + 2;
        Ok(())
    }

    /// Up to `end`, which is `"`, or `}` of a `${NAME:-word}` that stands between quotes.
    fn double_quotes(&mut self, word: &mut Word, end: u8) -> Result<(), Stop> {
        word.open(true);
        loop {
            match self.rest() {
                [] => return Err(Stop::broken("Unterminated quoted string")),
                [byte, ..] if *byte == end => break,
                [b'`', ..] => return Err(self.refused(construct::SUBSTITUTION)),
                [b'"', ..] => return Err(self.refused(construct::QUOTE)),
                [b'$', ..] => self.dollar(word, true)?,
                [b'\\', b'\n', ..] => self.at += 2,
                [b'\\', byte, ..] if b"$`\"\\".contains(byte) || *byte == end => {
                    word.push(*byte, true);
                    self.at += 2;
                }
                [byte, ..] => {
                    word.push(*byte, true);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<(), Stop> {
        let value = match self.rest() {
            [_, b'(', ..] => self.nested(Self::substitution)?,
            [_, b'{', ..] if quoted => self.nested(|parser| parser.braces(true))?,
            [_, b'{', ..] => self.nested(|parser| parser.braces(false))?,
            [_, digit @ b'0'..=b'9', ..] => {
                let name = vec![*digit];
                self.at += 2;
                Value::Variable { name, otherwise: None }
            }
            [_, rest @ ..] if !name_of(rest).is_empty() => {
                let name = name_of(rest).to_vec();
                self.at += 1 + name.len();
                if self.goes_on_in_next_line() {
                    return Err(self.refused(construct::PARAMETER));
                }
                Value::Variable { name, otherwise: None }
            }
            [_, b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-' | b'\\', ..] => {
                return Err(self.refused(construct::PARAMETER));
            }
            [_, b'\'' | b'"', ..] if !quoted => return Err(self.refused(construct::QUOTE)),
            _ => {
                word.push(b'$', quoted);
                self.at += 1;
                return Ok(());
            }
        };
        word.0.push(Piece::Value { value, quoted });
        Ok(())
    }

    /// A name that a backslash at the end of a line cuts in two.
    fn goes_on_in_next_line(&self) -> bool {
        let mut next = self.rest();
        while let Some(behind) = next.strip_prefix(b"\\\n") {
            next = behind;
        }
        let is_cut = next.len() < self.rest().len();
        is_cut && next.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Stop>,
    ) -> Result<Value, Stop> {
        if self.depth == MAX_DEPTH {
            return Err(self.refused(construct::SHALLOWER));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// `${` is next.
    fn braces(&mut self, quoted: bool) -> Result<Value, Stop> {
        let start = self.at;
        self.at += 2;
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let name = match digits {
            0 => name_of(self.rest()).to_vec(),
            _ => self.rest()[..digits].to_vec(),
        };
        self.at += name.len();
        if self.peek().is_none() {
            return Err(Stop::broken("Missing '}'"));
        }
        let for_empty = self.has(b":-");
        if name.is_empty() || !for_empty && !self.has(b"-") && !self.has(b"}") {
            return Err(Stop::refused(&self.text[start..], construct::PARAMETER));
        }
        if self.has(b"}") {
            self.at += 1;
            return Ok(Value::Variable { name, otherwise: None });
        }
        self.at += if for_empty { 2 } else { 1 };
        let mut word = Word::default();
        if quoted {
            self.double_quotes(&mut word, b'}')?;
        } else {
            word = self.word(End::Brace)?;
            if self.peek().is_none() {
                return Err(Stop::broken("Missing '}'"));
            }
            self.at += 1;
        }
        Ok(Value::Variable { name, otherwise: Some(Otherwise { word, for_empty }) })
    }

    /// `$(` is next.
    fn substitution(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        self.at += 2;
        self.skip_lines();
        let program = self.word(End::Blank)?;
        self.skip_blanks();
        let file = self.word(End::Blank)?;
        self.skip_lines();
        match self.peek() {
            None => Err(Stop::broken("\")\" is missing")),
            Some(b')') if program.plain() == Some(b"cat") && file != Word::default() => {
                self.at += 1;
                Ok(Value::File(file))
            }
            Some(_) => Err(Stop::refused(&self.text[start..], construct::SUBSTITUTION)),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn has(&self, next: &[u8]) -> bool {
        self.rest().starts_with(next)
    }

    /// What is next cannot be done.
    fn refused(&self, instead: &str) -> Stop {
        Stop::refused(self.rest(), instead)
    }

    /// Spaces, tabs and ends of lines that a backslash takes away.
    fn skip_blanks(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t', ..] => self.at += 1,
                [b'\\', b'\n', ..] => self.at += 2,
                _ => return,
            }
        }
    }

    /// Those, whole lines and comments.
    fn skip_lines(&mut self) {
        loop {
            self.skip_blanks();
            match self.rest() {
                [b'\n', ..] => self.at += 1,
                [b'#', comment @ ..] => {
                    let len = comment.iter().position(|byte| *byte == b'\n');
                    self.at += 1 + len.unwrap_or(comment.len());
                }
                _ => return,
            }
        }
    }
}

/// The name of a variable that `text` begins with; empty if there is none.
fn name_of(text: &[u8]) -> &[u8] {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    match text.first() {
        Some(b'0'..=b'9') | None => &[],
        Some(_) => &text[..len],
    }
}

/// An exit status as it is written; the system keeps its last eight bits.
pub(crate) fn status(digits: &[u8]) -> Result<u8, Stop> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number);
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(number) => Ok(number as u8),
        None => Err(Stop::broken("exit takes a number")),
    }
}

#[cfg(test)]
mod tests;
