//! Asking the agent of a running appliance over the port that `run` forwards to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::paths;

const LIMIT: Duration = Duration::from_secs(3);

/// No answer of the agent is longer.
const LONGEST: u64 = 1024 * 1024;

/// Sends one request line; the reply, whole.
pub fn ask(port: u16, request: &str) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut reply = String::new();
        stream.take(LONGEST).read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply = talk().with_context(|| format!("the agent does not answer on {address}"))?;
    if reply.is_empty() {
        bail!("the agent hung up on {address} without a word");
    }
    Ok(reply)
}

/// Remembers where the agent of the appliance on `port` is; forgets it when dropped.
#[derive(Debug)]
pub struct Note(PathBuf);

impl Note {
    pub fn leave(port: u16, status_port: u16) -> Result<Self> {
        let path = path(port)?;
        paths::write_atomically(&path, status_port.to_string().as_bytes())?;
        Ok(Self(path))
    }

    /// The agent's port of the appliance that `run` serves on `port`.
    pub fn find(port: u16) -> Result<u16> {
        let Ok(text) = fs::read_to_string(path(port)?) else {
            bail!("no appliance runs on port {port}: `cargo image run --port {port}` starts one")
        };
        text.trim().parse().context("the note that `run` left is damaged: start it again")
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn path(port: u16) -> Result<PathBuf> {
    Ok(paths::scratch()?.join(format!("run-{port}.status")))
}
