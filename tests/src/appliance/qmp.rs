//! QEMU's own control socket (QMP): commands to the machine, and what happens to it.
//!
//! One JSON object a line, both ways. Source: docs/interop/qmp-spec of QEMU.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::wait;

pub struct Qmp {
    stream: BufReader<UnixStream>,
    /// Read while waiting for an answer, with the moment of reading.
    events: Vec<(Instant, Value)>,
}

impl Qmp {
    /// The words that make QEMU listen there.
    pub fn words(socket: &Path) -> [String; 2] {
        ["-qmp".to_owned(), format!("unix:{},server=on,wait=off", socket.display())]
    }

    pub fn connect(socket: &Path) -> Self {
        let stream = wait::until(wait::PATIENCE, || UnixStream::connect(socket).ok());
        let stream = BufReader::new(stream.expect("QEMU listens for QMP"));
        let mut qmp = Self { stream, events: Vec::new() };
        let greeting = qmp.read(wait::PATIENCE).expect("QEMU greets");
        assert!(greeting["QMP"].is_object(), "{greeting}");
        qmp.ask("qmp_capabilities", json!({}));
        qmp
    }

    /// Runs a command that must succeed; what it returns.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_ref(), "{request}").expect("QEMU takes commands");
        loop {
            let answer = self.read(wait::PATIENCE).expect("QEMU answers");
            assert!(answer["error"].is_null(), "{command}: {answer}");
            if let Some(result) = answer.get("return") {
                return result.clone();
            }
            self.events.push((Instant::now(), answer));
        }
    }

    /// Waits for the event; when it was seen.
    pub fn wait_for(&mut self, event: &str, limit: Duration) -> Option<Instant> {
        let end = Instant::now() + limit;
        loop {
            if let Some(at) = self.events.iter().position(|(_, seen)| seen["event"] == event) {
                return Some(self.events.swap_remove(at).0);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Some(message) = self.read(left) {
                self.events.push((Instant::now(), message));
            }
        }
    }

    /// Whether it was seen while waiting for something else, and not yet forgotten.
    pub fn has_seen(&self, event: &str) -> bool {
        self.events.iter().any(|(_, seen)| seen["event"] == event)
    }

    /// Forgets what happened so far.
    pub fn forget(&mut self) {
        while self.read(Duration::from_millis(1)).is_some() {}
        self.events.clear();
    }

    fn read(&mut self, limit: Duration) -> Option<Value> {
        self.stream.get_ref().set_read_timeout(Some(limit)).expect("a time above zero");
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|len| *len > 0)?;
        Some(serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}")))
    }
}
