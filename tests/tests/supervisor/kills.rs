//! kill -9 of a server whose sockets PID 1 holds: nobody is refused, and it is back at once.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, SetWhenDropped};

/// Set it to 1000 for the figures, which are printed (in about 20 minutes).
const KILLS_ENV: &str = "HOLDFAST_SERVER_KILLS";
const KILLS: usize = 4;
/// After a run this long the next start is immediate.
const CONFIG: &str = "[server.restart]\ngood_run_ms = 1000\n";
const GOOD_RUN: Duration = Duration::from_millis(1_000);

#[test]
fn no_connection_is_refused_while_the_server_is_killed_again_and_again() {
    let kills = std::env::var(KILLS_ENV).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let rig = Rig::start(CONFIG, &[]);
    let (over, asked, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut back_ms = Vec::new();
    thread::scope(|scope| {
        let _over = SetWhenDropped(&over);
        for _ in 0..2 {
            scope.spawn(|| ask_until(&rig, &over, &asked, &refused));
        }
        for kill in 1..=kills {
            wait::expect("a good run", || rig.has_run_for("server", GOOD_RUN));
            let killed_at = Instant::now();
            rig.signal("holdfast-server", Signal::KILL);
            wait::expect("PONG", || ping(&rig).is_ok());
            back_ms.push(killed_at.elapsed().as_millis());
            wait::expect("it to be counted", || rig.service("server")["restarts"] == kill);
        }
    });
    back_ms.sort_unstable();
    let (half, most) = (back_ms[kills / 2], back_ms[(kills * 99 / 100).min(kills - 1)]);
    println!("{kills} kills, back after {half} ms (p50), {most} ms (p99), {asked:?} connections");
    assert_eq!(refused.into_inner(), 0, "{}", rig.log());
    rig.stop();
}

fn ask_until(rig: &Rig, over: &AtomicBool, asked: &AtomicU64, refused: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        asked.fetch_add(1, Ordering::Relaxed);
        // What was accepted by a process that then died is broken, as it must be.
        if ping(rig).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn ping(rig: &Rig) -> std::io::Result<()> {
    let mut client = TcpStream::connect(("127.0.0.1", rig.port.port()))?;
    client.set_read_timeout(Some(wait::PATIENCE))?;
    client.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    client.read_exact(&mut answer)?;
    match &answer {
        b"+PONG\r\n" => Ok(()),
        other => Err(std::io::Error::other(other.escape_ascii().to_string())),
    }
}
