//! What these tests do to the booted appliance, and how they look at it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

pub(crate) use holdfast_tests::appliance::{Appliance, MEMORY_MIB};
use holdfast_tests::resp::encode_command;
use holdfast_tests::wait;
use serde_json::Value;

pub(crate) fn count(service: &Value, field: &str) -> u64 {
    service[field].as_u64().unwrap_or_else(|| panic!("no {field} in {service}"))
}

pub(crate) fn is_ready(service: &Value) -> bool {
    service["state"] == "ready"
}

/// `status` names that guarantee as missing.
pub(crate) fn is_degraded(status: &Value, code: &str) -> bool {
    status["degraded"].as_array().is_some_and(|all| all.iter().any(|each| each["code"] == code))
}

/// SETs values until that is refused, for twice the machine's memory at most; the last answer, which
/// is nothing when the server is gone.
pub(crate) fn fill(port: u16) -> Option<String> {
    let megabyte = "x".repeat(1 << 20);
    let mut answer = None;
    for key in 0..2 * MEMORY_MIB {
        answer = command(port, &["SET", &key.to_string(), &megabyte]);
        if answer.as_deref() != Some("+OK\r\n") {
            break;
        }
    }
    answer
}

/// The first line of a reply; nothing when the server is gone.
pub(crate) fn command(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(wait::PATIENCE)).ok()?;
    stream.write_all(&encode_command(words)).ok()?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).ok()?;
    (!reply.is_empty()).then_some(reply)
}
