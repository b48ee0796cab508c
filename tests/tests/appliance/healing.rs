//! The usual machine, in little memory: it serves what Redis' own tools ask; and when its server
//! hangs, eats all memory or is killed, it is back.

use holdfast_image::machine::ping;
use holdfast_tests::wait;

use crate::appliance::rig::{Appliance, command, count, fill, is_ready};

/// One boot for all of it: booting takes longer than anything that is looked at.
#[test]
fn it_serves_and_its_server_comes_back() {
    let appliance = Appliance::boot();
    serves_redis_tools(&appliance);
    serves_fifty_clients_at_once(&appliance);
    finds_a_server_that_hangs(&appliance);
    kills_a_server_that_eats_all_memory_alone(&appliance);
    waits_longer_for_a_server_killed_again_and_again(&appliance);
}

fn serves_redis_tools(appliance: &Appliance) {
    assert_eq!(appliance.redis("redis-cli", &["set", "a", "b"]), "OK\n");
    assert_eq!(appliance.redis("redis-cli", &["get", "a"]), "b\n");
    appliance.wait_for_server("ready", is_ready);
    let status = appliance.status_now();
    assert_eq!(status["init_allocations"], 0, "PID 1 allocated after its start: {status:#}");
}

/// QEMU's own forward loses most of so many clients at once. The requests are enough that the few
/// who come through cannot do the work of all.
fn serves_fifty_clients_at_once(appliance: &Appliance) {
    let load = ["-c", "50", "-n", "50000", "-t", "set,get", "-q"];
    let report = appliance.redis("redis-benchmark", &load);
    for line in ["SET: ", "GET: "] {
        assert!(report.contains(line) && report.contains("requests per second"), "{report}");
    }
}

fn finds_a_server_that_hangs(appliance: &Appliance) {
    appliance.wait_for_server("ready", is_ready);
    appliance.signal("STOP");
    appliance.wait_for_server("found hung", |server| count(server, "hangs") == 1);
    appliance.wait_for_server("ready again", is_ready);
    wait::expect("the server answers", || ping(appliance.guest.port()));
}

fn kills_a_server_that_eats_all_memory_alone(appliance: &Appliance) {
    // Left to itself it refuses what its cgroup has no room for; told that there is, it believes.
    let answer = fill(appliance.guest.port());
    assert!(answer.is_some_and(|line| line.starts_with("-OOM ")), "writes are refused in time");
    assert_eq!(count(&appliance.status_now()["services"]["server"], "oom_kills"), 0);
    command(appliance.guest.port(), &["CONFIG", "SET", "maxmemory", "100gb"]);
    fill(appliance.guest.port());
    appliance.wait_for_server("killed for its memory", |server| count(server, "oom_kills") >= 1);
    appliance.wait_for_server("ready again", is_ready);
    let status = appliance.status_now();
    assert_eq!(status["services"]["agent"]["restarts"], 0, "the agent lived on: {status:#}");
}

fn waits_longer_for_a_server_killed_again_and_again(appliance: &Appliance) {
    /// holdfast.toml's `backoff_initial_ms`: only a later back-off is longer.
    const FIRST_WAIT_MS: u64 = 250;
    /// A run that lasted long forgives the failures before it, so a busy machine needs some more.
    const KILLS: u64 = 8;
    let before = count(&appliance.status_now()["services"]["server"], "restarts");
    let mut waits_ms = Vec::new();
    for kills in 1..=KILLS {
        appliance.wait_for_server("ready", is_ready);
        appliance.signal("KILL");
        appliance.wait_for_server("restarted", |server| {
            waits_ms.extend(server["next_start_in_ms"].as_u64());
            is_ready(server) && count(server, "restarts") >= before + kills
        });
        if waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS) {
            break;
        }
    }
    let longer = waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS);
    assert!(longer, "time to the next start as seen in `status`: {waits_ms:?}");
    wait::expect("the server answers again", || ping(appliance.guest.port()));
}
