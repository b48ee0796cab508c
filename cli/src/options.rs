//! The options before the command, and the environment: what redis-cli and valkey-cli know.
//!
//! What is known but not built ends the program with one line that says so ([`NOT_BUILT`]).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::format::{Delimiters, Output};
use crate::name::Name;
use crate::tls::TlsOptions;
use crate::uri;
use crate::usage;
use crate::words::{leading_float, leading_i32, leading_int, unquoted};

/// Options of the originals that this one refuses, and what for.
const NOT_BUILT: &[(&[&str], &str)] = &[
    (&["--replica", "--slave", "--rdb", "--functions-rdb"], "the server has no replication"),
    (&["--cluster"], "the server has no cluster"),
    (&["--eval", "--ldb", "--ldb-sync-mode"], "the server has no scripting"),
    (
        &[
            "--stat",
            "--latency",
            "--latency-history",
            "--latency-dist",
            "--lru-test",
            "--intrinsic-latency",
            "--bigkeys",
            "--memkeys",
            "--memkeys-samples",
            "--hotkeys",
            "--hotkeys-count",
        ],
        "the client of Redis or Valkey has it, and works with this server",
    ),
];

/// The warning that goes with a password among the arguments.
const UNSAFE_PASSWORD: &str = "Warning: Using a password with '-a' or '-u' option on the command \
                               line interface may not be safe.";

/// Seconds without a reply after which `--pipe` gives up.
const PIPE_TIMEOUT: i32 = 30;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: Name,
    pub(crate) host: Vec<u8>,
    pub(crate) port: u16,
    /// A unix socket, instead of host and port.
    pub(crate) socket: Option<Vec<u8>>,
    pub(crate) tls: TlsOptions,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) asks_password: bool,
    pub(crate) db: i32,
    /// Negative: for ever.
    pub(crate) repeat: i64,
    pub(crate) interval: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) prefers_ipv6: bool,
    pub(crate) output: Output,
    pub(crate) delimiters: Delimiters,
    pub(crate) resp3: Resp3,
    pub(crate) shows_pushes: bool,
    pub(crate) input: Input,
    pub(crate) is_quoted: bool,
    pub(crate) fails_on_error: bool,
    pub(crate) mode: Mode,
    pub(crate) pipe_timeout: i32,
    pub(crate) pattern: Option<Vec<u8>>,
    pub(crate) count: i32,
    pub(crate) scanned_type: Option<Vec<u8>>,
    /// To be written to standard error.
    pub(crate) warnings: Vec<String>,
    no_auth_warning: bool,
    resp2: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resp3 {
    No,
    /// An output form wants it; a server without it will do.
    Implied,
    Asked,
}

/// What standard input is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Commands,
    LastArgument,
    /// The argument that is this word.
    Tag(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Commands,
    Pipe,
    Scan,
}

/// Why the program ends before it has begun.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// What was asked for, on standard output.
    Said(String),
    /// What is wrong, on standard error.
    Wrong(String),
}

/// The options, and the words behind them. On a terminal replies are shown for people.
pub(crate) fn parse(
    name: Name,
    args: &[Vec<u8>],
    on_terminal: bool,
) -> Result<(Options, &[Vec<u8>]), End> {
    let mut options = Options::new(name, on_terminal);
    let mut rest = args;
    while let [word, behind @ ..] = rest {
        if options.flag(word)? {
            rest = behind;
            continue;
        }
        match behind {
            [value, behind @ ..] if options.valued(word, value)? => rest = behind,
            _ if word == b"-h" => return Err(End::Said(usage::text(name))),
            _ if word.starts_with(b"-") => return Err(unrecognized(word)),
            _ => break,
        }
    }
    options.check()?;
    Ok((options, rest))
}

fn unrecognized(word: &[u8]) -> End {
    let word = String::from_utf8_lossy(word);
    End::Wrong(format!("Unrecognized option or bad number of args for: '{word}'"))
}

fn wrong<T>(text: &str) -> Result<T, End> {
    Err(End::Wrong(text.to_owned()))
}

impl Options {
    fn new(name: Name, on_terminal: bool) -> Self {
        Self {
            name,
            host: b"127.0.0.1".to_vec(),
            port: 6379,
            socket: None,
            tls: TlsOptions::default(),
            user: None,
            password: None,
            asks_password: false,
            db: 0,
            repeat: 1,
            interval: Duration::ZERO,
            connect_timeout: None,
            prefers_ipv6: false,
            output: if on_terminal { Output::Standard } else { Output::Raw },
            delimiters: Delimiters { elements: b"\n".to_vec(), replies: b"\n".to_vec() },
            resp3: Resp3::No,
            shows_pushes: on_terminal,
            input: Input::Commands,
            is_quoted: false,
            fails_on_error: false,
            mode: Mode::Commands,
            pipe_timeout: PIPE_TIMEOUT,
            pattern: None,
            count: 10,
            scanned_type: None,
            warnings: Vec::new(),
            no_auth_warning: false,
            resp2: false,
        }
    }

    /// An option without a value; whether it is one.
    fn flag(&mut self, word: &[u8]) -> Result<bool, End> {
        match word {
            b"--help" => return Err(End::Said(usage::text(self.name))),
            b"-v" | b"--version" => {
                return Err(End::Said(format!("{} {}\n", self.name.tool, self.name.version)));
            }
            b"-x" => match self.input {
                Input::Tag(_) => return wrong("Options -x and -X are mutually exclusive."),
                _ => self.input = Input::LastArgument,
            },
            b"--no-auth-warning" => self.no_auth_warning = true,
            b"--askpass" => self.asks_password = true,
            b"--raw" => self.output = Output::Raw,
            b"--no-raw" => self.output = Output::Standard,
            b"--quoted-input" => self.is_quoted = true,
            b"--csv" => self.output = Output::Csv,
            b"--json" => self.json(Output::Json),
            b"--quoted-json" => self.json(Output::QuotedJson),
            b"--scan" => self.mode = Mode::Scan,
            b"--pipe" => self.mode = Mode::Pipe,
            b"-e" => self.fails_on_error = true,
            b"-2" => self.resp2 = true,
            b"-3" => self.resp3 = Resp3::Asked,
            b"-4" => self.prefers_ipv6 = false,
            b"-6" => self.prefers_ipv6 = true,
            b"--tls" => self.tls.is_on = true,
            b"--insecure" => self.tls.is_insecure = true,
            // One node redirects nobody.
            b"-c" | b"--verbose" => {}
            _ => return self.not_built(word),
        }
        Ok(true)
    }

    fn not_built(&self, word: &[u8]) -> Result<bool, End> {
        for (options, why) in NOT_BUILT {
            if let Some(option) = options.iter().find(|option| option.as_bytes() == word) {
                let tool = self.name.tool;
                return Err(End::Wrong(format!("{option} is not built into this {tool}: {why}.")));
            }
        }
        Ok(false)
    }

    /// An option with a value; whether it is one.
    fn valued(&mut self, word: &[u8], value: &[u8]) -> Result<bool, End> {
        let own = || value.to_vec();
        match word {
            b"-h" => self.host = own(),
            b"-p" => self.port = port(value)?,
            b"-s" => self.socket = Some(own()),
            b"-t" => self.connect_timeout = timeout(value)?,
            b"-r" => self.repeat = leading_int(value),
            b"-i" => self.interval = seconds(leading_float(value)),
            b"-n" => self.db = leading_i32(value),
            b"-a" | b"--pass" => self.password = Some(own()),
            b"--user" => self.user = Some(own()),
            b"-u" => uri::parse(value, self)?,
            b"-d" => self.delimiters.elements = own(),
            b"-D" => self.delimiters.replies = own(),
            b"-X" => match self.input {
                Input::LastArgument => {
                    return wrong("Options -x and -X are mutually exclusive.");
                }
                _ => self.input = Input::Tag(own()),
            },
            b"--pattern" => self.pattern = Some(own()),
            b"--quoted-pattern" => match unquoted(value) {
                Some(pattern) => self.pattern = Some(pattern),
                None => return wrong("Invalid quoted string specified for --quoted-pattern."),
            },
            b"--count" => self.count = leading_i32(value),
            b"--type" => self.scanned_type = Some(own()),
            b"--pipe-timeout" => self.pipe_timeout = leading_i32(value),
            b"--show-pushes" => self.show_pushes(value),
            _ => return Ok(self.valued_of_tls(word, value)),
        }
        Ok(true)
    }

    fn valued_of_tls(&mut self, word: &[u8], value: &[u8]) -> bool {
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        let path = || Some(PathBuf::from(OsString::from_vec(value.to_vec())));
        let tls = &mut self.tls;
        match word {
            b"--sni" => tls.sni = text(),
            b"--cacert" => tls.ca_file = path(),
            b"--cacertdir" => tls.ca_dir = path(),
            b"--cert" => tls.cert_file = path(),
            b"--key" => tls.key_file = path(),
            b"--tls-ciphers" => tls.ciphers = text(),
            b"--tls-ciphersuites" => tls.ciphersuites = text(),
            _ => return false,
        }
        true
    }

    fn json(&mut self, output: Output) {
        self.output = output;
        if self.resp3 == Resp3::No {
            self.resp3 = Resp3::Implied;
        }
    }

    fn show_pushes(&mut self, value: &[u8]) {
        match value.first().map(u8::to_ascii_lowercase) {
            Some(b'y') => self.shows_pushes = true,
            Some(b'n') => self.shows_pushes = false,
            _ => self.warnings.push(format!(
                "Unknown --show-pushes value '{}' (valid: '[y]es', '[n]o')",
                String::from_utf8_lossy(value)
            )),
        }
    }

    /// What only all options together tell.
    fn check(&mut self) -> Result<(), End> {
        if self.resp2 && self.resp3 == Resp3::Asked {
            return wrong("Options -2 and -3 are mutually exclusive.");
        }
        if self.resp2 {
            self.resp3 = Resp3::No;
        }
        if self.password.is_some() && !self.no_auth_warning {
            self.warnings.push(UNSAFE_PASSWORD.to_owned());
        }
        Ok(())
    }

    /// The password of the environment, where the arguments have none.
    pub(crate) fn take_password(&mut self, from_environment: &dyn Fn(&str) -> Option<Vec<u8>>) {
        if self.password.is_none() {
            let names = ["VALKEYCLI_AUTH", "REDISCLI_AUTH"];
            self.password = names.into_iter().find_map(from_environment);
        }
    }
}

fn port(value: &[u8]) -> Result<u16, End> {
    match u16::try_from(leading_int(value)) {
        Ok(0) if value != b"0" => wrong("Invalid server port."),
        Ok(port) => Ok(port),
        Err(_) => wrong("Invalid server port."),
    }
}

/// `None` waits as long as the system does.
fn timeout(value: &[u8]) -> Result<Option<Duration>, End> {
    let value = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
    let timeout = value.and_then(|value| Duration::try_from_secs_f64(value).ok());
    match timeout {
        Some(timeout) => Ok(Some(timeout).filter(|timeout| !timeout.is_zero())),
        None => wrong("Invalid connection timeout for -t."),
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
