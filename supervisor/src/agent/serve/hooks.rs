//! `signal SERVICE NAME`: how the tests of the booted machine hurt it.
//!
//! Only builds with the `test-hooks` feature do it, and only when the kernel command line has
//! `holdfast.test_hooks=1`. What ships answers with an error.

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
    use holdfast_supervisor::{channel::ToInit, cmdline};

    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if cmdline::value(&line, "holdfast.test_hooks") != Some("1") {
        return Err("the kernel command line does not have holdfast.test_hooks=1".to_owned());
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
    let message = ToInit::Signal { slot: slot as u8, number };
    shared.link.send(&message).map_err(|error| error.to_string())
}
