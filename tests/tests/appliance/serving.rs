//! It serves what Redis' own tools ask, in little memory.

use crate::rig::{Appliance, is_ready};

#[test]
fn it_serves_redis_tools_with_96_mib() {
    let appliance = Appliance::boot();
    assert_eq!(appliance.redis("redis-cli", &["set", "a", "b"]), "OK\n");
    assert_eq!(appliance.redis("redis-cli", &["get", "a"]), "b\n");
    appliance.wait_for_server("ready", is_ready);
    let status = appliance.status().unwrap();
    assert_eq!(status["init_allocations"], 0, "PID 1 allocated after its start: {status:#}");
}

/// QEMU's own forward loses most of so many clients at once. The requests are enough that the few
/// who come through cannot do the work of all.
#[test]
fn fifty_clients_at_once_are_all_served() {
    let appliance = Appliance::boot();
    let load = ["-c", "50", "-n", "50000", "-t", "set,get", "-q"];
    let report = appliance.redis("redis-benchmark", &load);
    for line in ["SET: ", "GET: "] {
        assert!(report.contains(line) && report.contains("requests per second"), "{report}");
    }
}
