//! The server is killed, hangs, eats all memory: it is back.

use holdfast_image::machine::ping;
use holdfast_tests::wait;

use crate::rig::{Appliance, command, count, fill, is_ready};

#[test]
fn a_server_killed_again_and_again_is_waited_for_longer_and_comes_back() {
    /// holdfast.toml's `backoff_initial_ms`: only a later back-off is longer.
    const FIRST_WAIT_MS: u64 = 250;
    /// A run that lasted long forgives the failures before it, so a busy machine needs some more.
    const KILLS: u64 = 8;
    let appliance = Appliance::boot();
    let mut waits_ms = Vec::new();
    for kills in 1..=KILLS {
        appliance.wait_for_server("ready", is_ready);
        appliance.signal("KILL");
        appliance.wait_for_server("restarted", |server| {
            waits_ms.extend(server["next_start_in_ms"].as_u64());
            is_ready(server) && count(server, "restarts") >= kills
        });
        if waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS) {
            break;
        }
    }
    let longer = waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS);
    assert!(longer, "time to the next start as seen in `status`: {waits_ms:?}");
    wait::expect("the server answers again", || ping(appliance.guest.port()));
}

#[test]
fn a_server_that_hangs_is_found_killed_and_back() {
    let appliance = Appliance::boot();
    appliance.wait_for_server("ready", is_ready);
    appliance.signal("STOP");
    appliance.wait_for_server("found hung", |server| count(server, "hangs") >= 1);
    appliance.wait_for_server("ready again", is_ready);
    assert!(ping(appliance.guest.port()));
}

#[test]
fn a_server_that_eats_all_memory_is_killed_alone_and_back() {
    let appliance = Appliance::boot();
    appliance.wait_for_server("ready", is_ready);
    // Left to itself it refuses what its cgroup has no room for; told that there is, it believes.
    let answer = fill(appliance.guest.port());
    assert!(answer.is_some_and(|line| line.starts_with("-OOM ")), "writes are refused in time");
    assert_eq!(count(&appliance.status().unwrap()["services"]["server"], "oom_kills"), 0);
    command(appliance.guest.port(), &["CONFIG", "SET", "maxmemory", "100gb"]);
    fill(appliance.guest.port());
    appliance.wait_for_server("killed for its memory", |server| count(server, "oom_kills") >= 1);
    appliance.wait_for_server("ready again", is_ready);
    let status = appliance.status().unwrap();
    assert_eq!(status["services"]["agent"]["restarts"], 0, "the agent lived on: {status:#}");
}
