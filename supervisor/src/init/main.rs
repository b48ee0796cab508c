//! holdfast-init: PID 1 of a Holdfast machine or container.
//!
//! One thread and one loop ([`supervisor`]). Start-up may allocate; then the heap is sealed and
//! nothing allocates any more ([`sys::heap`]). What is absent on purpose: threads, an async
//! runtime, TOML, TLS, and anything that parses bytes from outside the machine. `unsafe` lives in
//! [`sys`] alone, and in the one attribute below that names the entry point.
//!
//! The entry point is C's `main`, not Rust's: Rust's own start-up aborts when the standard streams
//! are closed and there is no /dev/null, which is how a kernel may start PID 1.
#![cfg_attr(not(test), no_main)]

mod arguments;
mod cgroup;
mod console;
mod crash;
mod finish;
mod heart;
mod held;
mod keeper;
mod launch;
mod log;
mod meeting_place;
mod metal;
mod notify;
mod reserve;
mod sandbox;
mod service;
mod signals;
mod supervisor;
mod sys;
mod watchdog;

use holdfast_supervisor::snapshot::Mode;

// SAFETY: the crate has no other symbol named `main`; the C runtime calls it once.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main() -> i32 {
    console::open_missing_streams();
    let words = sys::process::arguments();
    if let Some(code) = arguments::other_names(&words) {
        return code;
    }
    crash::install_hook();
    let mode = signals::detect_mode();
    crash::set_mode(mode);
    if mode == Mode::Container {
        arguments::make_place_for_sh(&words);
    }
    let machine = match mode {
        Mode::Metal => metal::start(),
        Mode::Container => metal::Machine::container(),
    };
    let launch = launch::Launch::new(mode, &words, &machine);
    supervisor::run(machine, launch)
}
