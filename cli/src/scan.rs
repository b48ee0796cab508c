//! `--scan`: the names of all keys, a line each.

use std::thread;

use crate::format::Output;
use crate::quote;
use crate::reply::{Kind, Reply};
use crate::session::{Result, Session, Stop, complain};

pub(crate) fn run(session: &mut Session) -> Result<u8> {
    session.connected()?;
    let mut cursor = b"0".to_vec();
    loop {
        let (next, keys) = page(session, &cursor)?;
        let mut out = Vec::new();
        for key in keys.iter().filter_map(Reply::text) {
            match session.options.output {
                Output::Standard => quote::quoted(&mut out, key),
                _ => out.extend_from_slice(key),
            }
            out.push(b'\n');
        }
        session.say(&out)?;
        thread::sleep(session.options.interval);
        if next == b"0" {
            return Ok(0);
        }
        cursor = next;
    }
}

/// Where to go on, and some keys.
fn page(session: &mut Session, cursor: &[u8]) -> Result<(Vec<u8>, Vec<Reply>)> {
    let words = words(session, cursor);
    let reply = session.link.as_mut().map(|link| link.ask(&words));
    let wrong = match reply {
        Some(Ok(Reply::Many(Kind::Array, items))) => match <[Reply; 2]>::try_from(items) {
            Ok([Reply::Bulk(next), Reply::Many(Kind::Array, keys)]) => return Ok((next, keys)),
            _ => "Invalid element count from SCAN!".to_owned(),
        },
        Some(Ok(Reply::Error(text))) => format!("SCAN error: {}", String::from_utf8_lossy(&text)),
        Some(Ok(_)) => "Non ARRAY response from SCAN!".to_owned(),
        Some(Err(_)) | None => "\nI/O error".to_owned(),
    };
    complain(&wrong);
    Err(Stop::Exit(1))
}

fn words(session: &Session, cursor: &[u8]) -> Vec<Vec<u8>> {
    let options = &session.options;
    let mut words = vec![b"SCAN".to_vec(), cursor.to_vec()];
    if let Some(pattern) = &options.pattern {
        words.extend([b"MATCH".to_vec(), pattern.clone()]);
    }
    words.extend([b"COUNT".to_vec(), options.count.to_string().into_bytes()]);
    if let Some(wanted) = &options.scanned_type {
        words.extend([b"TYPE".to_vec(), wanted.clone()]);
    }
    words
}
