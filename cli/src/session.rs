//! What is going on with the server: the connection, what was selected, what is being listened to.

use std::io::{self, Write as _};
use std::thread;

use crate::format::{self, Output};
use crate::link::{self, Link, Unopened};
use crate::options::{Options, Resp3};
use crate::reply::{Failure, Kind, Reply};

/// Exit status when nobody reads standard output: what a shell shows of a program that SIGPIPE ended.
const NO_READER: u8 = 141;

/// Why a command was not carried out. It has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The connection is gone, or none could be made.
    Lost,
    /// The program ends.
    Exit(u8),
}

pub(crate) type Result<T = ()> = std::result::Result<T, Stop>;

/// What is done with push messages that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushes {
    Show,
    Drop,
    /// They are replies: to SUBSCRIBE, and what follows it.
    Take,
}

pub(crate) struct Session {
    pub(crate) options: Options,
    pub(crate) link: Option<Link>,
    pub(crate) is_interactive: bool,
    pub(crate) is_subscribed: bool,
    pub(crate) in_multi: bool,
    /// What the connection has selected; `options.db` is what it shall have.
    pub(crate) db: i32,
    db_before_multi: i32,
    is_resp3: bool,
    is_shutting_down: bool,
    pushes: Pushes,
    /// Channels and patterns, and channels of shards.
    subscriptions: [i64; 2],
    /// `None` when the connection ended instead, as was asked for.
    last: Option<Reply>,
}

impl Session {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            link: None,
            is_interactive: false,
            is_subscribed: false,
            in_multi: false,
            db: 0,
            db_before_multi: 0,
            is_resp3: false,
            is_shutting_down: false,
            pushes: Pushes::Drop,
            subscriptions: [0; 2],
            last: None,
        }
    }

    /// Writes to standard output.
    pub(crate) fn say(&mut self, text: &[u8]) -> Result {
        let mut out = io::stdout().lock();
        let written = out.write_all(text).and_then(|()| out.flush());
        written.map_err(|_| Stop::Exit(NO_READER))
    }

    /// Connects anew; whether all of it went well. Who is not let in stays connected.
    pub(crate) fn connect(&mut self, is_quiet: bool) -> bool {
        self.db = 0;
        self.in_multi = false;
        self.is_subscribed = false;
        self.is_resp3 = false;
        self.subscriptions = [0; 2];
        self.link = None;
        match Link::open(&self.options) {
            Ok(link) => self.link = Some(link),
            Err(Unopened::Options(what)) => {
                complain(&["Could not negotiate a TLS connection: ", what].concat());
                return false;
            }
            Err(Unopened::Unreachable(why)) => {
                if !is_quiet {
                    complain(&self.unreachable(&why));
                }
                return false;
            }
        }
        self.pushes = Pushes::Drop;
        let is_ready = self.authenticate() && self.select() && self.switch_protocol();
        self.show_pushes();
        is_ready
    }

    fn unreachable(&self, why: &str) -> String {
        let Options { name, host, port, socket, .. } = &self.options;
        let product = name.product;
        let host = String::from_utf8_lossy(socket.as_ref().unwrap_or(host));
        match socket {
            Some(_) => format!("Could not connect to {product} at {host}: {why}"),
            None => format!("Could not connect to {product} at {host}:{port}: {why}"),
        }
    }

    /// The connection of a mode that does nothing without one.
    pub(crate) fn connected(&mut self) -> Result<&mut Link> {
        if !self.connect(false) {
            return Err(Stop::Exit(1));
        }
        self.link.as_mut().ok_or(Stop::Exit(1))
    }

    fn authenticate(&mut self) -> bool {
        let Some(password) = self.options.password.clone() else { return true };
        let mut words = vec![b"AUTH".to_vec()];
        words.extend(self.options.user.clone());
        words.push(password);
        match self.greet(&words) {
            Some(Reply::Error(text)) => {
                complain(&format!("AUTH failed: {}", lossy(&text)));
                false
            }
            reply => reply.is_some(),
        }
    }

    fn select(&mut self) -> bool {
        let db = self.options.db;
        if db == self.db {
            return true;
        }
        match self.greet(&[b"SELECT".to_vec(), db.to_string().into_bytes()]) {
            Some(Reply::Error(text)) => {
                complain(&format!("SELECT {db} failed: {}", lossy(&text)));
                false
            }
            Some(_) => {
                self.db = db;
                true
            }
            None => false,
        }
    }

    fn switch_protocol(&mut self) -> bool {
        if self.options.resp3 == Resp3::No {
            return true;
        }
        let Some(reply) = self.greet(&[b"HELLO".to_vec(), b"3".to_vec()]) else { return false };
        let Reply::Error(text) = reply else {
            self.is_resp3 = true;
            return true;
        };
        complain(&format!("HELLO 3 failed: {}", lossy(&text)));
        self.options.resp3 == Resp3::Implied
    }

    /// Asks something of a new connection, which is gone if there is no reply.
    fn greet(&mut self, words: &[Vec<u8>]) -> Option<Reply> {
        let reply = self.link.as_mut()?.ask(words);
        if reply.is_err() {
            complain("\nI/O error");
            self.link = None;
        }
        reply.ok()
    }

    fn show_pushes(&mut self) {
        if self.options.shows_pushes {
            self.pushes = Pushes::Show;
        }
    }

    /// Carries out a command, `repeat` times or for ever, connecting first where that is needed.
    pub(crate) fn issue(&mut self, words: &[Vec<u8>], repeat: i64) -> Result {
        if self.link.is_none() && !self.connect(false) {
            return Err(Stop::Lost);
        }
        let done = self.repeat(words, repeat);
        if done == Err(Stop::Lost) {
            self.link = None;
        }
        done
    }

    fn repeat(&mut self, words: &[Vec<u8>], repeat: i64) -> Result {
        let is_text = format::is_text(words) && !self.in_multi;
        self.is_shutting_down |= is(words, &["shutdown"]);
        if is(words, &["sync", "psync"]) {
            complain("Replication is not built: SYNC and PSYNC lead nowhere.");
            return Err(Stop::Exit(1));
        }
        let mut left = repeat;
        while left != 0 && self.link.is_some() {
            left -= i64::from(left > 0);
            self.send(words)?;
            if is(words, &["monitor"]) {
                return self.monitor();
            }
            self.answer(words, is_text)?;
            thread::sleep(self.options.interval);
        }
        Ok(())
    }

    fn send(&mut self, words: &[Vec<u8>]) -> Result {
        let Some(link) = &mut self.link else { return Err(Stop::Lost) };
        match link.send(words) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(&Failure::Io(error)),
        }
    }

    /// Shows what the server does until it refuses or goes.
    fn monitor(&mut self) -> Result {
        while self.link.is_some() {
            self.show_reply(false)?;
            if self.last.as_ref().is_some_and(|reply| reply.error().is_some()) {
                break;
            }
        }
        Ok(())
    }

    /// Shows the reply, and all of them where SUBSCRIBE has one for each channel.
    fn answer(&mut self, words: &[Vec<u8>], is_text: bool) -> Result {
        let mut awaited = 0;
        if is(words, SUBSCRIBING) || is(words, UNSUBSCRIBING) {
            awaited = (words.len() - 1).max(1);
            self.pushes = Pushes::Take;
        }
        loop {
            self.show_reply(is_text)?;
            if !self.is_subscribed && awaited == 0 {
                break;
            }
            match self.count_subscriptions() {
                Some(what) if awaited > 0 && what.eq_ignore_ascii_case(&words[0]) => {
                    awaited -= 1;
                    if awaited == 0 {
                        break;
                    }
                }
                Some(_) => {}
                None if matches!(self.last, Some(Reply::Many(Kind::Push, _))) => {}
                None => break,
            }
        }
        self.follow(words);
        Ok(())
    }

    /// If the last reply is a message or a confirmation: its first word, after having counted.
    fn count_subscriptions(&mut self) -> Option<Vec<u8>> {
        let kind = if self.is_resp3 { Kind::Push } else { Kind::Array };
        let Some(Reply::Many(of, items)) = &self.last else { return None };
        let [Reply::Bulk(what), _, count, ..] = &items[..] else { return None };
        if *of != kind || !(what.ends_with(b"message") || what.ends_with(b"subscribe")) {
            return None;
        }
        if let (true, Reply::Integer(count)) = (what.ends_with(b"subscribe"), count) {
            let is_of_shards = matches!(&what[..], b"ssubscribe" | b"sunsubscribe");
            self.subscriptions[usize::from(is_of_shards)] = *count;
        }
        self.is_subscribed = self.subscriptions != [0; 2];
        Some(what.clone())
    }

    /// What a command that was carried out has changed for those that follow.
    fn follow(&mut self, words: &[Vec<u8>]) {
        let failed = self.last.as_ref().is_none_or(|reply| reply.error().is_some());
        let count = words.len();
        if count == 2 && is(words, &["select"]) && !failed {
            self.db = crate::words::leading_i32(&words[1]);
            self.options.db = self.db;
        } else if matches!(count, 2 | 3) && is(words, &["auth"]) {
            self.select();
        } else if count == 1 && is(words, &["multi"]) && !failed {
            self.in_multi = true;
            self.db_before_multi = self.db;
        } else if count == 1 && is(words, &["exec"]) && self.in_multi {
            self.leave_multi(failed || self.last == Some(Reply::Nil));
        } else if count == 1 && is(words, &["discard"]) && !failed {
            self.leave_multi(true);
        } else if count == 1 && is(words, &["reset"]) && !failed {
            self.reset();
        } else if is(words, &["hello"]) && !failed {
            self.is_resp3 = matches!(self.last, Some(Reply::Many(Kind::Map, _)));
        } else if (is(words, SUBSCRIBING) || is(words, UNSUBSCRIBING)) && !self.is_subscribed {
            self.show_pushes();
        }
    }

    fn leave_multi(&mut self, nothing_was_done: bool) {
        self.in_multi = false;
        if nothing_was_done {
            self.db = self.db_before_multi;
            self.options.db = self.db;
        }
    }

    fn reset(&mut self) {
        self.in_multi = false;
        self.db = 0;
        self.options.db = 0;
        self.is_resp3 = false;
        self.is_subscribed = false;
        self.subscriptions = [0; 2];
        self.show_pushes();
    }

    /// Messages, until the connection ends.
    pub(crate) fn listen(&mut self) -> Result {
        while self.is_subscribed && self.link.is_some() {
            self.show_reply(false)?;
        }
        Ok(())
    }

    /// Shows the next message and keeps count of what is subscribed to.
    pub(crate) fn message(&mut self) -> Result {
        self.show_reply(false)?;
        self.count_subscriptions();
        Ok(())
    }

    /// Waits for a reply and shows it.
    fn show_reply(&mut self, is_text: bool) -> Result {
        self.last = None;
        let reply = match self.next_reply()? {
            Ok(reply) => reply,
            Err(failure) => return self.fail(&failure),
        };
        if let (Some(text), true) =
            (reply.error(), self.options.fails_on_error && !self.is_interactive)
        {
            complain(&lossy(text));
            return Err(Stop::Exit(1));
        }
        let shown = match is_text {
            true => {
                let mut shown = Vec::new();
                format::raw(&mut shown, &reply, &self.options.delimiters.elements);
                shown
            }
            false => self.format(&reply),
        };
        self.last = Some(reply);
        self.say(&shown)
    }

    pub(crate) fn format(&self, reply: &Reply) -> Vec<u8> {
        format::format(reply, self.options.output, &self.options.delimiters)
    }

    /// The next one that somebody waits for.
    fn next_reply(&mut self) -> Result<std::result::Result<Reply, Failure>> {
        loop {
            let Some(link) = &mut self.link else { return Err(Stop::Lost) };
            let reply = link.replies.reply();
            match (&reply, self.pushes) {
                (Ok(Reply::Many(Kind::Push, _)), Pushes::Drop) => {}
                (Ok(push @ Reply::Many(Kind::Push, _)), Pushes::Show) => {
                    let shown = match self.options.output {
                        Output::Standard => format::invalidation(push),
                        _ => None,
                    };
                    let shown = shown.unwrap_or_else(|| self.format(push));
                    self.say(&shown)?;
                }
                _ => return Ok(reply),
            }
        }
    }

    /// What follows from a connection that has failed: nothing after SHUTDOWN, another connection at a
    /// prompt, the end elsewhere.
    fn fail(&mut self, failure: &Failure) -> Result {
        if self.is_shutting_down {
            self.link = None;
            return Ok(());
        }
        complain(&format!("Error: {}", text_of(failure)));
        let is_gone = match failure {
            Failure::Closed => true,
            Failure::Io(error) => {
                use io::ErrorKind::{BrokenPipe, ConnectionReset};
                matches!(error.kind(), ConnectionReset | BrokenPipe)
            }
            Failure::Protocol(_) => false,
        };
        Err(if self.is_interactive && is_gone { Stop::Lost } else { Stop::Exit(1) })
    }
}

const SUBSCRIBING: &[&str] = &["subscribe", "psubscribe", "ssubscribe"];
const UNSUBSCRIBING: &[&str] = &["unsubscribe", "punsubscribe", "sunsubscribe"];

/// Whether the command is one of those.
fn is(words: &[Vec<u8>], names: &[&str]) -> bool {
    names.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()))
}

pub(crate) fn text_of(failure: &Failure) -> String {
    match failure {
        Failure::Closed => "Server closed the connection".to_owned(),
        Failure::Io(error) => link::reason(error),
        Failure::Protocol(text) => text.clone(),
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A line on standard error.
pub(crate) fn complain(text: &str) {
    // Nobody else could be told.
    let _ = writeln!(io::stderr(), "{text}");
}
