//! A server process of one test: its port, its scratch directory, its log, its end.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::binaries::{self, Flavour};
use crate::client::Client;
use crate::ports::PortLease;
use crate::process;
use crate::resp::Value;
use crate::wait::{self, PATIENCE};

/// How many other ports are tried when somebody took ours between choosing and binding.
const START_ATTEMPTS: usize = 5;

/// How much of the log a failing test shows.
const LOG_LINES_SHOWN: usize = 80;

/// The configuration file of [`Server::start_from_file`].
const FILE_NAME: &str = "server.conf";

/// A running server that answers PING. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// What was executed, for another start.
    words: Vec<String>,
    lease: PortLease,
    directory: TempDir,
    flavour: Flavour,
}

impl Server {
    /// Starts the server under test; panics with its log when it does not come up.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        Self::start_flavour(Flavour::Holdfast, args)
    }

    /// Starts `flavour` with `args` after the harness' own directives, so that a test can override.
    #[track_caller]
    pub fn start_flavour(flavour: Flavour, args: &[&str]) -> Self {
        Self::try_start(flavour, args).unwrap_or_else(|why| panic!("{flavour:?} {args:?}: {why}"))
    }

    /// As [`Server::start_flavour`], on these cores only: a list as taskset(1) has it.
    #[track_caller]
    pub fn start_pinned(flavour: Flavour, args: &[&str], cores: &str) -> Self {
        Self::start_behind(&["taskset", "-c", cores], flavour, args)
    }

    /// As [`Server::start_flavour`], behind a command that replaces itself by its arguments.
    #[track_caller]
    pub fn start_behind(prefix: &[&str], flavour: Flavour, args: &[&str]) -> Self {
        let prefix: Vec<String> = prefix.iter().map(|&word| word.to_owned()).collect();
        let started = Self::launch(&prefix, flavour, None, args);
        started.unwrap_or_else(|why| panic!("{flavour:?} {args:?}: {why}"))
    }

    /// Starts `flavour` from a configuration file, `server.conf` in its directory. The harness' own
    /// directives follow as flags.
    #[track_caller]
    pub fn start_from_file(flavour: Flavour, text: &str) -> Self {
        let started = Self::launch(&[], flavour, Some(text), &[]);
        started.unwrap_or_else(|why| panic!("{flavour:?}: {why}"))
    }

    /// As [`Server::start_flavour`], for tests about a server that may not come up.
    pub fn try_start(flavour: Flavour, args: &[&str]) -> Result<Self, String> {
        Self::launch(&[], flavour, None, args)
    }

    /// As [`Server::try_start`], on a certain port: for programs that know no other.
    pub fn start_at(port: u16, flavour: Flavour, args: &[&str]) -> Result<Self, String> {
        let lease = PortLease::of(port).map_err(|e| format!("port {port}: {e}"))?;
        Self::launch_on(lease, &[], flavour, None, args)
    }

    /// Starts the server behind `prefix`, a command that replaces itself by its arguments.
    fn launch(
        prefix: &[String],
        flavour: Flavour,
        file: Option<&str>,
        args: &[&str],
    ) -> Result<Self, String> {
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            let lease = PortLease::acquire().map_err(|e| e.to_string())?;
            match Self::launch_on(lease, prefix, flavour, file, args) {
                Err(why) if why.contains("in use") => last = why,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    fn launch_on(
        lease: PortLease,
        prefix: &[String],
        flavour: Flavour,
        file: Option<&str>,
        args: &[&str],
    ) -> Result<Self, String> {
        let directory = TempDir::with_prefix("holdfast-test-").map_err(|e| e.to_string())?;
        let mut words = prefix.to_vec();
        words.push(binaries::server(flavour).display().to_string());
        if let Some(text) = file {
            let path = directory.path().join(FILE_NAME);
            fs::write(&path, text).map_err(|e| e.to_string())?;
            words.push(path.display().to_string());
        }
        words.extend(own_directives(lease.port(), directory.path()));
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let child = spawn_words(&words, directory.path()).map_err(|e| e.to_string())?;
        let mut server = Self { child, words, lease, directory, flavour };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Kills the server where it stands, as `kill -9` does. It has no time to write anything.
    pub fn kill(&mut self) {
        // It may have ended by itself already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// More arguments, for the next start.
    pub fn add_args(&mut self, args: &[&str]) {
        self.words.extend(args.iter().map(|arg| (*arg).to_owned()));
    }

    /// Starts a server that has ended once more, in the same directory with the same arguments.
    pub fn start_again(&mut self) -> Result<(), String> {
        let child = spawn_words(&self.words, self.directory.path());
        self.child = child.map_err(|e| e.to_string())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let address = self.address();
        let outcome = wait::until(PATIENCE, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(format!("ended at start with {status}")));
            }
            (answers_ping(address) && !says_it_loads(&self.log())).then_some(Ok(()))
        });
        let outcome = outcome.unwrap_or_else(|| Err(format!("no PONG within {PATIENCE:?}")));
        outcome.map_err(|why| format!("{why}\n{}", self.log()))
    }

    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server's working directory, gone with the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file of [`Server::start_from_file`].
    pub fn file(&self) -> PathBuf {
        self.directory().join(FILE_NAME)
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address()).expect("the server accepts connections")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(log_path(self.directory.path())).unwrap_or_default()
    }

    /// The log's end, as a failing test shows it.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Waits for the server's end; `None` when it is still running after `limit`.
    pub fn exit_status(&mut self, limit: Duration) -> Option<ExitStatus> {
        process::exit_status(&mut self.child, limit)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of {:?}, pid {}\n{}", self.flavour, self.pid(), self.log_tail());
        }
        if self.flavour == Flavour::Counting {
            self.signal(Signal::TERM);
            self.exit_status(PATIENCE);
        }
        self.kill();
    }
}

/// Runs the server under test to its end: for bad configuration and the like.
pub fn run_to_end(args: &[&str]) -> (ExitStatus, String) {
    run_flavour_to_end(Flavour::Holdfast, args)
}

/// Runs `flavour` to its end, in a directory of its own.
pub fn run_flavour_to_end(flavour: Flavour, args: &[&str]) -> (ExitStatus, String) {
    let directory = TempDir::with_prefix("holdfast-test-").expect("a scratch directory");
    let mut command = Command::new(binaries::server(flavour));
    command.args(args);
    let mut child = spawn(command, directory.path()).expect("the server can be executed");
    let status = process::exit_status(&mut child, PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    let log = fs::read_to_string(log_path(directory.path())).unwrap_or_default();
    let status =
        status.unwrap_or_else(|| panic!("{args:?} did not end within {PATIENCE:?}\n{log}"));
    (status, log)
}

fn own_directives(port: u16, directory: &Path) -> Vec<String> {
    let port = port.to_string();
    let directory = directory.display().to_string();
    let pairs =
        [("--port", port.as_str()), ("--bind", "127.0.0.1"), ("--save", ""), ("--dir", &directory)];
    pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

fn spawn_words(words: &[String], directory: &Path) -> io::Result<Child> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    spawn(command, directory)
}

fn spawn(mut command: Command, directory: &Path) -> io::Result<Child> {
    let log = File::options().append(true).create(true).open(log_path(directory))?;
    command.current_dir(directory).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    command.spawn()
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn answers_ping(address: SocketAddr) -> bool {
    let Ok(mut client) = Client::connect(address) else { return false };
    // NOAUTH is an answer too: whoever needs the password knows it. But it hides LOADING.
    client.command(&["PING"]).is_ok_and(|reply| !is_loading(&reply))
}

/// What a server answers that is still reading its data.
fn is_loading(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with(b"LOADING"))
}

/// Whether what was said last is that there is something to do before clients are served. A log that
/// says neither tells nothing.
fn says_it_loads(log: &str) -> bool {
    log.rfind("Server initialized") > log.rfind("Ready to accept connections")
}
