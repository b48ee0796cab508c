//! A holdfast.toml on the data partition: it counts instead of the image's, and its mistakes stop nothing.

use serde_json::{Value, json};

use crate::appliance::data::power_off;
use crate::appliance::partition;
use crate::appliance::rig::{Appliance, count, is_degraded, is_ready};

const SITE: &str = "/data/holdfast/holdfast.toml";

fn boot(disk: Vec<u8>) -> Appliance {
    Appliance::boot_from(disk, &[], |machine| machine.reboots = false)
}

#[track_caller]
fn assert_configured(appliance: &Appliance, plan: &str, maxclients: &str) -> Value {
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    let config = &status["config"];
    assert_eq!((&config["path"], &config["plan"]), (&json!(SITE), &json!(plan)), "{config}");
    if appliance.guest.console().text().contains("starting by the built-in plan") {
        // The agent was late on a busy machine: the file's arguments are those of the next run.
        appliance.signal("KILL");
        let has_file_s = |server: &Value| is_ready(server) && count(server, "run") >= 2;
        appliance.wait_for_server("its next run", has_file_s);
    }
    let told = appliance.redis("redis-cli", &["config", "get", "maxclients"]);
    assert_eq!(told, format!("maxclients\n{maxclients}\n"));
    status
}

/// Three boots: of a fresh disk; with a good file; with one that has a mistake.
#[test]
fn a_file_on_the_data_partition_replaces_the_image_s_and_the_last_good_one_holds() {
    let mut first =
        boot(holdfast_tests::appliance::blank_disk(holdfast_tests::appliance::DATA_MIB));
    let status = first.wait_for_status("ready", |status| status["ready"] == true);
    assert_eq!(status["config"]["path"], "/etc/holdfast/holdfast.toml", "{status:#}");
    let mut disk = power_off(&mut first);
    drop(first);

    partition::write(&mut disk, "holdfast.toml", "[server]\nargs = [\"--maxclients\", \"77\"]\n");
    let mut second = boot(disk);
    let status = assert_configured(&second, "file", "77");
    assert_eq!(status["config"]["errors"], json!([]), "{status:#}");
    assert!(!is_degraded(&status, "config-refused"), "{status:#}");
    let mut disk = power_off(&mut second);
    drop(second);

    partition::write(&mut disk, "holdfast.toml", "[server]\n  typo = 1\n");
    let third = boot(disk);
    let status = assert_configured(&third, "last-good", "77");
    let error = &status["config"]["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&json!(2), &json!(3)), "{status:#}");
    assert!(is_degraded(&status, "config-refused"), "{status:#}");
    let console = third.guest.console().text();
    assert!(console.contains(&format!("{SITE}:2:3: unknown key server.typo")), "{console}");
}
