//! A manager of one server, in a few lines: it starts it, listens at NOTIFY_SOCKET, keeps what it is
//! given and hands it over.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::wait::{self, PATIENCE};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use tempfile::TempDir;

/// Makes the standard streams, which a test can give away, the descriptors that LISTEN_FDS counts.
/// `$1` are handed over.
const HAND_OVER: &str = r#"count=$1; shift
[ "$count" -lt 1 ] || exec 3<&0
[ "$count" -lt 2 ] || exec 4<&1
exec </dev/null >/dev/null
[ "$count" = 0 ] || export LISTEN_PID=$$ LISTEN_FDS=$count LISTEN_FDNAMES=listen:listen
exec "$@""#;

pub(crate) struct Manager {
    pub(crate) directory: TempDir,
    pub(crate) port: PortLease,
    socket: UnixDatagram,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    child: Option<Child>,
    /// Sockets that are kept for the server, all named `listen`.
    pub(crate) store: Vec<OwnedFd>,
    /// Everything it has told.
    pub(crate) told: Vec<String>,
}

impl Manager {
    /// Nothing is started yet. The server is to listen on a port of its own on 127.0.0.1.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let directory = TempDir::with_prefix("holdfast-test-").expect("a scratch directory");
        let port = PortLease::acquire().expect("a free port");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let own = ["--port", &port.port().to_string(), "--bind", "127.0.0.1", "--save", ""];
        let mut arguments = [&own[..], arguments].concat();
        arguments.extend(["--supervised", "systemd", "--enable-debug-command", "yes"]);
        arguments.extend(["--logfile", "log", "--dir"]);
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.push(directory.path().display().to_string());
        let variables = vec![("NOTIFY_SOCKET".to_owned(), path.display().to_string())];
        let (child, store, told) = (None, Vec::new(), Vec::new());
        Self { directory, port, socket, variables, arguments, child, store, told }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// More arguments, for the next start.
    pub(crate) fn add(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(|word| (*word).to_owned()));
    }

    /// Starts the server with what is kept, at most two sockets.
    pub(crate) fn start(&mut self) {
        let program = binaries::server(Flavour::Holdfast);
        self.start_by(&["sh", "-c", HAND_OVER, "sh", &self.store.len().to_string()], &program);
    }

    pub(crate) fn start_by(&mut self, prefix: &[&str], program: &std::path::Path) {
        assert!(self.store.len() <= 2, "more than the standard streams");
        let mut streams = self.store.iter().map(|kept| kept.try_clone().expect("a descriptor"));
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).arg(program).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(streams.next().map_or_else(Stdio::null, Stdio::from));
        command.stdout(streams.next().map_or_else(Stdio::null, Stdio::from));
        command.stderr(File::create(self.directory.path().join("stderr")).expect("a file"));
        self.told.clear();
        self.child = Some(command.spawn().expect("the server can be executed"));
    }

    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("it was started");
        holdfast_tests::process::signal(&child, Signal::TERM);
        let status = holdfast_tests::process::exit_status(&mut child, PATIENCE);
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.directory.path().join(name));
        read("stderr").unwrap_or_default() + &read("log").unwrap_or_default()
    }

    /// The next message; `None` when none comes for `patience`.
    pub(crate) fn hear(&mut self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).expect("a socket of ours");
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut pieces = [IoSliceMut::new(&mut bytes)];
        let received =
            recvmsg(&self.socket, &mut pieces, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
        let text = String::from_utf8(bytes[..received.bytes].to_vec()).expect("text");
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let descriptors: Vec<OwnedFd> = descriptors.collect();
        if text.contains("FDSTORE=1\n") {
            assert!(text.contains("FDNAME=listen\n"), "{text}");
            self.store.extend(descriptors);
        } else if text.contains("FDSTOREREMOVE=1\n") {
            assert!(text.contains("FDNAME=listen\n"), "{text}");
            self.store.clear();
        }
        self.told.push(text.clone());
        Some(text)
    }

    /// Listens until something is told that contains `words`.
    #[track_caller]
    pub(crate) fn hear_of(&mut self, words: &str) -> String {
        loop {
            match self.hear(PATIENCE) {
                Some(text) if text.contains(words) => return text,
                Some(_) => {}
                None => panic!("{words:?} was never told: {:?}\n{}", self.told, self.log()),
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        let address = ([127, 0, 0, 1], self.port.port()).into();
        let client = wait::until(PATIENCE, || Client::connect(address).ok());
        client.unwrap_or_else(|| panic!("nobody accepts:\n{}", self.log()))
    }

    /// Through the admin socket, which HOLDFAST_ADMIN names.
    #[track_caller]
    pub(crate) fn admin(&self) -> Client {
        let path = self.path("admin");
        let client = wait::until(PATIENCE, || Client::connect_unix(&path).ok());
        client.unwrap_or_else(|| panic!("nobody accepts:\n{}", self.log()))
    }

    pub(crate) fn set_admin(&mut self) {
        let path = self.path("admin").display().to_string();
        self.set("HOLDFAST_ADMIN", &path);
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}", self.log());
        }
    }
}
