//! `-u`: `redis://[[USER:]PASSWORD@]HOST[:PORT][/DB]`, `valkey://…`, `rediss://…` and `valkeys://…` by TLS,
//! and `unix://PATH`.

use crate::options::{End, Options};
use crate::words::{leading_i32, leading_int};

/// Sets what `uri` says.
pub(crate) fn parse(uri: &[u8], options: &mut Options) -> Result<(), End> {
    if let Some(path) = without(uri, b"unix://") {
        options.socket = Some(path.to_vec());
        return Ok(());
    }
    let secure = without(uri, b"rediss://").or_else(|| without(uri, b"valkeys://"));
    options.tls.is_on |= secure.is_some();
    let plain = || without(uri, b"redis://").or_else(|| without(uri, b"valkey://"));
    let rest = secure.or_else(plain);
    let rest = rest.ok_or_else(|| End::Wrong("Invalid URI scheme".to_owned()))?;
    let place = credentials(rest, options)?;
    let (place, db) = cut(place, b'/');
    if !place.is_empty() {
        host_and_port(place, options)?;
    }
    if let Some(db) = db.filter(|db| !db.is_empty()) {
        options.db = leading_i32(db);
    }
    Ok(())
}

fn without<'a>(uri: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = uri.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Takes user and password; what is behind them.
fn credentials<'a>(rest: &'a [u8], options: &mut Options) -> Result<&'a [u8], End> {
    let (who, Some(place)) = cut(rest, b'@') else { return Ok(rest) };
    let password = match cut(who, b':') {
        (user, Some(password)) => {
            options.user = Some(decoded(user)?);
            password
        }
        (password, None) => password,
    };
    options.password = Some(decoded(password)?);
    Ok(place)
}

fn host_and_port(place: &[u8], options: &mut Options) -> Result<(), End> {
    let (host, port) = match place.strip_prefix(b"[") {
        Some(place) => {
            let (host, behind) = cut(place, b']');
            (host, behind.and_then(|behind| behind.strip_prefix(b":")))
        }
        None => cut(place, b':'),
    };
    options.host = host.to_vec();
    if let Some(port) = port {
        let port = u16::try_from(leading_int(port));
        options.port = port.map_err(|_| End::Wrong("Invalid server port.".to_owned()))?;
    }
    Ok(())
}

/// What is before and behind the first `at`.
fn cut(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|&byte| byte == at) {
        Some(found) => (&bytes[..found], Some(&bytes[found + 1..])),
        None => (bytes, None),
    }
}

/// `%41` is `A`.
fn decoded(text: &[u8]) -> Result<Vec<u8>, End> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let Some((pair, behind)) = rest.split_at_checked(2) else {
            return Err(End::Wrong("Incomplete URI encoding".to_owned()));
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(End::Wrong("Illegal character in URI encoding".to_owned()));
        };
        out.push((high << 4 | low) as u8);
        rest = behind;
    }
    Ok(out)
}
