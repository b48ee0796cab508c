//! `signal SERVICE NAME`: how tests hurt a machine or container from outside. `signal init PANIC`,
//! `signal init ALLOCATE`, `signal init SPIN` and `signal init FAULT` make PID 1 itself fail;
//! `signal init NOAGENT` takes the agent away for good; `signal clock SECONDS` sets the clock by so
//! many, as a time server would that is wrong by them.
//!
//! Only builds with the `test-hooks` feature do it, and only when the kernel command line has
//! `holdfast.test_hooks=1` or the environment `HOLDFAST_TEST_HOOKS=1`. What ships answers with an
//! error.

#[cfg(feature = "test-hooks")]
use holdfast_supervisor::channel::ToInit;

use crate::run::Shared;

#[cfg(not(feature = "test-hooks"))]
pub(super) fn signal(_: &Shared, _: &str, _: &str) -> String {
    "error: this build does not send signals\n".to_owned()
}

#[cfg(feature = "test-hooks")]
pub(super) fn signal(shared: &Shared, service: &str, signal: &str) -> String {
    match try_signal(shared, service, signal) {
        Ok(()) => "ok\n".to_owned(),
        Err(message) => format!("error: {message}\n"),
    }
}

#[cfg(feature = "test-hooks")]
fn try_signal(shared: &Shared, service: &str, signal: &str) -> Result<(), String> {
    if !is_allowed() {
        return Err("the kernel command line does not have holdfast.test_hooks=1".to_owned());
    }
    let message = message(shared, service, signal)?;
    shared.link.send(&message).map_err(|error| error.to_string())
}

#[cfg(feature = "test-hooks")]
fn is_allowed() -> bool {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    holdfast_supervisor::cmdline::value(&line, "holdfast.test_hooks") == Some("1")
        || std::env::var("HOLDFAST_TEST_HOOKS").as_deref() == Ok("1")
}

#[cfg(feature = "test-hooks")]
fn message(shared: &Shared, service: &str, signal: &str) -> Result<ToInit, String> {
    use holdfast_supervisor::channel::Failure;

    match (service, signal) {
        ("clock", seconds) => return step(seconds),
        ("init", "PANIC") => return Ok(ToInit::Fail(Failure::Panic)),
        ("init", "ALLOCATE") => return Ok(ToInit::Fail(Failure::Allocate)),
        ("init", "SPIN") => return Ok(ToInit::Fail(Failure::Spin)),
        ("init", "FAULT") => return Ok(ToInit::Fail(Failure::Fault)),
        ("init", "NOAGENT") => return Ok(ToInit::Fail(Failure::NoAgent)),
        _ => {}
    }
    let number = match signal.trim_start_matches("SIG") {
        "HUP" => 1,
        "INT" => 2,
        "ABRT" => 6,
        "KILL" => 9,
        "SEGV" => 11,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        other => return Err(format!("unknown signal {other}")),
    };
    let snapshot = shared.snapshot.borrow();
    let found = snapshot.as_ref().and_then(|snapshot| snapshot.service(service));
    let (slot, _) = found.ok_or_else(|| format!("no service named {service}"))?;
    Ok(ToInit::Signal { slot: slot as u8, number })
}

#[cfg(feature = "test-hooks")]
fn step(seconds: &str) -> Result<ToInit, String> {
    let seconds: i64 = seconds.parse().map_err(|_| format!("{seconds} is no number"))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_s = now.map_err(|error| error.to_string())?.as_secs();
    let unix_s = now_s.checked_add_signed(seconds).ok_or("a time before 1970")?;
    Ok(ToInit::StepClock { unix_ms: unix_s * 1000 })
}
