//! A stand-in for init: it holds the other end of the agent's channel, does with interfaces what it
//! is asked to, and remembers everything.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use holdfast_supervisor::channel::{MAX_TO_INIT_BYTES, ToAgent, ToInit};
use holdfast_supervisor::degraded::{Degraded, DegradedSet};
use holdfast_supervisor::plan::Lease;
use holdfast_supervisor::snapshot::{Boot, LastEnd, Mode, PlanSource, Snapshot, Starved};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown,
    socketpair,
};

/// What the agent said, in order.
pub(crate) type Heard = Arc<Mutex<Vec<ToInit>>>;

pub(crate) struct Init {
    ours: Arc<OwnedFd>,
    listener: Option<JoinHandle<()>>,
}

impl Init {
    /// The agent's end is to be its standard input.
    pub(crate) fn start(namespace: String, heard: Heard) -> (Self, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let ours = Arc::new(ours);
        send(&ours, &metal(), SendFlags::NOSIGNAL).unwrap();
        let socket = Arc::clone(&ours);
        let listener = thread::spawn(move || listen(&socket, &namespace, &heard));
        (Self { ours, listener: Some(listener) }, theirs)
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = shutdown(&self.ours, Shutdown::Both);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// A machine that has just started and whose clock nobody has set.
fn metal() -> Vec<u8> {
    let mut degraded = DegradedSet::default();
    degraded.insert(Degraded::ClockUnset);
    let snapshot = Snapshot {
        mode: Mode::Metal,
        shutting_down: false,
        plan: PlanSource::BuiltIn,
        degraded,
        started_at: 0,
        allocations: 0,
        boot: Boot { count: 1, last: LastEnd::Unknown, ..Boot::default() },
        watchdog_s: 0,
        starved: Starved::No,
        slots: Default::default(),
        services: Default::default(),
    };
    ToAgent::Snapshot(snapshot).encode().expect("fits").to_vec()
}

fn listen(socket: &OwnedFd, namespace: &str, heard: &Heard) {
    let mut buffer = [0; MAX_TO_INIT_BYTES];
    while let Ok((len @ 1.., _)) = recv(socket, &mut buffer[..], RecvFlags::empty()) {
        let message = ToInit::decode(&buffer[..len]).expect("the agent speaks the protocol");
        obey(namespace, &message);
        heard.lock().unwrap().push(message);
    }
}

fn obey(namespace: &str, message: &ToInit) {
    // What cannot be done is of an interface that is gone.
    let ip = |words: &str| {
        let _ = run("ip", &format!("-n {namespace} {words}"));
    };
    match message {
        ToInit::LinkUp { device } => ip(&format!("link set {device} up")),
        ToInit::Lease(Lease { network, .. }) => {
            ip(&format!("addr flush dev {} scope global", network.device));
            let (address, prefix, device) = (network.address, network.prefix, &network.device);
            ip(&format!("addr add {address}/{prefix} dev {device}"));
            if let Some(gateway) = network.gateway {
                ip(&format!("route replace default via {gateway}"));
            }
        }
        ToInit::NoLease => ip("addr flush scope global"),
        _ => {}
    }
}

/// A command of words without blanks in them.
pub(crate) fn run(program: &str, words: &str) -> io::Result<()> {
    let output = Command::new(program).args(words.split_whitespace()).output()?;
    let error = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(error())) }
}
