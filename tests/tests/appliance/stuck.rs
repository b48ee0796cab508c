//! A process that no signal ends: it waits in the kernel for a disk that takes requests and answers
//! none. (What the hardware watchdog makes of such a disk is in `watchdog.rs`.)

use std::io::Write;
use std::net::TcpStream;

use holdfast_image::machine::ping;
use holdfast_tests::resp::encode_command;
use holdfast_tests::wait;
use serde_json::Value;

use crate::appliance::rig::{Appliance, command, count, is_ready};

/// Longer than the test lasts: here the disk comes back before the reset would.
const WATCHDOG: &str = "holdfast.watchdog=80";
/// In which a process that can end does.
const VAIN_MS: u64 = 3_000;

/// Scenario 18.
#[test]
fn a_server_that_no_signal_ends_is_waited_for_and_back_when_its_disk_is() {
    let words = [WATCHDOG, "holdfast.arg=--appendfsync", "holdfast.arg=always"];
    let appliance = Appliance::boot_with_disk(&words, |_| ());
    let port = appliance.guest.port();
    assert_eq!(command(port, &["SET", "kept", "before"]).as_deref(), Some("+OK\r\n"));
    appliance.disk().silence(true);
    // Its sync never ends; nobody waits for the answer.
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(&encode_command(&["SET", "lost", "x"])).unwrap();
    appliance
        .wait_for_status("the disk to be missed", |status| status["watchdog"]["starved"] == "disk");
    appliance.signal("KILL");
    wait::expect("it to be deaf", || !ping(port));
    let status = appliance.wait_for_status("PID 1 and the agent to answer", |_| true);
    let later = count(&status, "uptime_ms") + VAIN_MS;
    let status =
        appliance.wait_for_status("time to pass", |status| count(status, "uptime_ms") > later);
    let server = &status["services"]["server"];
    assert_eq!((count(server, "run"), &server["last_exit"]), (1, &Value::Null), "{status:#}");
    assert_eq!(status["services"]["agent"]["restarts"], 0, "{status:#}");
    assert_eq!(status["init_allocations"], 0, "{status:#}");

    appliance.disk().silence(false);
    appliance.wait_for_server("back", |server| is_ready(server) && count(server, "run") >= 2);
    assert_eq!(appliance.redis("redis-cli", &["get", "kept"]), "before\n");
    let status = appliance.wait_for_status("fed", |status| status["watchdog"]["starved"] == "no");
    assert_eq!(status["boot"]["count"], 1, "{status:#}");
}
