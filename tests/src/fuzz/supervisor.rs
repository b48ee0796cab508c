//! What PID 1 reads: the agent's messages with the plan in them, and services' notices. No bytes make
//! a reader panic, and what it understands is what it would write.

use holdfast_supervisor::channel::{ToAgent, ToInit};
use holdfast_supervisor::notify::{Descriptors, Notice};
use holdfast_supervisor::plan::Plan;

use super::{Random, mutate};

/// What a reader of the agent's messages looks like.
pub type Decode = fn(&[u8]) -> Option<ToInit>;
/// What a reader of notices looks like.
pub type Parse = fn(&[u8]) -> Notice;

pub fn channel(bytes: &[u8]) -> Option<ToInit> {
    ToInit::decode(bytes).ok()
}

/// A message that is understood is written as something that is understood the same. (Not as the
/// same bytes: an absent field may carry any.)
pub fn check_channel(decode: Decode, bytes: &[u8]) -> Result<(), String> {
    let _ = ToAgent::decode(bytes);
    let Some(message) = decode(bytes) else { return Ok(()) };
    let written = message.encode().ok_or(format!("too long to be written: {message:?}"))?;
    match ToInit::decode(&written) {
        Ok(again) if again == message => Ok(()),
        other => Err(format!("{message:?} comes back as {other:?}")),
    }
}

/// Whatever a notice says is safe to show and to hand to the next run.
pub fn check_notice(parse: Parse, bytes: &[u8]) -> Result<(), String> {
    let notice = parse(bytes);
    let shown = notice.status.as_deref().unwrap_or_default();
    if shown.chars().any(char::is_control) {
        return Err(format!("a status that moves cursors: {shown:?} of {bytes:?}"));
    }
    if let Some(Descriptors::Store(name) | Descriptors::Remove(name)) = &notice.descriptors
        && (name.is_empty() || name.contains(':') || !name.is_ascii())
    {
        return Err(format!("a name that LISTEN_FDNAMES cannot carry: {name:?} of {bytes:?}"));
    }
    match notice.main_pid {
        Some(..=1) => Err(format!("PID 1 as a service's main process: {bytes:?}")),
        _ => Ok(()),
    }
}

/// A message of some kind; every other plan gets the checksum that its bytes should have.
pub fn generate_channel(random: &mut Random) -> Vec<u8> {
    let plan = ToInit::Plan(Plan::built_in()).encode().unwrap_or_default();
    let kind = random.below(20) as u8;
    let tail: Vec<u8> = (0..random.below(80)).map(|_| random.number() as u8).collect();
    let bytes = match random.below(3) {
        0 => [&[kind][..], &tail].concat(),
        _ => mutate(random, plan.to_vec(), &[b"\0", b"\xff\xff\xff\xff", b"HFPL", b"/"]),
    };
    if random.below(2) == 0 { seal(bytes) } else { bytes }
}

/// With the checksum that a plan of these bytes should have.
pub fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > 5 {
        let body = bytes.len() - 4;
        let sum = crc32fast::hash(&bytes[1..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&sum);
    }
    bytes
}

pub fn generate_notice(random: &mut Random) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"READY=1\n",
        b"STATUS=",
        b"FDSTORE=1\n",
        b"FDNAME=",
        b"FDSTOREREMOVE=1\n",
        b"MAINPID=1\n",
        b"MAINPID=",
        b"EXTEND_TIMEOUT_USEC=18446744073709551615\n",
        b"WATCHDOG=1\n",
        b"\x1b[2J",
        b"a:b",
        b"\n",
    ];
    let start: Vec<u8> =
        (0..random.below(6)).flat_map(|_| random.one_of(&PIECES).to_vec()).collect();
    mutate(random, start, &PIECES)
}
