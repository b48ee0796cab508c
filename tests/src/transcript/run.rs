//! Driving a server through a transcript in one of the ways, and reporting what differs.

use std::collections::HashMap;
use std::io;

use super::parse::{Action, Section, Step, Transcript, split_words};
use super::pattern::{self, Variables};
use super::{Protocol, Way, applies};
use crate::binaries::Flavour;
use crate::client::Client;
use crate::resp::{self, Value};
use crate::server::Server;
use crate::wait;

/// How many differences of one section are shown.
const DIFFERENCES_SHOWN: usize = 5;

/// How many lines of a reply are shown when it is not the expected one.
const LINES_SHOWN: usize = 40;

/// What is printed for a connection that the server has closed.
const CLOSED: &str = "(closed)";

/// Commands that cannot be queued, or whose effect on the connection must not wait for EXEC.
const NEVER_QUEUED: [&str; 14] = [
    "multi", "exec", "discard", "watch", "unwatch", "reset", "quit", "hello", "auth", "select",
    "shutdown", "client", "monitor", "debug",
];

/// Runs the whole corpus and panics with every difference found.
#[track_caller]
pub fn check_corpus(corpus: &[Transcript], flavour: Flavour, protocol: Protocol, way: Way) {
    let mut shared = Server::start_flavour(flavour, &[]);
    let mut run = 0;
    let mut failures = Vec::new();
    for transcript in corpus {
        for section in transcript.sections.iter().filter(|s| is_for(s, flavour, protocol, way)) {
            run += 1;
            if let Err(why) = check_section(section, &shared, protocol, way) {
                let path = transcript.path.display();
                failures.push(format!("{path}:{why}"));
            }
            if !shared.is_running() {
                failures.push(format!("THE SERVER HAS ENDED\n{}", shared.log_tail()));
                shared = Server::start_flavour(flavour, &[]);
            }
        }
    }
    assert!(run > 0, "the corpus has no section for {flavour:?} {protocol:?} {way:?}");
    let failed = failures.len();
    assert!(failed == 0, "{failed} of {run} sections differ:\n\n{}\n", failures.join("\n\n"));
}

/// Whether `section` is meant for this combination.
pub fn is_for(section: &Section, flavour: Flavour, protocol: Protocol, way: Way) -> bool {
    let skipped = |word: &str| section.skip.iter().any(|skip| skip == word);
    let protocol_word = if protocol == Protocol::Resp2 { "2" } else { "3" };
    if way == Way::InMulti && section.steps.iter().any(is_transactional) {
        return false;
    }
    !skipped(way.word()) && !skipped(protocol_word) && !skipped(super::server_word(flavour))
}

/// A section about transactions cannot be put into transactions.
fn is_transactional(step: &Step) -> bool {
    let name = step.text.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    ["multi", "exec", "discard", "watch", "unwatch"].contains(&name.as_str())
}

fn check_section(
    section: &Section,
    shared: &Server,
    protocol: Protocol,
    way: Way,
) -> Result<(), String> {
    let title = &section.title;
    let describe = |why: String| format!("{}: == {title}\n{why}", section.line);
    match &section.args {
        None => {
            let cleared = shared.client().command(&["FLUSHALL"]);
            cleared.map_err(|e| describe(format!("FLUSHALL before the section: {e}")))?;
            Session::new(shared, protocol, way).run(&section.steps).map_err(describe)
        }
        Some(args) => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let own = Server::try_start(shared.flavour(), &args).map_err(describe)?;
            Session::new(&own, protocol, way).run(&section.steps).map_err(describe)
        }
    }
}

/// The connections and variables of one section.
pub struct Session<'a> {
    server: &'a Server,
    protocol: Protocol,
    way: Way,
    clients: HashMap<String, Client>,
    variables: Variables,
}

impl<'a> Session<'a> {
    pub fn new(server: &'a Server, protocol: Protocol, way: Way) -> Self {
        let (clients, variables) = (HashMap::new(), Variables::new());
        Self { server, protocol, way, clients, variables }
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        let mut rest = steps;
        let mut differences = Vec::new();
        while !rest.is_empty() {
            let batch = self.batch_length(rest);
            self.send_batch(&rest[..batch]).map_err(|why| at(&rest[0], &why))?;
            for step in &rest[..batch] {
                if let Err(why) = self.check_step(step, batch > 1) {
                    differences.push(at(step, &why));
                }
                // Whatever follows a broken section says little.
                if differences.len() == DIFFERENCES_SHOWN {
                    return Err(differences.concat());
                }
            }
            rest = &rest[batch..];
        }
        if differences.is_empty() { Ok(()) } else { Err(differences.concat()) }
    }

    /// How many of the next steps go out in one write: one, unless pipelining.
    fn batch_length(&self, steps: &[Step]) -> usize {
        let first = &steps[0].connection;
        // A remembered value must have been read before a command can use it.
        let joins = |step: &&Step| {
            matches!(step.action, Action::Command | Action::Sorted)
                && step.connection == *first
                && !step.text.contains("%{")
        };
        match self.way {
            Way::Pipelined => steps.iter().take_while(joins).count().max(1),
            _ => 1,
        }
    }

    fn send_batch(&mut self, steps: &[Step]) -> Result<(), String> {
        if steps.len() < 2 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for step in steps {
            bytes.extend_from_slice(&resp::encode_command(&self.words(&step.text)?));
        }
        let client = self.client(&steps[0].connection)?;
        // A connection that is closed half-way shows in the replies.
        let _ = client.write_raw(&bytes);
        Ok(())
    }

    pub fn check_step(&mut self, step: &Step, sent: bool) -> Result<(), String> {
        if step.action == Action::Until {
            return self.check_until(step);
        }
        let actual = if sent { self.receive(step)? } else { self.perform(step)? };
        self.compare(step, actual)
    }

    fn check_until(&mut self, step: &Step) -> Result<(), String> {
        let mut last = Ok(());
        let met = wait::until(wait::PATIENCE, || {
            last = self.perform(step).and_then(|actual| self.compare(step, actual));
            last.is_ok().then_some(())
        });
        met.map_or(last, Ok)
    }

    /// Does what the step says; the reply's lines, none when there is none to read.
    pub fn perform(&mut self, step: &Step) -> Result<Vec<String>, String> {
        match step.action {
            Action::Close => {
                self.clients.remove(&step.connection);
                Ok(Vec::new())
            }
            Action::Receive => self.receive(step),
            Action::Raw => {
                let words = self.words(&step.text)?;
                let bytes = words.concat();
                self.write(&step.connection, &bytes)?;
                self.receive(step)
            }
            Action::Send => {
                let bytes = self.encoded(&step.text)?;
                self.write(&step.connection, &bytes)?;
                Ok(Vec::new())
            }
            Action::Command | Action::Sorted | Action::Until => {
                let words = self.words(&step.text)?;
                if self.way == Way::InMulti && may_be_queued(&words) {
                    return self.perform_in_multi(step, &words);
                }
                let bytes = self.encoded(&step.text)?;
                self.write(&step.connection, &bytes)?;
                self.receive(step)
            }
        }
    }

    /// MULTI, the command, EXEC: the reply is EXEC's only element, or the error while queueing.
    fn perform_in_multi(&mut self, step: &Step, words: &[Vec<u8>]) -> Result<Vec<String>, String> {
        let client = self.client(&step.connection)?;
        let failed = |e: io::Error| e.to_string();
        let opened = client.command(&["MULTI"]).map_err(failed)?;
        if opened != Value::status("OK") {
            // The section has a transaction of its own open, or the server refuses: as it is then.
            return Ok(shown(step, client.command(words).map_err(failed)?));
        }
        let queued = client.command(words).map_err(failed)?;
        if queued != Value::status("QUEUED") {
            client.command(&["DISCARD"]).map_err(failed)?;
            return Ok(shown(step, queued));
        }
        match client.command(&["EXEC"]).map_err(failed)? {
            Value::Array(mut items) if items.len() == 1 => Ok(shown(step, items.remove(0))),
            other => Err(format!("EXEC of one command answered {:?}", other.lines())),
        }
    }

    fn receive(&mut self, step: &Step) -> Result<Vec<String>, String> {
        let client = self.client(&step.connection)?;
        match client.read() {
            Ok(value) => Ok(shown(step, value)),
            Err(e) if is_end(&e) => Ok(vec![CLOSED.to_owned()]),
            Err(e) => Err(format!("no reply: {e}")),
        }
    }

    fn compare(&mut self, step: &Step, actual: Vec<String>) -> Result<(), String> {
        let flavour = self.server.flavour();
        let here = step.expected.iter().filter(|e| applies(&e.only, self.protocol, flavour));
        let expected: Result<Vec<String>, String> =
            here.map(|e| pattern::expand(&e.text, &self.variables)).collect();
        let expected = expected?;
        if pattern::lines_match(&expected, &actual, &mut self.variables) {
            return Ok(());
        }
        Err(format!("    expected\n{}    got\n{}", indented(&expected), indented(&actual)))
    }

    fn words(&self, text: &str) -> Result<Vec<Vec<u8>>, String> {
        split_words(&pattern::expand(text, &self.variables)?)
    }

    fn encoded(&self, text: &str) -> Result<Vec<u8>, String> {
        let words = self.words(text)?;
        Ok(match self.way {
            Way::Inline if fits_inline(&words) => inline(&words),
            _ => resp::encode_command(&words),
        })
    }

    fn write(&mut self, connection: &str, bytes: &[u8]) -> Result<(), String> {
        let bytewise = self.way == Way::Bytewise;
        let client = self.client(connection)?;
        let written = if bytewise { client.write_bytewise(bytes) } else { client.write_raw(bytes) };
        match written {
            // The server may close after the part it could not stomach; the reply tells.
            Err(e) if !is_end(&e) => Err(format!("cannot send: {e}")),
            _ => Ok(()),
        }
    }

    fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        if !self.clients.contains_key(name) {
            let mut client = Client::connect(self.server.address()).map_err(|e| e.to_string())?;
            if self.protocol == Protocol::Resp3 {
                client.command(&["HELLO", "3"]).map_err(|e| format!("HELLO 3: {e}"))?;
            }
            self.clients.insert(name.to_owned(), client);
        }
        Ok(self.clients.get_mut(name).expect("inserted just now"))
    }
}

fn at(step: &Step, why: &str) -> String {
    format!("  line {}: > {}\n{why}", step.line, step.text)
}

fn shown(step: &Step, mut value: Value) -> Vec<String> {
    if step.action == Action::Sorted {
        value.sort_elements();
    }
    value.lines()
}

fn indented(lines: &[String]) -> String {
    let mut out: String = lines.iter().take(LINES_SHOWN).map(|l| format!("      {l}\n")).collect();
    if lines.len() > LINES_SHOWN {
        out += &format!("      ({} lines more)\n", lines.len() - LINES_SHOWN);
    }
    out
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn may_be_queued(words: &[Vec<u8>]) -> bool {
    let name = words.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    !NEVER_QUEUED.iter().any(|never| never.as_bytes() == name)
}

/// Redis reads at most 64 KiB as one inline command.
fn fits_inline(words: &[Vec<u8>]) -> bool {
    !words.is_empty() && words.iter().map(|word| word.len() * 4 + 3).sum::<usize>() < 60_000
}

fn inline(words: &[Vec<u8>]) -> Vec<u8> {
    let quoted: Vec<String> = words.iter().map(|word| resp::quoted(word)).collect();
    (quoted.join(" ") + "\r\n").into_bytes()
}
