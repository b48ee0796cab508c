//! Commands from standard input, a line each: typed at a prompt, or piped in.
//!
//! At a terminal lines are edited by the terminal itself: there is no history and no completion.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::format::Output;
use crate::inline;
use crate::session::{Result, Session, Stop, complain};
use crate::usage;
use crate::words::{leading_i32, leading_int};

/// Bytes of a line: the longest string that Redis takes, and quotes around it.
const MAX_LINE: u64 = (512 << 20) + 1024;
/// What takes longer than this has its time shown.
const SLOW: Duration = Duration::from_millis(500);
/// Clears the screen, the cursor at its top.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";
const LISTENING: &[u8] = b"Reading messages... (press Ctrl-C to quit or type a command)\r";
const ERASE_LINE: &[u8] = b"\x1b[K";

/// Takes commands until their end; the exit status.
pub(crate) fn run(session: &mut Session) -> Result<u8> {
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|_| Stop::Exit(1))?;
    let mut prompt = Prompt {
        is_typed: io::stdin().is_terminal(),
        shows_state: session.options.output != Output::Raw && io::stdout().is_terminal(),
        input: BufReader::new(File::from(input)),
        session,
    };
    prompt.session.is_interactive = true;
    // Commands connect again where this fails.
    prompt.session.connect(false);
    loop {
        match prompt.turn() {
            Ok(true) | Err(Stop::Lost) => {}
            Ok(false) => return Ok(0),
            Err(Stop::Exit(status)) => return Ok(status),
        }
    }
}

struct Prompt<'a> {
    session: &'a mut Session,
    input: BufReader<File>,
    is_typed: bool,
    shows_state: bool,
}

impl Prompt<'_> {
    /// One line; false at the end of them.
    fn turn(&mut self) -> Result<bool> {
        if self.is_typed {
            let text = self.text();
            self.session.say(&text)?;
        }
        let Some(line) = self.line()? else {
            if self.is_typed {
                self.session.say(b"\n")?;
            }
            return Ok(false);
        };
        if !self.command(&line)? {
            return Ok(false);
        }
        if self.session.is_subscribed {
            self.wait_for_messages()?;
        }
        Ok(true)
    }

    fn text(&self) -> Vec<u8> {
        let session = &self.session;
        let options = &session.options;
        if session.link.is_none() {
            return b"not connected> ".to_vec();
        }
        let mut text = Vec::new();
        match &options.socket {
            Some(path) => {
                text.extend(options.name.short.as_bytes());
                text.push(b' ');
                text.extend(path);
            }
            None => {
                let is_v6 = options.host.contains(&b':');
                text.extend(if is_v6 { &b"["[..] } else { b"" });
                text.extend(&options.host);
                text.extend(if is_v6 { &b"]"[..] } else { b"" });
                text.push(b':');
                text.extend(options.port.to_string().as_bytes());
            }
        }
        if session.db != 0 {
            text.extend(format!("[{}]", session.db).as_bytes());
        }
        text.extend(if session.in_multi { &b"(TX)"[..] } else { b"" });
        text.extend(if session.is_subscribed { &b"(subscribed mode)"[..] } else { b"" });
        text.extend(b"> ");
        text
    }

    /// Without its end; `None` when there are no more.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut line);
        if read.is_err() || line.is_empty() {
            return Ok(None);
        }
        if line.len() as u64 == MAX_LINE {
            complain("A line is too long");
            return Err(Stop::Exit(1));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(line))
    }

    /// Does what a line says; false if that is the end.
    fn command(&mut self, line: &[u8]) -> Result<bool> {
        let Some(words) = inline::split(line) else {
            self.session.say(b"Invalid argument(s)\n")?;
            return Ok(true);
        };
        let Some(first) = words.first() else { return Ok(true) };
        let is = |name: &str| first.eq_ignore_ascii_case(name.as_bytes());
        if is("quit") || is("exit") {
            return Ok(false);
        }
        if first.starts_with(b":") {
            self.preference(&words)?;
        } else if words.len() == 3 && is("connect") {
            self.session.options.host = words[1].clone();
            self.session.options.port = u16::try_from(leading_i32(&words[2])).unwrap_or(0);
            self.session.options.socket = None;
            self.session.connect(false);
        } else if words.len() == 1 && is("clear") {
            self.session.say(CLEAR)?;
        } else {
            return self.timed(&words).map(|()| true);
        }
        Ok(true)
    }

    /// A command, behind a number that often.
    fn timed(&mut self, words: &[Vec<u8>]) -> Result {
        let is_number = |word: &[u8]| {
            let digits = word.strip_prefix(b"-").or(word.strip_prefix(b"+")).unwrap_or(word);
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        };
        let (repeat, words) = match words {
            [number, rest @ ..] if !rest.is_empty() && is_number(number) => {
                (leading_int(number), rest)
            }
            all => (1, all),
        };
        if repeat <= 0 || repeat == i64::MAX {
            let tool = self.session.options.name.tool;
            let text = format!("Invalid {tool} repeat command option value.\n");
            return self.session.say(text.as_bytes());
        }
        let started = Instant::now();
        let done = issue(self.session, words, repeat);
        let took = started.elapsed();
        if took >= SLOW && self.session.options.output == Output::Standard {
            self.session.say(format!("({:.2}s)\n", took.as_secs_f64()).as_bytes())?;
        }
        done
    }

    /// `:set hints` and `:get pubsub`; there are no hints to set.
    fn preference(&mut self, words: &[Vec<u8>]) -> Result {
        let is = |at: usize, name: &str| {
            words.get(at).is_some_and(|word: &Vec<u8>| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        if is(0, ":get") && is(1, "pubsub") {
            let state: &[u8] = if self.session.is_subscribed { b"1\n" } else { b"0\n" };
            return self.session.say(state);
        }
        if is(0, ":set") && (is(1, "hints") || is(1, "nohints")) {
            return Ok(());
        }
        let tool = self.session.options.name.tool;
        let (what, word) = match words {
            [first, second, ..] if first.eq_ignore_ascii_case(b":set") => ("preference", second),
            [first, second, ..] if first.eq_ignore_ascii_case(b":get") => ("get option", second),
            all => ("internal command", &all[0]),
        };
        let word = String::from_utf8_lossy(word);
        self.session.say(format!("unknown {tool} {what} '{word}'\n").as_bytes())
    }

    /// Shows messages until there is something to read here, too.
    fn wait_for_messages(&mut self) -> Result {
        while self.session.is_subscribed {
            let Some(link) = &self.session.link else { return Ok(()) };
            if link.has_more() {
                self.session.message()?;
                continue;
            }
            if !self.input.buffer().is_empty() {
                return Ok(());
            }
            if self.shows_state {
                self.session.say(LISTENING)?;
            }
            let has_message = self.wait();
            if self.shows_state {
                self.session.say(ERASE_LINE)?;
            }
            match has_message {
                Some(true) => self.session.message()?,
                Some(false) => return Ok(()),
                None => {}
            }
        }
        Ok(())
    }

    /// True for a message, false for input, `None` for neither.
    fn wait(&self) -> Option<bool> {
        let link = self.session.link.as_ref()?;
        let mut watched =
            [PollFd::new(link, PollFlags::IN), PollFd::new(self.input.get_ref(), PollFlags::IN)];
        poll(&mut watched, None).ok()?;
        let [message, input] = watched.map(|one| !one.revents().is_empty());
        let message = message && link.has_arrived();
        (message || input).then_some(message)
    }
}

/// A command for the server, or HELP, which needs none.
pub(crate) fn issue(session: &mut Session, words: &[Vec<u8>], repeat: i64) -> Result {
    let is = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
    if is("help") || is("?") {
        let name = session.options.name;
        let text = match &words[1..] {
            [] => usage::prompt(name),
            topic => (name.about.help)(topic),
        };
        return session.say(text.as_bytes());
    }
    session.issue(words, repeat)
}
