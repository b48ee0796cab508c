//! A service that misbehaves on demand. It stands where the server stands, answers PING like one, and
//! does what a line on its port tells it; compiled by itself, statically, with nothing but `std`.
//!
//! ```text
//!  PING            +PONG
//!  TRY deed        +allowed, or -errno N
//!  READ file       the file as a bulk string
//!  FLOOD n         n lines of 100 bytes on standard output, then +OK
//!  HOG n           takes n MiB for good, then +OK
//!  CHILD n         a child takes n MiB and is gone or killed; +its wait status
//!  STORM n         +OK, and then n processes that sleep, each an orphan in a session of its own and deaf
//!                  to SIGTERM; how many there are is said on standard output. They are copies of this
//!                  program, with its threads' stacks and heaps
//!  BOMB n          the same of a small program without threads: of this one, started anew
//!  INFO            its process number
//!  MEMORY PURGE    says on standard output that it was asked; +OK
//! ```

#![no_main]

use std::ffi::CString;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

const PORT: u16 = 6379;
/// On the command line, before a number: only that many processes, as BOMB says.
const BOMB: &str = "--bomb";

unsafe extern "C" {
    fn fork() -> i32;
    fn setsid() -> i32;
    fn signal(number: i32, handler: usize) -> usize;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn syscall(number: i64, ...) -> i64;
    fn mmap(at: usize, len: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> usize;
    fn sleep(seconds: u32) -> u32;
    fn execv(program: *const std::ffi::c_char, argv: *const *const std::ffi::c_char) -> i32;
}

const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIG_IGN: usize = 1;

/// The C library's: before its own, Rust would map a stack for signals, which every copy would have.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    unsafe { signal(SIGPIPE, SIG_IGN) };
    serve_or_escape();
    0
}

fn serve_or_escape() {
    if std::env::args().any(|word| word == "--version") {
        return;
    }
    if let Some(count) = std::env::args().skip_while(|word| word != BOMB).nth(1) {
        return escape_all(count.parse().expect("a number"));
    }
    let port = std::env::args().skip_while(|word| word != "--port").nth(1);
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("the port");
    std::thread::spawn(answer_those_who_look_after_it);
    println!("hurt listens on {port}");
    for stream in listener.incoming().flatten() {
        // In a storm there may be no room for it.
        let serve = move || drop(stream.try_clone().map(|reader| serve(reader, stream)));
        let _ = std::thread::Builder::new().spawn(serve);
    }
}

/// On the socket that init named, as the real server does.
fn answer_those_who_look_after_it() {
    let Some(path) = std::env::var_os("HOLDFAST_ADMIN") else { return };
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("the admin socket");
    std::fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("its mode");
    for stream in listener.incoming().flatten() {
        // In a storm there may be no room for it.
        let serve = move || drop(stream.try_clone().map(|reader| serve(reader, stream)));
        let _ = std::thread::Builder::new().spawn(serve);
    }
}

/// Commands come as a server's do; every line that is not a length is a word.
fn serve(reader: impl Read, mut stream: impl Write) {
    let mut lines = BufReader::new(reader).lines();
    while let Some(Ok(line)) = lines.next() {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if let Some(count) = line.strip_prefix('*').and_then(|count| count.parse::<usize>().ok()) {
            let rest: Vec<String> = lines.by_ref().take(2 * count).map_while(Result::ok).collect();
            words = rest.into_iter().skip(1).step_by(2).collect();
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if stream.write_all(answer(&words).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(words: &[&str]) -> String {
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or(1);
    match words {
        ["PING"] => "+PONG\r\n".to_owned(),
        ["TRY", deed] => attempt(deed),
        ["READ", file] => match std::fs::read_to_string(file) {
            Ok(text) => format!("${}\r\n{text}\r\n", text.len()),
            Err(error) => refused(error),
        },
        ["FLOOD", _] => flood(number(1)),
        ["HOG", _] => {
            std::mem::forget(take(number(1)));
            "+OK\r\n".to_owned()
        }
        ["CHILD", _] => child(number(1)),
        ["STORM", _] => storm(number(1)),
        ["BOMB", _] => bomb(number(1)),
        ["INFO", ..] => {
            let text = format!("process_id:{}\r\n", std::process::id());
            format!("${}\r\n{text}\r\n", text.len())
        }
        ["MEMORY", "PURGE"] => {
            println!("asked to purge");
            "+OK\r\n".to_owned()
        }
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

fn refused(error: std::io::Error) -> String {
    format!("-errno {}\r\n", error.raw_os_error().unwrap_or(0))
}

fn result(value: i64) -> String {
    if value < 0 { refused(std::io::Error::last_os_error()) } else { "+allowed\r\n".to_owned() }
}

fn of_io<T>(outcome: std::io::Result<T>) -> String {
    outcome.map_or_else(refused, |_| "+allowed\r\n".to_owned())
}

/// Numbers of x86-64's system calls, asm/unistd_64.h.
fn attempt(deed: &str) -> String {
    const PTRACE: i64 = 101;
    const MOUNT: i64 = 165;
    const UNSHARE: i64 = 272;
    const BPF: i64 = 321;
    const IO_URING_SETUP: i64 = 425;
    const CLONE3: i64 = 435;
    const SOCKET: i64 = 41;
    const KILL: i64 = 62;
    const NEWNS: i64 = 0x20000;
    let path = |path: &str| CString::new(path).expect("no NUL");
    match deed {
        "ptrace" => result(unsafe { syscall(PTRACE, 0, 0, 0, 0) }),
        "mount" => {
            let (target, kind) = (path("/tmp"), path("tmpfs"));
            let (target, kind) = (target.as_ptr(), kind.as_ptr());
            result(unsafe { syscall(MOUNT, kind, target, kind, 0, 0) })
        }
        "unshare" => result(unsafe { syscall(UNSHARE, NEWNS) }),
        "bpf" => result(unsafe { syscall(BPF, 0, 0, 0) }),
        "io_uring" => result(unsafe { syscall(IO_URING_SETUP, 1, 0) }),
        "clone3" => result(unsafe { syscall(CLONE3, 0, 0) }),
        "packet-socket" => result(unsafe { syscall(SOCKET, 17, 3, 0) }),
        "tcp-socket" => result(unsafe { syscall(SOCKET, 2, 1, 0) }),
        "signal-init" => result(unsafe { syscall(KILL, 1, 0) }),
        "executable-memory" => {
            let memory = unsafe { mmap(0, 4096, 7, 0x22, -1, 0) };
            if memory == usize::MAX { refused(std::io::Error::last_os_error()) } else { result(0) }
        }
        "exec" => exec("/usr/bin/holdfast-agent"),
        "exec-itself" => exec("/usr/bin/holdfast-server"),
        "thread" => of_io(std::thread::Builder::new().spawn(|| ())),
        "write-data" => of_io(std::fs::write("/data/hurt", "x")),
        "move-in-data" => of_io(
            std::fs::create_dir_all("/data/folder")
                .and_then(|()| std::fs::write("/data/hurt", "x"))
                .and_then(|()| std::fs::rename("/data/hurt", "/data/folder/hurt")),
        ),
        "move-folder" => of_io(
            std::fs::create_dir_all("/data/folder")
                .and_then(|()| std::fs::rename("/data/folder", "/data/other")),
        ),
        "write-etc" => of_io(std::fs::write("/etc/hurt", "x")),
        "write-config" => {
            of_io(std::fs::OpenOptions::new().append(true).open("/etc/holdfast/holdfast.toml"))
        }
        "become-root" => result(unsafe { syscall(105, 0) }),
        other => format!("-ERR no deed {other}\r\n"),
    }
}

/// In a child, which execs or says why not.
fn exec(program: &str) -> String {
    let program = CString::new(program).expect("no NUL");
    let help = CString::new("--version").expect("no NUL");
    let argv = [program.as_ptr(), help.as_ptr(), std::ptr::null()];
    let pid = unsafe { fork() };
    if pid == 0 {
        unsafe { execv(argv[0], argv.as_ptr()) };
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        unsafe { _exit(100 + errno) };
    }
    let mut status = 0;
    unsafe { waitpid(pid, &mut status, 0) };
    match status >> 8 & 0xff {
        code @ 100.. => format!("-errno {}\r\n", code - 100),
        _ => "+allowed\r\n".to_owned(),
    }
}

fn flood(lines: usize) -> String {
    let mut out = std::io::stdout().lock();
    for line in 0..lines {
        let _ = writeln!(out, "flood {line:093}");
    }
    let _ = out.flush();
    "+OK\r\n".to_owned()
}

/// Piece by piece, as a leak does: the kernel refuses at once what it can never have.
fn take(mib: usize) -> Vec<Vec<u8>> {
    let piece = |_| {
        let mut memory = vec![0_u8; 1 << 20];
        memory.chunks_mut(4096).for_each(|page| page[0] = 1);
        std::hint::black_box(memory)
    };
    (0..mib).map(piece).collect()
}

fn child(mib: usize) -> String {
    let pid = unsafe { fork() };
    if pid == 0 {
        take(mib);
        unsafe { _exit(0) };
    }
    let mut status = 0;
    unsafe { waitpid(pid, &mut status, 0) };
    format!("+{status}\r\n")
}

fn storm(count: usize) -> String {
    let begun = std::thread::Builder::new().spawn(move || escape_all(count));
    begun.map_or_else(refused, |_| "+OK\r\n".to_owned())
}

fn bomb(count: usize) -> String {
    let begun = std::process::Command::new("/proc/self/exe").args([BOMB, &count.to_string()]).spawn();
    begun.map_or_else(refused, |_| "+OK\r\n".to_owned())
}

fn escape_all(count: usize) {
    let stand = (0..count).take_while(|_| escape()).count();
    println!("storm: {stand} of {count} processes stand");
}

/// A child's child, whose parent is gone: only its cgroup says where it came from.
fn escape() -> bool {
    let child = unsafe { fork() };
    if child == 0 {
        unsafe { setsid() };
        unsafe { signal(SIGTERM, SIG_IGN) };
        match unsafe { fork() } {
            // Not by `pause`, which the sandbox does not know: that would be a loop.
            0 => loop {
                unsafe { sleep(3600) };
            },
            grandchild => unsafe { _exit(i32::from(grandchild < 0)) },
        }
    }
    let mut status = 0;
    child > 0 && unsafe { waitpid(child, &mut status, 0) } == child && status == 0
}
