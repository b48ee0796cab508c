//! What the agent reads: holdfast.toml, the packets of DHCP and time servers, certificates. No bytes
//! make a reader panic, and what it makes of them is what init takes, and bounded.

use std::str;

use agent_library::fuzz::Mistake;
use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::clock::BUILT_AT;
use holdfast_supervisor::plan::Plan;

use super::{Random, mutate};

/// What readers look like: of holdfast.toml,
pub type ReadConfig = fn(&str) -> Result<Plan, Vec<Mistake>>;
/// of a DHCP packet,
pub type Hear = fn(&[u8]) -> Option<ToInit>;
/// of a time server's answer, and when the query was sent and how long the answer took,
pub type Judge = fn(&[u8], sent_unix_us: i64, round_trip_us: u32) -> Option<(i64, i64)>;
/// and of certificates.
pub type Faults = fn(&[u8]) -> Vec<String>;

/// A plan is one that init takes as it is; mistakes have a place in the text.
pub fn check_config(read: ReadConfig, text: &[u8]) -> Result<(), String> {
    let Ok(text) = str::from_utf8(text) else { return Ok(()) };
    let mistakes = match read(text) {
        Ok(plan) => return check_told(ToInit::Plan(plan)),
        Err(mistakes) if mistakes.is_empty() => return Err(format!("no mistake: {text:?}")),
        Err(mistakes) => mistakes,
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let is_there = |(line, column, message): &Mistake| {
        let len = lines.get(line.wrapping_sub(1)).map_or(0, |line| line.chars().count() + 1);
        (1..=len).contains(column) && is_a_line(message)
    };
    match mistakes.iter().find(|mistake| !is_there(mistake)) {
        Some(mistake) => Err(format!("{mistake:?} of {text:?}")),
        None => Ok(()),
    }
}

/// What init is told of a lease is what it understands.
pub fn check_dhcp(hear: Hear, packet: &[u8]) -> Result<(), String> {
    let Some(told) = hear(packet) else { return Ok(()) };
    if let ToInit::Lease(lease) = &told {
        let good = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let names = [&lease.hostname, &lease.domain];
        if names.iter().any(|name| !name.chars().all(good)) || lease.network.prefix == 0 {
            return Err(format!("a lease that is none: {lease:?}"));
        }
    }
    check_told(told)
}

fn check_told(message: ToInit) -> Result<(), String> {
    let written = message.encode().ok_or(format!("too long to be told: {message:?}"))?;
    match ToInit::decode(&written) {
        Ok(again) if again == message => Ok(()),
        other => Err(format!("{message:?} comes to init as {other:?}")),
    }
}

/// A time that is believed is one at which this software exists. Behind the packet: when the query was
/// sent, and how long the answer took.
pub fn check_time(judge: Judge, bytes: &[u8]) -> Result<(), String> {
    const PACKET_BYTES: usize = 48;
    const SECOND_US: i64 = 1_000_000;
    const LATEST_US: i64 = (BUILT_AT + 41 * 366 * 86_400) * SECOND_US;
    let Some((packet, times)) = bytes.split_at_checked(PACKET_BYTES) else { return Ok(()) };
    let number = |at: usize| {
        times.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
    };
    let sent_us = i64::from(number(0).unwrap_or(0)) * 2 * SECOND_US;
    let round_trip_us = number(4).unwrap_or(0);
    let Some((offset_us, distance_us)) = judge(packet, sent_us, round_trip_us) else {
        return Ok(());
    };
    // Half of the way there and back may be what the clock is off.
    let true_us = sent_us + i64::from(round_trip_us) / 2 + offset_us;
    let exists = (BUILT_AT * SECOND_US - 1..LATEST_US).contains(&true_us);
    if exists && (0..=2 * SECOND_US).contains(&distance_us) {
        return Ok(());
    }
    Err(format!("{offset_us} us behind, give or take {distance_us}: {packet:x?} at {sent_us}"))
}

/// What is said of certificates is a line each, whatever is in them: as PEM, and as what is in PEM.
pub fn check_bundle(faults: Faults, bytes: &[u8]) -> Result<(), String> {
    for text in [bytes, &pem(bytes)] {
        if let Some(fault) = faults(text).iter().find(|fault| !is_a_line(fault)) {
            return Err(format!("{fault:?} of {}", text.escape_ascii()));
        }
    }
    Ok(())
}

fn is_a_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// A certificate of these bytes, and the seeds' key.
fn pem(der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const KEY: &str = include_str!("../../fuzz/seeds/certificates/key.pem");
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            let bits = bits << (8 * (3 - three.len()));
            let digits = [18, 12, 6, 0].map(|shift| DIGITS[bits >> shift & 63]);
            text.extend(&digits[..=three.len()]);
            text.extend(&b"=="[..3 - three.len()]);
        }
        text.push(b'\n');
    }
    text.extend(b"-----END CERTIFICATE-----\n");
    text.extend(KEY.as_bytes());
    text
}

const TOML: [&[u8]; 30] = [
    b"[server]\n",
    b"[server.limits]\n",
    b"[server.restart]\n",
    b"[server.probe]\n",
    b"[network]\n",
    b"[tls]\n",
    b"[logs]\n",
    b"[backup]\n",
    b"[time]\n",
    b"[status]\n",
    b"hostname = ",
    b"args = ",
    b"memory_max = ",
    b"memory_high = ",
    b"address = ",
    b"dns = ",
    b"gateway = ",
    b"every = ",
    b"\"64mb\"\n",
    b"\"85%\"\n",
    b"\"10.0.0.7/24\"\n",
    b"\"10.0.0.1\"\n",
    b"\"daily 03:00\"\n",
    b"[\"a\", \"\"]\n",
    b"-1\n",
    b"99999999999999999999\n",
    b"1.5e300\n",
    b"'''",
    b"\\u0000",
    b"\xc3\xa4",
];

/// Keys and values of all kinds, or a seed, changed in a few places.
pub fn generate_config(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    from_pieces(random, seeds, &TOML)
}

const OPTIONS: [&[u8]; 12] = [
    b"\x35\x01\x02",
    b"\x35\x01\x05",
    b"\x35\x01\x06",
    b"\x36\x04\x0a\0\0\x01",
    b"\x33\x04\0\0\x0e\x10",
    b"\x33\x04\xff\xff\xff\xff",
    b"\x01\x04\xff\xff\0\0",
    b"\x79\x09\x20\x0a\0\0\x01\0\0\0\0",
    b"\x79\x05\0\x0a\0\0\x01",
    b"\x0c\x03box",
    b"\x0f\x04\nlan",
    b"\xff",
];

/// A server's answer, changed in a few places.
pub fn generate_dhcp(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let start = seeds[random.below(seeds.len())].clone();
    mutate(random, start, &OPTIONS)
}

const TIMES: [&[u8]; 4] = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x24\x01"];

pub fn generate_time(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let start = seeds[random.below(seeds.len())].clone();
    mutate(random, start, &TIMES)
}

const MARKS: [&[u8]; 6] = [
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN X509 CRL-----\n",
    b"-----BEGIN PRIVATE KEY-----\n",
    b"\n",
    b"\x1b[2J",
];

/// Certificates as PEM or as DER, changed in a few places.
pub fn generate_bundle(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let start = seeds[random.below(seeds.len())].clone();
    mutate(random, start, &MARKS)
}

fn from_pieces(random: &mut Random, seeds: &[Vec<u8>], pieces: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::new();
    if !seeds.is_empty() && random.below(3) == 0 {
        text.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(12) {
        text.extend(random.one_of(pieces));
    }
    mutate(random, text, pieces)
}
