//! `puppet WORD…`: a service that does what its words say, one after the other, then ends with 0.
//!
//! ```text
//!  N/WORD  N+/WORD   only in this start, or from it on (counted in `runs` of the directory)
//!  say:TEXT  print:NAME  inherited          what it says goes to the log
//!  notify:TEXT       one datagram to NOTIFY_SOCKET, `;` for a line's end
//!  by-child:TEXT     the same, by a child of its own
//!  flood:N  oversize  descriptors:N         datagrams that nobody wants
//!  alive:N:MS        WATCHDOG=1, N times
//!  give:NAME:PORT    listens, unless it came with a socket, and gives the socket to be kept
//!  pong              answers whoever connects, for ever
//!  sleep:MS  wait  exit:N  raise:N  deaf    `deaf` to SIGTERM
//!  spawn:WORD,…      a child with these words; `leave` makes it leave the session
//!  hand-over:WORD,…  the same, and it is the main process from now on
//! ```

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, exit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType,
};
use rustix::process::{
    PidfdFlags, PidfdGetfdFlags, Signal, getpid, kill_process, pidfd_getfd, pidfd_open, setsid,
};

const SIGTERM: i32 = 15;
/// As many as the kernel takes with one datagram.
const MAX_DESCRIPTORS: usize = 253;

fn main() {
    let run = count_run();
    let mut listener = None;
    for word in std::env::args().skip(1).filter_map(|word| of_this_run(word, run)) {
        obey(&word, &mut listener);
    }
}

fn count_run() -> u32 {
    let before = fs::read_to_string("runs").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    // Children count, too, and nobody asks them.
    let _ = fs::write("runs", (before + 1).to_string());
    before + 1
}

fn of_this_run(word: String, run: u32) -> Option<String> {
    let Some((when, rest)) = word.split_once('/') else { return Some(word) };
    let is_now = match when.strip_suffix('+') {
        Some(first) => first.parse().is_ok_and(|first: u32| run >= first),
        None => when.parse() == Ok(run),
    };
    is_now.then(|| rest.to_owned())
}

fn obey(word: &str, listener: &mut Option<TcpListener>) {
    let (verb, rest) = word.split_once(':').unwrap_or((word, ""));
    match verb {
        "say" => println!("{rest}"),
        "print" => println!("{rest}={}", std::env::var(rest).unwrap_or_default()),
        "inherited" => say_inherited(),
        "notify" => notify(&rest.replace(';', "\n"), &[]),
        "by-child" => wait_for(child(&format!("notify:{rest}"))),
        "flood" => (0..number(rest)).for_each(|_| notify("READY=1", &[])),
        "oversize" => notify(&format!("STATUS={}", "x".repeat(5000)), &[]),
        "descriptors" => send_descriptors(number(rest) as usize),
        "alive" => stay_alive(rest),
        "give" => *listener = Some(give(rest)),
        "pong" => pong(listener.as_ref().expect("`give` before `pong`")),
        "sleep" => sleep(Duration::from_millis(number(rest))),
        "wait" => wait_for_ever(),
        "exit" => exit(number(rest) as i32),
        "raise" => raise(number(rest) as i32),
        "deaf" => deaf(),
        "leave" => drop(setsid()),
        "spawn" => drop(child(rest)),
        "hand-over" => notify(&format!("MAINPID={}", child(rest).id()), &[]),
        _ => panic!("no such word: {word}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn child(words: &str) -> Child {
    let program = std::env::current_exe().expect("a program");
    Command::new(program).args(words.split(',')).spawn().expect("a child")
}

fn wait_for(mut child: Child) {
    child.wait().expect("our child");
}

fn wait_for_ever() -> ! {
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// SIGABRT, SIGKILL and their like have an end; the rest is waited for.
fn raise(number: i32) {
    let signal = Signal::from_named_raw(number).expect("a signal");
    kill_process(getpid(), signal).expect("ourselves");
    sleep(Duration::from_millis(50));
}

fn deaf() {
    let heard = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, heard).expect("a handler");
}

fn notify(text: &str, descriptors: &[BorrowedFd]) {
    let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return };
    let name = name.strip_prefix('@').expect("an abstract name");
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("a name");
    let socket =
        rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).expect("a socket");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let parts = [IoSlice::new(text.as_bytes())];
    // What is not taken is the other side's business.
    let _ = rustix::net::sendmsg_addr(&socket, &address, &parts, &mut control, SendFlags::empty());
}

fn send_descriptors(count: usize) {
    let input = std::io::stdin();
    let each = [input.as_fd(); MAX_DESCRIPTORS];
    notify("STATUS=descriptors", &each[..count.min(MAX_DESCRIPTORS)]);
}

fn stay_alive(rest: &str) {
    let (times, pause) = rest.split_once(':').expect("alive:N:MS");
    for _ in 0..number(times) {
        notify("WATCHDOG=1", &[]);
        sleep(Duration::from_millis(number(pause)));
    }
}

fn say_inherited() {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let is_ours = variable("LISTEN_PID") == std::process::id().to_string();
    println!("inherited {} as {}: {is_ours}", variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
}

fn give(rest: &str) -> TcpListener {
    let (name, port) = rest.split_once(':').expect("give:NAME:PORT");
    let listener = match std::env::var("LISTEN_FDS") {
        Ok(_) => TcpListener::from(descriptor(3)),
        Err(_) => TcpListener::bind(("127.0.0.1", number(port) as u16)).expect("a free port"),
    };
    notify(&format!("FDSTORE=1\nFDNAME={name}"), &[listener.as_fd()]);
    listener
}

/// A copy of a descriptor that is known by its number alone.
fn descriptor(number: i32) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    pidfd_getfd(this, number, PidfdGetfdFlags::empty()).expect("a descriptor")
}

fn pong(listener: &TcpListener) -> ! {
    loop {
        let Ok((mut client, _)) = listener.accept() else { continue };
        let mut request = [0; 64];
        let _ = client.read(&mut request);
        let _ = client.write_all(b"+PONG\r\n");
    }
}
