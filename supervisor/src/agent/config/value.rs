//! What each kind of value may be, and what is said when it is not.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_supervisor::machine::Restart;
use holdfast_supervisor::plan::{Args, HostName, Memory, Name, text as bounded};
use toml::de::DeValue;

use super::{NetworkMode, Target};
use crate::backup::Every;

pub(super) fn text<'v>(value: &'v DeValue) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, not a {}", value.type_str()))
}

pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&DeValue) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let digits = value
            .as_integer()
            .ok_or_else(|| format!("must be a whole number, not a {}", value.type_str()))?;
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            format!("must be from {} to {}, not {}", range.start(), range.end(), digits.as_str())
        })
    }
}

pub(super) fn switch(value: &DeValue) -> Result<bool, String> {
    let wrong = || format!("must be true or false, not a {}", value.type_str());
    value.as_bool().ok_or_else(wrong)
}

pub(super) fn hostname(value: &DeValue) -> Result<HostName, String> {
    let name = text(value)?;
    let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) {
        return Err("must be 1 to 63 letters, digits, '-' or '.'".to_owned());
    }
    Ok(bounded(name))
}

pub(super) fn device(value: &DeValue) -> Result<Name, String> {
    let name = text(value)?;
    if name.len() > 15 || name.contains(['/', ' ']) {
        return Err("must be an interface name of at most 15 bytes".to_owned());
    }
    Ok(bounded(name))
}

pub(super) fn args(value: &DeValue) -> Result<Args, String> {
    let words = value
        .as_array()
        .ok_or_else(|| format!("must be a list of strings, not a {}", value.type_str()))?;
    let mut args = Args::new();
    for word in words.iter() {
        let word = text(word.get_ref()).map_err(|why| format!("every argument {why}"))?;
        args.push(word.as_bytes()).map_err(|malformed| malformed.0.to_owned())?;
    }
    Ok(args)
}

pub(super) fn restart(value: &DeValue) -> Result<Restart, String> {
    match text(value)? {
        "always" => Ok(Restart::Always),
        "on-crash" => Ok(Restart::OnCrash),
        "never" => Ok(Restart::Never),
        other => Err(format!("must be \"always\", \"on-crash\" or \"never\", not \"{other}\"")),
    }
}

/// `"none"`, `"85%"`, or bytes with the units of redis.conf: `"64mb"`.
pub(super) fn memory(value: &DeValue) -> Result<Memory, String> {
    let amount = text(value)?;
    parse_memory(amount).ok_or_else(|| {
        format!(
            "must be \"none\", a percentage like \"85%\" or bytes like \"64mb\", not \"{amount}\""
        )
    })
}

fn parse_memory(amount: &str) -> Option<Memory> {
    if amount == "none" {
        return Some(Memory::Unlimited);
    }
    if let Some(percent) = amount.strip_suffix('%') {
        let percent = percent.trim().parse().ok().filter(|percent| (1..=100).contains(percent));
        return percent.map(Memory::Percent);
    }
    let digits = amount.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match amount[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Memory::Bytes)
}

/// Up to eight, as the plan has room for.
pub(super) fn exit_codes(value: &DeValue) -> Result<[u8; 8], String> {
    let wrong = || "must be a list of at most eight exit statuses from 1 to 255".to_owned();
    let given = value.as_array().ok_or_else(wrong)?;
    let mut codes = [0; 8];
    for (at, code) in given.iter().enumerate() {
        *codes.get_mut(at).ok_or_else(wrong)? =
            number(1..=255)(code.get_ref()).map_err(|_| wrong())?;
    }
    Ok(codes)
}

/// Milliseconds up to an hour, and at least `least`; 0 is no bound.
pub(super) fn bound_ms(least: u32) -> impl Fn(&DeValue) -> Result<u32, String> {
    move |value| match number(0..=3_600_000)(value)? {
        ms if ms == 0 || ms >= least => Ok(ms),
        ms => Err(format!("must be 0 or at least {least}, not {ms}")),
    }
}

/// Per second: `"none"`, which is 0, or bytes like `"10mb"`.
pub(super) fn rate(value: &DeValue) -> Result<u64, String> {
    let amount = text(value)?;
    match parse_memory(amount) {
        Some(Memory::Unlimited) => Ok(0),
        Some(Memory::Bytes(bytes @ 4_096..)) => Ok(bytes),
        _ => Err(format!("must be \"none\" or from \"4kb\" up, not \"{amount}\"")),
    }
}

/// Of a file: bytes like `"1mb"`.
pub(super) fn size(value: &DeValue) -> Result<u64, String> {
    let amount = text(value)?;
    match parse_memory(amount) {
        Some(Memory::Bytes(bytes @ 4_096..=1_073_741_824)) => Ok(bytes),
        _ => Err(format!("must be from \"4kb\" to \"1gb\", not \"{amount}\"")),
    }
}

pub(super) fn network_mode(value: &DeValue) -> Result<NetworkMode, String> {
    match text(value)? {
        "dhcp" => Ok(NetworkMode::Dhcp),
        "static" => Ok(NetworkMode::Static),
        "off" => Ok(NetworkMode::Off),
        other => Err(format!("must be \"dhcp\", \"static\" or \"off\", not \"{other}\"")),
    }
}

pub(super) fn ipv6(value: &DeValue) -> Result<bool, String> {
    match text(value)? {
        "auto" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("must be \"auto\" or \"off\", not \"{other}\"")),
    }
}

/// `"192.168.1.10/24"`.
pub(super) fn address(value: &DeValue) -> Result<(Ipv4Addr, u8), String> {
    let given = text(value)?;
    let parsed = given.split_once('/').and_then(|(address, prefix)| {
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        Some((address.parse().ok()?, prefix))
    });
    parsed.ok_or_else(|| format!("must be like \"192.168.1.10/24\", not \"{given}\""))
}

pub(super) fn gateway(value: &DeValue) -> Result<Option<Ipv4Addr>, String> {
    let given = text(value)?;
    given.parse().map(Some).map_err(|_| format!("must be an IPv4 address, not \"{given}\""))
}

pub(super) fn dns(value: &DeValue) -> Result<[Option<Ipv4Addr>; 2], String> {
    let wrong = || "must be a list of at most two IPv4 addresses".to_owned();
    let given = value.as_array().ok_or_else(wrong)?;
    let mut servers = [None; 2];
    for (at, server) in given.iter().enumerate() {
        *servers.get_mut(at).ok_or_else(wrong)? = gateway(server.get_ref())?;
    }
    Ok(servers)
}

/// Names or addresses of at most eight servers.
pub(super) fn servers(value: &DeValue) -> Result<Vec<String>, String> {
    const MAX_SERVERS: usize = 8;
    let wrong = || format!("must be a list of at most {MAX_SERVERS} host names or addresses");
    let list = value.as_array().filter(|list| list.len() <= MAX_SERVERS).ok_or_else(wrong)?;
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    let names = list.iter().map(|name| text(name.get_ref()));
    names
        .map(|name| match name? {
            name if !name.is_empty() && name.len() <= 253 && name.chars().all(good) => {
                Ok(name.to_owned())
            }
            _ => Err(wrong()),
        })
        .collect()
}

pub(super) fn listen(value: &DeValue) -> Result<Option<SocketAddr>, String> {
    match text(value)? {
        "none" => Ok(None),
        given => given
            .parse()
            .map(Some)
            .map_err(|_| format!("must be \"none\" or like \"127.0.0.1:9378\", not \"{given}\"")),
    }
}

/// `"auto"`, `"off"`, or a time like `"24h"`, from a second to a year.
pub(super) fn every(value: &DeValue) -> Result<Every, String> {
    let given = text(value)?;
    match given {
        "auto" => Ok(Every::Auto),
        "off" => Ok(Every::Off),
        _ => parse_period(given).map(Every::Period).ok_or_else(|| {
            format!("must be \"auto\", \"off\" or from \"1s\" to \"365d\", like \"24h\", not \"{given}\"")
        }),
    }
}

fn parse_period(given: &str) -> Option<Duration> {
    let unit: u64 = match given.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let seconds = given.get(..given.len() - 1)?.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=365 * 86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

pub(super) fn directory(value: &DeValue) -> Result<PathBuf, String> {
    let given = text(value)?;
    let good = given.starts_with('/') && !given.contains('\0');
    good.then(|| given.into()).ok_or_else(|| format!("must begin with '/', not \"{given}\""))
}

pub(super) fn target(value: &DeValue) -> Result<Target, String> {
    let given = text(value)?;
    if given == "auto" {
        return Ok(Target::Auto);
    }
    if let Some(path) = given.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
        return Ok(Target::Unix(path.into()));
    }
    given.parse().map(Target::Tcp).map_err(|_| {
        format!("must be \"auto\", like \"127.0.0.1:6379\" or like \"unix:/run/x.sock\", not \"{given}\"")
    })
}
