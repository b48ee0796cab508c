//! Machines that lack what machines have: a console, /dev/null, randomness, a clock; and a network card
//! that is pulled while they run.

use std::time::Duration;

use holdfast_image::machine::{Boot, Machine};
use holdfast_image::rootfs::Tree;
use holdfast_tests::appliance::{BOOT, overlay};
use holdfast_tests::wait;
use serde_json::{Value, json};

use crate::appliance::rig::{Appliance, command, count, is_degraded};

const YEAR_S: i64 = 365 * 86_400;
/// 2026-01-01: no release is older.
const RELEASE_S: i64 = 1_767_225_600;

#[track_caller]
fn assert_undisturbed(appliance: &Appliance) -> Value {
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    for name in ["server", "agent"] {
        assert_eq!(count(&status["services"][name], "restarts"), 0, "{name}: {status:#}");
    }
    assert_eq!(status["init_allocations"], 0, "{status:#}");
    assert_eq!(status["boot"]["count"], 1, "{status:#}");
    assert_eq!(status["watchdog"]["starved"], "no", "{status:#}");
    status
}

/// The kernel finds no console of that name, and takes no other in its place.
fn mute(machine: &mut Machine) {
    if let Boot::Direct { cmdline, .. } = &mut machine.boot {
        let words = cmdline.split(' ').filter(|word| !word.starts_with("console="));
        *cmdline = words.chain(["console=ttyNONE0"]).collect::<Vec<_>>().join(" ");
    }
}

fn press_ctrl_alt_del(appliance: &mut Appliance) {
    let key = |name: &str| json!({ "type": "qcode", "data": name });
    let keys = json!({ "keys": [key("ctrl"), key("alt"), key("delete")], "hold-time": 20 });
    appliance.qmp().ask("send-key", keys);
}

/// Stopped, the server ends by nothing that an orderly end would do within ten minutes.
#[test]
fn without_console_and_dev_null_it_serves_and_the_eighth_ctrl_alt_del_waits_for_nobody() {
    let toml = "[server]\nstop_grace_ms = 600000\n[server.liveness]\nfailure_threshold = 1000\n";
    let mut appliance = Appliance::boot_with_disk(&[], |machine| {
        let mut files = Tree::default();
        files.configure(toml);
        // A link to nowhere stands for a device that is not there.
        files.link("dev/console", "/nowhere");
        files.link("dev/null", "/nowhere");
        overlay(machine, &files);
        mute(machine);
    });
    assert_undisturbed(&appliance);
    appliance.wait_for_status("the file", |status| status["config"]["plan"] == "file");
    appliance.signal("STOP");
    appliance.qmp().forget();
    // As many as it takes for eight of them to come within two seconds.
    let reset = wait::until(BOOT, || {
        press_ctrl_alt_del(&mut appliance);
        appliance.qmp().wait_for("RESET", Duration::from_millis(50))
    });
    assert!(reset.is_some(), "no reset");
    appliance
        .wait_for_status("back", |status| status["ready"] == true && status["boot"]["count"] == 2);
}

/// The machine's only one, with the lease that it has.
fn pull_the_card_and_put_it_back(appliance: &mut Appliance) {
    let is_bound = |status: &Value| status["network"]["state"] == "bound";
    let address = appliance.wait_for_status("a lease", is_bound)["network"]["address"].clone();
    appliance.qmp().ask("device_del", json!({ "id": "card" }));
    let gone = appliance.qmp().wait_for("DEVICE_DELETED", BOOT);
    assert!(gone.is_some(), "{}", appliance.guest.console().tail());
    let console = || appliance.guest.console().text();
    let given_up = wait::until(BOOT, || console().contains("is given up").then_some(()));
    assert!(given_up.is_some(), "{}", console());
    let card = json!({
        "driver": "virtio-net-pci", "id": "card", "bus": "bay", "netdev": "net", "romfile": "",
    });
    appliance.qmp().ask("device_add", card);
    let status = appliance.wait_for_status("a lease again", is_bound);
    assert_eq!(status["network"]["address"], address);
}

/// What the server's clock shows, in Unix seconds.
fn clock(appliance: &Appliance) -> i64 {
    let told = appliance.redis("redis-cli", &["time"]);
    told.lines().next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{told}"))
}

fn jump(appliance: &Appliance, seconds: i64) {
    let before = clock(appliance);
    appliance.hurt("clock", &seconds.to_string());
    let day = 86_400;
    wait::expect("the clock", || (clock(appliance) - before - seconds).abs() < day);
}

/// Whose last day is not before that year.
fn certificate_until(appliance: &Appliance, year: &str) -> Value {
    let has = |status: &Value| {
        let until = status["certificates"]["not_after"].as_str();
        until.is_some_and(|until| until >= year) && !is_degraded(status, "no-entropy")
    };
    appliance.wait_for_status(year, has)["certificates"].clone()
}

/// Scenario 32, on a machine without a source of randomness. The second certificate takes a minute,
/// in which the network card is pulled.
#[test]
fn jumps_of_the_clock_by_ten_years_and_a_card_that_is_pulled_disturb_nobody() {
    let mut appliance = Appliance::boot_with_disk(&["ip=dhcp"], |machine| {
        let mut files = Tree::default();
        files.configure("[tls]\nmode = \"self-ca\"\n");
        overlay(machine, &files);
        (machine.has_entropy, machine.has_bay) = (false, true);
        machine.extra.extend(["-rtc", "base=1970-01-01T00:00:00,clock=vm"].map(Into::into));
    });
    assert!(clock(&appliance) >= RELEASE_S, "never before the release");
    let console = appliance.guest.console().text();
    assert!(console.contains("clock: it was behind what is known to be past"), "{console}");
    let first = certificate_until(&appliance, "2026");
    let port = appliance.guest.port();
    assert_eq!(command(port, &["SET", "kept", "x", "EX", "1000000"]).as_deref(), Some("+OK\r\n"));

    jump(&appliance, 10 * YEAR_S);
    jump(&appliance, -10 * YEAR_S);
    // Before the release, which nobody is believed.
    let before = clock(&appliance);
    appliance.hurt("clock", &(-10 * YEAR_S).to_string());
    let said = || appliance.guest.console().text().contains("before this software was built");
    wait::expect("the refusal", said);
    assert!((clock(&appliance) - before).abs() < 86_400);
    jump(&appliance, 10 * YEAR_S);
    let status = appliance.status_now();
    let jumped_at = count(&status, "uptime_ms");
    pull_the_card_and_put_it_back(&mut appliance);
    let second = certificate_until(&appliance, "2036");
    assert_ne!(first["serial"], second["serial"]);

    // By then the watchdog would have fired.
    let timeout_ms = 1_000 * count(&status["watchdog"], "timeout_s");
    appliance.wait_for_status("it to go on", |status| {
        count(status, "uptime_ms") > jumped_at + timeout_ms + 1_000
    });
    assert_undisturbed(&appliance);
    let left: i64 = appliance.redis("redis-cli", &["ttl", "kept"]).trim().parse().unwrap();
    assert!((1..=1_000_000).contains(&left) && left > 900_000, "{left} s");
}
