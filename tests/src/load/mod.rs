//! A load generator that costs much less than the server it drives.
//!
//! Requests are encoded beforehand and of the replies only the lines are counted, so a client core
//! that sends to many connections keeps a server core busy. One thread: it writes a batch to each
//! connection in turn, then reads each one's replies, so every connection has a batch outstanding.

pub mod commands;
pub mod sample;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::resp::encode_command;
use commands::{Command, KEYS, Reply};

/// Connections driven at once, as redis-benchmark does by default.
pub const CONNECTIONS: usize = 50;

/// How much of the replies is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Requests that lie ready, at most.
const PREPARED_BYTES: usize = 64 << 20;

/// Connections to one server, with requests ready to be sent.
#[derive(Debug)]
pub struct Load {
    streams: Vec<TcpStream>,
    batches: Vec<Vec<u8>>,
    next: usize,
    reply: Reply,
    depth: usize,
    buffer: Vec<u8>,
}

impl Load {
    /// Prepares batches of `depth` requests of `command`, over all keys in a scattered order.
    pub fn prepare(address: SocketAddr, command: &Command, depth: usize) -> io::Result<Self> {
        let connect = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let streams = (0..command.connections).map(connect).collect::<io::Result<_>>()?;
        let request = |nth| encode_command(&(command.request)(nth));
        let batch = |index: usize| -> Vec<u8> {
            (index * depth..(index + 1) * depth).flat_map(request).collect()
        };
        // Twice round the keys: what is sent the second time differs where the command can tell.
        let most = PREPARED_BYTES / batch(0).len();
        let batches = (0..(2 * KEYS / depth).min(most)).map(batch).collect();
        let buffer = vec![0; READ_BYTES];
        Ok(Self { streams, batches, next: 0, reply: command.reply, depth, buffer })
    }

    /// Sends at least `requests` requests and reads their replies; how many there were.
    pub fn run(&mut self, requests: usize) -> io::Result<usize> {
        let mut sent = 0;
        while sent < requests {
            for stream in &mut self.streams {
                stream.write_all(&self.batches[self.next])?;
                self.next = (self.next + 1) % self.batches.len();
            }
            for index in 0..self.streams.len() {
                self.read_replies(index)?;
            }
            sent += self.streams.len() * self.depth;
        }
        Ok(sent)
    }

    /// Reads a batch's replies: nothing else is outstanding on that connection.
    fn read_replies(&mut self, stream: usize) -> io::Result<()> {
        let mut lines = self.depth * self.reply.lines;
        let mut is_first = true;
        while lines > 0 {
            let len = self.streams[stream].read(&mut self.buffer)?;
            let bytes = &self.buffer[..len];
            if len == 0 || (is_first && bytes[0] != self.reply.first) {
                return Err(wrong_reply(bytes));
            }
            is_first = false;
            let seen = bytes.iter().filter(|byte| **byte == b'\n').count();
            lines = lines.checked_sub(seen).ok_or_else(|| wrong_reply(bytes))?;
        }
        Ok(())
    }
}

fn wrong_reply(bytes: &[u8]) -> io::Error {
    let text: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
    io::Error::other(format!("a wrong reply: {text:?}"))
}
