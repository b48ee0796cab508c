//! What is asked of the agent: no line makes the parser panic, and what it accepts is what was said.

use holdfast_supervisor::console::{self, Typed};
use holdfast_supervisor::control::{
    Line, MAX_CONFIG_BYTES, MAX_LOG_LINES, MAX_REQUEST_BYTES, MAX_WAIT, Request,
};

use super::{Random, mutate};

/// What a parser of requests looks like.
pub type Parse = for<'a> fn(&'a [u8]) -> Option<Request<'a>>;

/// Checks what `parse` says of `line`; what is wrong with it otherwise.
pub fn check(parse: Parse, line: &[u8]) -> Result<(), String> {
    // Answers are read by the same rules on the other side.
    let _ = Line::parse(&String::from_utf8_lossy(line));
    check_typed(parse, line)?;
    let Some(request) = parse(line) else { return Ok(()) };
    let sound = line.len() < MAX_REQUEST_BYTES && is_bounded(&request);
    // With what was left out it may have become too long to be said.
    let said = said(&request);
    let again = said.len() >= MAX_REQUEST_BYTES || parse(said.as_bytes()) == Some(request);
    if sound && again { Ok(()) } else { Err(format!("{request:?} of {}", line.escape_ascii())) }
}

/// The same line at a console, as it is and with the word that makes it meant for us.
fn check_typed(parse: Parse, line: &[u8]) -> Result<(), String> {
    for typed in [line, &[b"holdfast ", line].concat()[..]] {
        let Typed::Ask(text) = console::read(typed) else { continue };
        let ours = typed.trim_ascii().starts_with(b"holdfast");
        let understood = match parse(text.as_bytes()) {
            Some(Request::Signal { .. } | Request::ConfigPut { .. } | Request::Save) | None => {
                false
            }
            Some(Request::Logs { follow, .. }) => !follow,
            Some(_) => true,
        };
        if !ours || !understood {
            return Err(format!("typed {}: {text:?}", typed.escape_ascii()));
        }
    }
    Ok(())
}

/// Numbers within their limits, names that are words, paths that are whole.
fn is_bounded(request: &Request) -> bool {
    let is_word = |name: &str| {
        let splits = |letter: char| letter.is_ascii_whitespace() || letter.is_control();
        !name.is_empty() && !name.contains(splits)
    };
    match *request {
        Request::Control { service, wait, .. } => is_word(service) && wait <= MAX_WAIT,
        Request::Logs { service, count, .. } => {
            service.is_none_or(is_word) && count <= MAX_LOG_LINES
        }
        Request::Verify { path } | Request::Restore { path } | Request::Update { path } => {
            path.starts_with('/') && !path.contains('\0')
        }
        Request::ConfigPut { bytes } => bytes <= MAX_CONFIG_BYTES,
        Request::UpdateFromKey { key, id } => is_word(key) && id.len() == 64,
        Request::Signal { service, signal } => is_word(service) && is_word(signal),
        _ => true,
    }
}

/// The request as a client would say it.
fn said(request: &Request) -> String {
    match *request {
        Request::Status { json: false } => "status".to_owned(),
        Request::Status { json: true } => "status json".to_owned(),
        Request::Control { order, service, wait } => {
            format!("{} {service} {}", order.word(), wait.as_secs())
        }
        Request::Logs { service, count, follow } => {
            let service = service.map(|service| format!(" {service}")).unwrap_or_default();
            format!("logs{service} {count}{}", if follow { " follow" } else { "" })
        }
        Request::Reload => "reload".to_owned(),
        Request::Backup => "backup".to_owned(),
        Request::Backups => "backups".to_owned(),
        Request::Save => "save".to_owned(),
        Request::Verify { path } => format!("verify {path}"),
        Request::Restore { path } => format!("restore {path}"),
        Request::Config => "config".to_owned(),
        Request::ConfigPut { bytes } => format!("config put {bytes}"),
        Request::ConfigReset => "config reset".to_owned(),
        Request::Certs { words } => format!("certs {words}"),
        Request::Update { path } => format!("update {path}"),
        Request::UpdateFromKey { key, id } => format!("update key {key} {id}"),
        Request::FactoryReset => "factory-reset yes".to_owned(),
        Request::Reboot => "reboot".to_owned(),
        Request::PowerOff => "poweroff".to_owned(),
        Request::Signal { service, signal } => format!("signal {service} {signal}"),
    }
}

const PIECES: [&[u8]; 33] = [
    b"holdfast",
    b"--json",
    b"--yes",
    b"-n",
    b"backup",
    b"--list",
    b"config",
    b"put",
    b"status",
    b"json",
    b"start",
    b"stop",
    b"restart",
    b"server",
    b"logs",
    b"follow",
    b"restore",
    b"/data/x.rdb",
    b"certs",
    b"update",
    b"key",
    b"5555555555555555555555555555555555555555555555555555555555555555",
    b"factory-reset",
    b"yes",
    b"signal",
    b" ",
    b"  ",
    b"\t",
    b"\0",
    b"60",
    b"3601",
    b"99999999999999999999",
    b"\xff",
];

/// Words in a row, or a seed, then changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    if !seeds.is_empty() && random.below(3) == 0 {
        line.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(5) {
        line.extend(random.one_of(&PIECES));
        line.push(b' ');
    }
    mutate(random, line, &PIECES)
}
