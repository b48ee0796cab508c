//! What the manager hears of us: that we are alive, how far loading is, that we are ready, which
//! sockets to keep.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::Shared;
use crate::net::sockets::{Binding, BoundUnix};
use crate::process::manager::Manager;

/// How often loading is told of.
const LOADING_PERIOD: Duration = Duration::from_secs(5);
/// Within this time of the last progress loading must go on, or the manager may call it stuck.
const LOADING_PATIENCE: Duration = Duration::from_secs(30);

/// Sent for as long as the process is well. The engine's lock is what shows that: a thread that holds
/// it for ever, or a runtime that has no turn for this task, is found out. Loading lets go of it
/// between pieces.
pub(super) async fn keep_alive(shared: Arc<Shared>, manager: &'static Manager) {
    let Some(watchdog) = manager.watchdog else { return };
    loop {
        drop(shared.engine());
        manager.tell_now("WATCHDOG=1\n");
        shared.timers.sleep(watchdog / 2).await;
    }
}

/// Tells how far loading is, and asks for more time while it moves.
pub(super) async fn follow_loading(shared: Arc<Shared>, manager: &'static Manager) {
    let mut before = None;
    let begun = Instant::now();
    loop {
        let Some(loading) = shared.engine().persistence.loading else { return };
        let (done, total) = (loading.loaded_bytes, loading.total_bytes);
        let mut state = format!(
            "STATUS=Loading: {} of {} MB in {} s\n",
            done >> 20,
            total >> 20,
            begun.elapsed().as_secs()
        );
        if before.replace((done, total)) != Some((done, total)) {
            state += &format!("EXTEND_TIMEOUT_USEC={}\n", LOADING_PATIENCE.as_micros());
        }
        manager.tell_now(&state);
        shared.timers.sleep(LOADING_PERIOD).await;
    }
}

/// Gives the manager those sockets that it does not keep yet; all of them after it was made to
/// forget one, as they have one name.
pub(super) fn keep_sockets(manager: &Manager, tcp: &Binding, unix: Option<&BoundUnix>) {
    if tcp.forgets {
        manager.release();
    }
    let is_new = |is_held: bool| tcp.forgets || !is_held;
    let unix = unix.filter(|bound| is_new(bound.is_held())).map(AsFd::as_fd);
    let tcp = tcp.sockets.iter().filter(|bound| is_new(bound.is_held())).map(AsFd::as_fd);
    manager.hold(tcp.chain(unix));
}

/// What is read again on SIGHUP is being read. systemd wants to know since when
/// (`Type=notify-reload`).
pub(super) fn tell_reloading(manager: &Manager) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    manager.tell(&format!("RELOADING=1\nMONOTONIC_USEC={us}\n"));
}
