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
//!  run               what init tells its agent: rubbish on the channel, then the end
//! ```

//!
//! Without a library, so that one call of the compiler makes it, and static, so that it runs where
//! nothing else is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, exit};
use std::thread::sleep;
use std::time::Duration;

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
        "leave" => sys::leave_session(),
        "spawn" => drop(child(rest)),
        "run" => garble(2_000),
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

/// Twice: Rust looks at the first SIGSEGV or SIGBUS itself, finds no stack overflow, and goes on.
fn raise(number: i32) {
    for _ in 0..2 {
        sys::raise(number);
        sleep(Duration::from_millis(50));
    }
}

fn deaf() {
    sys::ignore(SIGTERM);
}

fn notify(text: &str, descriptors: &[i32]) {
    let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return };
    let name = name.strip_prefix('@').expect("an abstract name");
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.connect_addr(&address).expect("init's socket");
    // What is not taken is the other side's business.
    sys::send(socket.as_raw_fd(), text.as_bytes(), descriptors);
}

/// Every kind of message there is and some more, of every length, with bytes of no meaning.
fn garble(count: u64) -> ! {
    let mut random = count;
    for _ in 0..count {
        let mut next = || {
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let len = next() % 200;
        let mut message: Vec<u8> = (0..len).map(|_| next() as u8).collect();
        if let Some(kind) = message.first_mut() {
            *kind %= 20;
        }
        // A full queue waits for init.
        sys::send(0, &message, &[]);
    }
    exit(1)
}

fn send_descriptors(count: usize) {
    notify("STATUS=descriptors", &[0; MAX_DESCRIPTORS][..count.min(MAX_DESCRIPTORS)]);
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
        Ok(_) => sys::inherited_listener(3),
        Err(_) => TcpListener::bind(("127.0.0.1", number(port) as u16)).expect("a free port"),
    };
    notify(&format!("FDSTORE=1\nFDNAME={name}"), &[listener.as_raw_fd()]);
    listener
}

fn pong(listener: &TcpListener) -> ! {
    loop {
        let Ok((mut client, _)) = listener.accept() else { continue };
        let mut request = [0; 64];
        let _ = client.read(&mut request);
        let _ = client.write_all(b"+PONG\r\n");
    }
}

/// The calls that std does not have.
mod sys {
    use super::{FromRawFd, MAX_DESCRIPTORS, TcpListener};

    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    const SIG_IGN: usize = 1;
    /// `cmsghdr` on 64 bits: a length, a level, a type.
    const HEADER_BYTES: usize = 16;

    #[repr(C)]
    struct Part {
        base: *const u8,
        len: usize,
    }

    /// `msghdr` of 64-bit glibc.
    #[repr(C)]
    struct Message {
        name: usize,
        name_len: usize,
        parts: *const Part,
        part_count: usize,
        control: *const u8,
        control_len: usize,
        flags: usize,
    }

    unsafe extern "C" {
        fn getpid() -> i32;
        fn kill(pid: i32, signal: i32) -> i32;
        fn sendmsg(socket: i32, message: *const Message, flags: i32) -> isize;
        fn setsid() -> i32;
        fn signal(number: i32, handler: usize) -> usize;
    }

    pub fn leave_session() {
        // SAFETY: takes nothing and touches no memory.
        unsafe { setsid() };
    }

    pub fn raise(number: i32) {
        // SAFETY: takes numbers alone.
        unsafe { kill(getpid(), number) };
    }

    pub fn ignore(number: i32) {
        // SAFETY: no handler of ours is installed.
        unsafe { signal(number, SIG_IGN) };
    }

    pub fn inherited_listener(number: i32) -> TcpListener {
        // SAFETY: the descriptor came with this process for it to take; nothing else knows it.
        unsafe { TcpListener::from_raw_fd(number) }
    }

    pub fn send(socket: i32, text: &[u8], descriptors: &[i32]) {
        let mut control = [0_u64; (HEADER_BYTES + MAX_DESCRIPTORS * 4).div_ceil(8)];
        let used = HEADER_BYTES + descriptors.len() * 4;
        let bytes: Vec<u8> = (used as u64)
            .to_ne_bytes()
            .into_iter()
            .chain([SOL_SOCKET, SCM_RIGHTS].into_iter().flat_map(i32::to_ne_bytes))
            .chain(descriptors.iter().flat_map(|each| each.to_ne_bytes()))
            .collect();
        for (word, chunk) in control.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(whole);
        }
        let part = Part { base: text.as_ptr(), len: text.len() };
        let message = Message {
            name: 0,
            name_len: 0,
            parts: &part,
            part_count: 1,
            control: control.as_ptr().cast(),
            control_len: if descriptors.is_empty() { 0 } else { used },
            flags: 0,
        };
        // SAFETY: every pointer is to a live value of the length beside it.
        unsafe { sendmsg(socket, &message, 0) };
    }
}
