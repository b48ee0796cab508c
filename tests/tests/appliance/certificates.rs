//! A machine that has been without power for longer than its certificate lives.

use std::path::Path;
use std::process::Command;

use holdfast_image::disk;
use holdfast_image::rootfs::Tree;
use holdfast_tests::appliance::overlay;
use holdfast_tests::wait;
use serde_json::{Value, json};

use crate::appliance::rig::{Appliance, is_ready};

/// On the port that is reached from outside, and nothing but TLS on it.
const CONFIG: &str = "[tls]\nmode = \"self-ca\"\nport = 6379\nplaintext = false\n";

const DATA_MIB: u64 = 64;

/// Enough for programs with everything a debugger wants, too.
const MEMORY_MIB: u32 = 256;

/// On this disk, by a hardware clock that shows this.
fn boot(disk: &Path, clock: &str) -> Appliance {
    let drive = format!("if=none,id=data,format=raw,file={}", disk.display());
    let clock = format!("base={clock},clock=vm");
    let words = ["-drive", &drive, "-device", "virtio-blk-pci,drive=data", "-rtc", &clock];
    // Not waited for by a PING, which would have to speak TLS.
    let appliance = Appliance::power_on(&["holdfast.data=disk"], |machine| {
        machine.memory_mib = MEMORY_MIB;
        machine.extra.extend(words.map(Into::into));
        let mut files = Tree::default();
        files.configure(CONFIG);
        overlay(machine, &files);
    });
    appliance.wait_for_server("ready", is_ready);
    appliance
}

fn certificate(appliance: &Appliance) -> Value {
    let mut last = Value::Null;
    let found = wait::until(wait::PATIENCE, || {
        last = appliance.status()?["certificates"].clone();
        last["serial"].is_string().then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("no certificate: {last}\n{}", appliance.guest.console().tail()))
}

fn answers_over_tls(appliance: &Appliance) -> bool {
    let port = appliance.guest.port().to_string();
    let mut cli = Command::new("timeout");
    cli.args(["180", "redis-cli", "-p", &port, "--tls", "--insecure", "ping"]);
    cli.output().expect("redis-tools").stdout.trim_ascii() == b"PONG"
}

fn until(certificate: &Value) -> &str {
    certificate["not_after"].as_str().and_then(|time| time.get(..10)).unwrap_or_default()
}

#[test]
fn a_machine_that_was_off_for_sixty_days_comes_up_serving_tls() {
    let files = tempfile::tempdir().expect("a folder");
    let data = files.path().join("disk.img");
    disk::write(&data, b"not used", DATA_MIB).expect("a disk");
    let appliance = boot(&data, "2027-01-01T00:00:00");
    // Its authority is made once it has its address.
    wait::expect("the first certificate", || answers_over_tls(&appliance));
    let first = certificate(&appliance);
    assert_eq!(until(&first), "2027-01-15");
    assert_eq!((&first["left_out"], &first["constrained"]), (&json!([]), &json!(true)));
    drop(appliance);

    let appliance = boot(&data, "2027-03-02T00:00:00");
    wait::expect("TLS", || answers_over_tls(&appliance));
    wait::expect("another certificate", || certificate(&appliance)["serial"] != first["serial"]);
    let second = certificate(&appliance);
    assert_eq!(until(&second), "2027-03-16");
    assert_eq!(second["authority"], true);
    let degraded = appliance.status_now()["degraded"].to_string();
    assert!(!degraded.contains("\"certificate-"), "{degraded}");
}
