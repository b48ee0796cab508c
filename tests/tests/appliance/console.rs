//! Commands at the console of the booted appliance, typed at its serial line.

use std::time::Duration;

use holdfast_tests::appliance::BOOT;
use holdfast_tests::wait;

use crate::appliance::rig::{Appliance, command, count};

/// Types it; what the console shows from then on, once `answer` is in it.
#[track_caller]
fn type_in(appliance: &Appliance, text: &str, answer: &str) -> String {
    let console = || appliance.guest.console().text();
    let before = console().len();
    appliance.guest.keyboard().type_in(text.as_bytes()).unwrap();
    let since = || console().get(before..).unwrap_or_default().to_owned();
    let answered = wait::until(BOOT, || since().contains(answer).then_some(()));
    assert!(answered.is_some(), "{text:?}: no {answer:?}\n{}", since());
    since()
}

fn boot() -> Appliance {
    let appliance = Appliance::boot_with_disk(&[], |_| ());
    appliance.wait_for_status("ready", |status| status["ready"] == true);
    appliance
}

#[track_caller]
fn assert_value(appliance: &Appliance, value: &str) {
    assert_eq!(appliance.redis("redis-cli", &["get", "kept"]).trim_end(), value);
}

fn set(appliance: &Appliance, value: &str) {
    let reply = command(appliance.guest.port(), &["SET", "kept", value]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"));
}

/// Where the backup is that the console has just told of.
fn path_of(shown: &str) -> String {
    let begin = shown.find("/data/holdfast/backups/").expect("a path");
    let end = shown[begin..].find(".rdb").expect("its end") + 4;
    shown[begin..begin + end].to_owned()
}

#[test]
fn a_backup_is_made_verified_and_restored_and_a_factory_reset_removes_all() {
    let mut appliance = boot();
    set(&appliance, "before");
    let backup = path_of(&type_in(&appliance, "holdfast backup\n", "verified"));
    type_in(&appliance, "holdfast backup --list\n", &backup);
    type_in(&appliance, &format!("holdfast verify {backup}\n"), ": good: 1 keys");
    set(&appliance, "after");
    type_in(&appliance, &format!("holdfast restore {backup}\n"), "done: ");
    assert_value(&appliance, "before");

    let refused = type_in(&appliance, "holdfast restore /data/none.rdb\n", "not done: ");
    assert!(refused.contains("/data/none.rdb"), "{refused}");
    type_in(&appliance, "holdfast verify /etc/passwd\n", "not done: ");
    assert_value(&appliance, "before");

    type_in(&appliance, "holdfast factory-reset\n", "this is no command");
    appliance.qmp().forget();
    type_in(&appliance, "holdfast factory-reset --yes\n", "begins anew with an empty /data");
    let reset = appliance.qmp().wait_for("RESET", BOOT);
    assert!(reset.is_some(), "{}", appliance.guest.console().tail());
    let status = appliance.wait_for_status("anew", |status| {
        status["ready"] == true && status["boot"]["last_end"] == "unknown"
    });
    assert_eq!(status["boot"]["count"], 1, "{status:#}");
    assert_eq!(status["backup"]["count"], 0, "{status:#}");
    assert_value(&appliance, "");
}

#[test]
fn services_are_looked_after_and_a_holdfast_toml_is_put_in_its_place() {
    let appliance = boot();
    let run = || {
        let status = appliance.status_now();
        count(&status["services"]["server"], "run")
    };
    let before = run();
    type_in(&appliance, "holdfast status\n", "allocations since start-up");
    type_in(&appliance, "holdfast logs server -n 200\n", "Ready to accept connections");
    type_in(&appliance, "holdfast restart server\n", "done: server is ready");
    assert!(run() > before);

    let wrong = "holdfast config put\n[server]\n  typo = 1\n.\n";
    let refused = type_in(&appliance, wrong, "nothing is changed");
    assert!(refused.contains("2:3: unknown key server.typo"), "{refused}");
    let file = "[server]\nargs = [\"--maxclients\", \"77\"]\n";
    let put = format!("holdfast config put\n{file}.\n");
    type_in(&appliance, &put, "done: /data/holdfast/holdfast.toml is read");
    type_in(&appliance, "holdfast config\n", "# /data/holdfast/holdfast.toml");
    type_in(&appliance, "holdfast restart server\n", "done: server is ready");
    let told = appliance.redis("redis-cli", &["config", "get", "maxclients"]);
    assert_eq!(told, "maxclients\n77\n");
    type_in(&appliance, "holdfast reload\n", "done: /data/holdfast/holdfast.toml is read");
    type_in(&appliance, "holdfast config reset\n", "done: /etc/holdfast/holdfast.toml is read");

    for noise in ["status\n", "\u{1b}[A\u{7}\n", &format!("{}\n", "holdfast ".repeat(600))] {
        appliance.guest.keyboard().type_in(noise.as_bytes()).unwrap();
    }
    appliance.guest.keyboard().type_in(b"\xff\x00\xfe\n\x04\n").unwrap();
    type_in(&appliance, "holdfast frobnicate\n", "this is no command; see holdfast help");
    type_in(&appliance, "holdfast help\n", "holdfast factory-reset --yes");
    let status = appliance.status_now();
    assert_eq!(status["services"]["agent"]["restarts"], 0, "{status:#}");
    assert_eq!(status["init_allocations"], 0);
}

/// The shipped holdfast.toml has it off, as the kernel command line has here.
#[test]
fn where_it_is_off_nothing_is_obeyed() {
    let appliance = Appliance::boot_with(&["holdfast.console=off"], |_| ());
    let before = appliance.wait_for_status("ready", |status| status["ready"] == true);
    let shown = || appliance.guest.console().text().contains("holdfast poweroff").then_some(());
    // The machine's own lines may come into the middle of what it echoes: then once more.
    let typed = wait::until(BOOT, || {
        appliance.guest.keyboard().type_in(b"holdfast poweroff\n").unwrap();
        wait::until(Duration::from_secs(5), shown)
    });
    assert!(typed.is_some(), "{}", appliance.guest.console().tail());
    // Long enough for an agent that would read it.
    let later = count(&before, "uptime_ms") + Duration::from_secs(3).as_millis() as u64;
    let status = appliance.wait_for_status("later", |now| count(now, "uptime_ms") >= later);
    assert_eq!((&status["ready"], &status["control"]["requests"]), (&true.into(), &0.into()));
    assert!(!appliance.guest.console().text().contains("commands are taken here"));
}
