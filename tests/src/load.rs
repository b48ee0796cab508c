//! A load generator that costs much less than the server it drives.
//!
//! Requests are encoded beforehand and replies have a known length, so a client core that sends to
//! many connections and counts bytes keeps a server core busy. One thread: it writes a batch to each
//! connection in turn, then reads each one's replies, so every connection has a batch outstanding.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::resp::encode_command;

/// Connections driven at once, as redis-benchmark does by default.
pub const CONNECTIONS: usize = 50;

/// Distinct keys, and the length of each value.
pub const KEYS: usize = 100_000;
pub const VALUE_BYTES: usize = 32;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Get,
    Set,
}

impl Kind {
    fn request(self, key: usize) -> Vec<u8> {
        let key = format!("key:{key:012}");
        let value = "v".repeat(VALUE_BYTES);
        match self {
            Kind::Get => encode_command(&["GET", &key]),
            Kind::Set => encode_command(&["SET", &key, &value]),
        }
    }

    fn reply(self) -> Vec<u8> {
        match self {
            Kind::Get => format!("${VALUE_BYTES}\r\n{}\r\n", "v".repeat(VALUE_BYTES)).into_bytes(),
            Kind::Set => b"+OK\r\n".to_vec(),
        }
    }
}

/// Connections to one server, with requests ready to be sent.
#[derive(Debug)]
pub struct Load {
    streams: Vec<TcpStream>,
    batches: Vec<Vec<u8>>,
    expected: Vec<u8>,
    depth: usize,
}

impl Load {
    /// Prepares batches of `depth` requests of `kind`, over all keys in a scattered order.
    pub fn prepare(address: SocketAddr, kind: Kind, depth: usize) -> io::Result<Self> {
        let connect = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let streams = (0..CONNECTIONS).map(connect).collect::<io::Result<_>>()?;
        // 7919 and KEYS have no common factor, so each key comes once before any comes twice.
        let scattered = |n: usize| n * 7919 % KEYS;
        let batch = |index: usize| -> Vec<u8> {
            (0..depth).flat_map(|n| kind.request(scattered(index * depth + n))).collect()
        };
        let batches = (0..KEYS / depth).map(batch).collect();
        Ok(Self { streams, batches, expected: kind.reply().repeat(depth), depth })
    }

    /// Sends at least `requests` requests and reads their replies; how many there were.
    pub fn run(&mut self, requests: usize) -> io::Result<usize> {
        let mut sent = 0;
        let mut next = 0;
        let mut replies = vec![0; self.expected.len()];
        while sent < requests {
            for stream in &mut self.streams {
                stream.write_all(&self.batches[next])?;
                next = (next + 1) % self.batches.len();
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut replies)?;
                if replies != self.expected {
                    let text = String::from_utf8_lossy(&replies).into_owned();
                    return Err(io::Error::other(format!("a wrong reply: {text:?}")));
                }
            }
            sent += self.streams.len() * self.depth;
        }
        Ok(sent)
    }
}
