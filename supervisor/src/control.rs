//! What may be asked of the agent over its local socket: one line, and the lines of its answer.
//!
//! ```text
//!  request   status [json]                          answered as it is, to the end of the stream
//!            start|stop|restart SERVICE [SECONDS]   everything else is answered in lines:
//!            logs [SERVICE] [COUNT] [follow]         ' ' text    a line for whoever asked
//!            reload · backup · backups · save        '+' text    the last: done
//!            verify PATH · restore PATH              '-' text    the last: not done, and why
//!            certs [WORDS]
//!            config · config reset
//!            config put BYTES                        and after the line so many bytes
//!            update PATH · update key KEY ID
//!            factory-reset yes · reboot · poweroff
//! ```
//!
//! A line is at most [`MAX_REQUEST_BYTES`] long and ends with a line feed. Only text is read here:
//! who may ask is the socket's business.

use std::time::Duration;

/// The longest path of a backup with a word before it.
pub const MAX_REQUEST_BYTES: usize = 512;
/// Lines of `logs` where no count is given, and at most.
pub const LOG_LINES: u16 = 100;
pub const MAX_LOG_LINES: u16 = 10_000;
/// How long `start`, `stop` and `restart` are waited for where nothing is said, and at most.
pub const WAIT: Duration = Duration::from_secs(60);
pub const MAX_WAIT: Duration = Duration::from_secs(3600);
/// Far more than a configuration needs.
pub const MAX_CONFIG_BYTES: u32 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    Status {
        json: bool,
    },
    Control {
        order: Order,
        service: &'a str,
        wait: Duration,
    },
    Logs {
        service: Option<&'a str>,
        count: u16,
        follow: bool,
    },
    Reload,
    /// A backup now, into the directory of backups.
    Backup,
    /// What backups there are.
    Backups,
    /// The server's own file, brought up to date; answered with its path.
    Save,
    Verify {
        path: &'a str,
    },
    Restore {
        path: &'a str,
    },
    /// The holdfast.toml that counts.
    Config,
    /// One for the data partition, which follows the line.
    ConfigPut {
        bytes: u32,
    },
    /// The image's counts again.
    ConfigReset,
    /// For the certificates' own part to read.
    Certs {
        words: &'a str,
    },
    /// For the other slot, from a file of the machine's,
    Update {
        path: &'a str,
    },
    /// or from a key of the server's, which must hold the one with this id.
    UpdateFromKey {
        key: &'a str,
        id: &'a str,
    },
    FactoryReset,
    Reboot,
    PowerOff,
    /// Answered by `test-hooks` builds only.
    Signal {
        service: &'a str,
        signal: &'a str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Start,
    Stop,
    Restart,
}

impl Order {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

impl<'a> Request<'a> {
    /// Of a line without its end; `None` for whatever is no request.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok().filter(|line| line.len() < MAX_REQUEST_BYTES)?;
        let line = line.trim_ascii();
        // What is asked for is named in answers and logs.
        if line.contains(|letter: char| letter.is_control() && letter != '\t') {
            return None;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_ascii();
        match verb {
            "verify" => return path(rest).map(|path| Self::Verify { path }),
            "restore" => return path(rest).map(|path| Self::Restore { path }),
            "certs" => return Some(Self::Certs { words: rest }),
            "update" if rest.starts_with('/') => {
                return path(rest).map(|path| Self::Update { path });
            }
            _ => {}
        }
        let mut words = rest.split_ascii_whitespace();
        let request = Self::of_words(verb, &mut words)?;
        words.next().is_none().then_some(request)
    }

    fn of_words(verb: &str, words: &mut Words<'a>) -> Option<Self> {
        Some(match verb {
            "status" => Self::Status { json: flag(words.next(), "json")? },
            "start" => Self::order(Order::Start, words)?,
            "stop" => Self::order(Order::Stop, words)?,
            "restart" => Self::order(Order::Restart, words)?,
            "logs" => Self::logs(words)?,
            "reload" => Self::Reload,
            "config" => Self::config(words)?,
            "backup" => Self::Backup,
            "backups" => Self::Backups,
            "save" => Self::Save,
            "factory-reset" if words.next() == Some("yes") => Self::FactoryReset,
            "update" if words.next() == Some("key") => {
                Self::UpdateFromKey { key: words.next()?, id: words.next().filter(is_id)? }
            }
            "reboot" => Self::Reboot,
            "poweroff" => Self::PowerOff,
            "signal" => Self::Signal { service: words.next()?, signal: words.next()? },
            _ => return None,
        })
    }

    fn order(order: Order, words: &mut Words<'a>) -> Option<Self> {
        let service = words.next()?;
        let wait = words.next().map_or(Some(WAIT), seconds)?;
        Some(Self::Control { order, service, wait })
    }

    fn config(words: &mut Words<'a>) -> Option<Self> {
        match words.next() {
            None => Some(Self::Config),
            Some("reset") => Some(Self::ConfigReset),
            Some("put") => {
                let bytes = words.next()?.parse().ok()?;
                (bytes <= MAX_CONFIG_BYTES).then_some(Self::ConfigPut { bytes })
            }
            Some(_) => None,
        }
    }

    /// A service's name begins with a letter, a count with a digit.
    fn logs(words: &mut Words<'a>) -> Option<Self> {
        let (mut service, mut count, mut follow) = (None, None, false);
        for word in words {
            match word {
                "follow" if !follow => follow = true,
                _ if word.starts_with(|first: char| first.is_ascii_digit()) && count.is_none() => {
                    count = Some(word.parse().ok().filter(|count| *count <= MAX_LOG_LINES)?);
                }
                _ if service.is_none() && count.is_none() && !follow => service = Some(word),
                _ => return None,
            }
        }
        Some(Self::Logs { service, count: count.unwrap_or(LOG_LINES), follow })
    }
}

type Words<'a> = std::str::SplitAsciiWhitespace<'a>;

/// Absent, or the one word it may be.
fn flag(word: Option<&str>, name: &str) -> Option<bool> {
    word.map_or(Some(false), |word| (word == name).then_some(true))
}

fn seconds(word: &str) -> Option<Duration> {
    let wait = Duration::from_secs(word.parse().ok()?);
    (wait <= MAX_WAIT).then_some(wait)
}

/// SHA-256 in lower-case hexadecimal, as the image tool prints it.
fn is_id(word: &&str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whole, so that nobody's working directory matters.
fn path(word: &str) -> Option<&str> {
    (word.starts_with('/') && !word.contains('\0')).then_some(word)
}

/// A line of an answer, with its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    Text(&'a str),
    Done(&'a str),
    Failed(&'a str),
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Option<Self> {
        let rest = line.get(1..)?;
        match line.as_bytes().first()? {
            b' ' => Some(Self::Text(rest)),
            b'+' => Some(Self::Done(rest)),
            b'-' => Some(Self::Failed(rest)),
            _ => None,
        }
    }

    pub fn is_last(self) -> bool {
        !matches!(self, Self::Text(_))
    }
}

impl std::fmt::Display for Line<'_> {
    /// A text of several lines stays one answer line each.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let (mark, text) = match self {
            Self::Text(text) => (' ', text),
            Self::Done(text) => ('+', text),
            Self::Failed(text) => ('-', text),
        };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { ' ' } else { mark };
            writeln!(f, "{mark}{line}")?;
        }
        if text.is_empty() { writeln!(f, "{mark}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
