//! Checks on single values beyond their kind and range, with Redis' error texts.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::directives::{SHUTDOWN_NOSAVE, SHUTDOWN_SAVE};
use super::proc_title;
use super::value::Value;

type Checked = Result<Value, &'static str>;

/// Passes a text on when `check` finds nothing wrong with it.
fn text(value: Value, check: impl Fn(&[u8]) -> Result<(), &'static str>) -> Checked {
    if let Value::Text(text) = &value {
        check(text)?;
    }
    Ok(value)
}

fn ensure(holds: bool, error: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(error) }
}

fn is_base_name(name: &[u8]) -> bool {
    !name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

pub(super) fn db_filename(value: Value) -> Checked {
    text(value, |name| {
        ensure(!name.is_empty(), "dbfilename can't be empty")?;
        ensure(is_base_name(name), "dbfilename can't be a path, just a filename")
    })
}

pub(super) fn append_filename(value: Value) -> Checked {
    text(value, |name| {
        ensure(!name.is_empty(), "appendfilename can't be empty")?;
        ensure(is_base_name(name), "appendfilename can't be a path, just a filename")
    })
}

pub(super) fn append_dirname(value: Value) -> Checked {
    text(value, |name| {
        ensure(!name.is_empty(), "appenddirname can't be empty")?;
        ensure(is_base_name(name), "appenddirname can't be a path, just a dirname")
    })
}

pub(super) fn cluster_config_file(value: Value) -> Checked {
    text(value, |name| ensure(!name.is_empty(), "cluster-config-file can't be empty"))
}

/// A frequency out of range is a hint gone too far, not an error.
pub(super) fn hz(value: Value) -> Checked {
    Ok(match value {
        Value::Int(hz) => Value::Int(hz.clamp(1, 500)),
        other => other,
    })
}

pub(super) fn hash_seed(value: Value) -> Checked {
    text(value, |seed| {
        ensure(seed.len() <= 256, "hash-seed must be less than or equal to 256 characters")
    })
}

pub(super) fn shutdown_flags(value: Value) -> Checked {
    let both = SHUTDOWN_SAVE | SHUTDOWN_NOSAVE;
    match value {
        Value::Choice(flags) if flags & both == both => {
            Err("shutdown options SAVE and NOSAVE can't be used simultaneously")
        }
        value => Ok(value),
    }
}

/// Without the characters that mean something in nodes.conf.
fn fits_nodes_conf(text: &[u8]) -> bool {
    let breaks = |byte: &u8| *byte <= b',' || *byte == 0x7f || b";<=>?@[]^{|}~\\".contains(byte);
    !text.iter().any(breaks)
}

pub(super) fn announced_ip(value: Value) -> Checked {
    text(value, |ip| {
        ensure(ip.len() < 46, "cluster-announce-ip is too long")?;
        ensure(fits_nodes_conf(ip), "cluster-announce-ip contains invalid character")
    })
}

pub(super) fn announced_node_name(value: Value) -> Checked {
    text(value, |name| {
        ensure(fits_nodes_conf(name), "Announced human node name contained invalid character")
    })
}

pub(super) fn announced_hostname(value: Value) -> Checked {
    text(value, |name| {
        ensure(name.len() < 256, "Hostnames must be less than 256 characters")?;
        ensure(
            name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')),
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        )
    })
}

fn parses<T: std::str::FromStr>(text: &[u8]) -> bool {
    text.is_empty() || std::str::from_utf8(text).is_ok_and(|text| text.parse::<T>().is_ok())
}

pub(super) fn ipv4(value: Value) -> Checked {
    text(value, |ip| ensure(parses::<Ipv4Addr>(ip), "Invalid IPv4 address"))
}

pub(super) fn ipv6(value: Value) -> Checked {
    text(value, |ip| ensure(parses::<Ipv6Addr>(ip), "Invalid IPv6 address"))
}

/// A template has to name known variables and to show something even where they are empty.
pub(super) fn proc_title_template(value: Value) -> Checked {
    let sample = |name: &str| match name {
        "title" | "server-mode" | "unixsocket" => Some(String::new()),
        name => proc_title::VARIABLES.contains(&name).then(|| name.to_owned()),
    };
    text(value, |template| {
        let title = proc_title::expand(template, sample);
        ensure(
            title.is_some_and(|title| !title.is_empty()),
            "template format is invalid or contains unknown variables",
        )
    })
}
