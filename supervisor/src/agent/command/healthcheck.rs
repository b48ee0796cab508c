//! `healthcheck`: for a container's HEALTHCHECK and for scripts. It asks the server itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::words::{Words, unknown};
use super::{Outcome, fail};
use crate::discover;
use crate::ping::{Answer, Endpoint, ping};

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_TIMEOUT_MS: u64 = 2_000;

pub(super) fn main(mut words: Words) -> Outcome {
    let mut endpoints = Vec::new();
    let mut timeout_ms = DEFAULT_TIMEOUT_MS;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--port" => endpoints.push(on_loopback(words.value()?)),
            "--socket" => endpoints.push(Endpoint::Unix(words.value()?)),
            "--timeout-ms" => timeout_ms = words.value()?,
            other => return Err(unknown(other)),
        }
    }
    if endpoints.is_empty() {
        endpoints.extend(discover::admin_sockets());
        endpoints.extend(discover::server_pid().map(discover::endpoints).unwrap_or_default());
    }
    if endpoints.is_empty() {
        endpoints.push(on_loopback(DEFAULT_PORT));
    }
    Ok(match ask_any(&endpoints, Duration::from_millis(timeout_ms)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("unhealthy: {message}")),
    })
}

fn on_loopback(port: u16) -> Endpoint {
    Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn ask_any(endpoints: &[Endpoint], timeout: Duration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut said = String::from("the server listens nowhere");
    for endpoint in endpoints {
        match runtime.block_on(ping(endpoint, timeout)) {
            Ok(Answer::Ready) => return Ok(()),
            Ok(Answer::Busy) => said = format!("{endpoint}: the server is loading or busy"),
            Err(error) => said = format!("{endpoint}: {error}"),
        }
    }
    Err(said)
}
