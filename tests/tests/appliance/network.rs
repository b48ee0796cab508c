//! The booted appliance and its network: DHCP where nothing else is said, and real servers on a wire
//! that answer, refuse, fall silent and are pulled.

use holdfast_image::machine::{Boot, Machine};
use holdfast_tests::appliance::Appliance;
use holdfast_tests::wait;

use crate::appliance::wire::Wire;

/// What QEMU's own network gives whoever asks.
const LEASE: &str = "10.0.2.15/24";

/// As a machine starts that nobody has told anything.
fn without_ip(machine: &mut Machine) {
    if let Boot::Direct { cmdline, .. } = &mut machine.boot {
        let words = cmdline.split(' ').filter(|word| !word.starts_with("ip="));
        *cmdline = words.collect::<Vec<_>>().join(" ");
    }
}

fn asks_for_its_address(words: &[&str], shape: impl FnOnce(&mut Machine)) {
    let appliance = Appliance::boot_with(words, shape);
    let status = appliance.status_now();
    let network = &status["network"];
    assert_eq!((&network["mode"], &network["state"]), (&"dhcp".into(), &"bound".into()));
    assert_eq!(network["address"], LEASE);
    let degraded = status["degraded"].to_string();
    assert!(!degraded.contains("no-network") && !degraded.contains("no-lease"), "{degraded}");
    assert_eq!(status["init_allocations"], 0, "leases are applied without a heap");
    // It may ask by ARP, also behind the list of its system calls.
    let console = appliance.guest.console().text();
    assert!(!console.contains("cannot ask who has"), "{console}");
}

#[test]
fn a_machine_that_is_told_nothing_asks_for_its_address() {
    asks_for_its_address(&[], without_ip);
}

#[test]
fn ip_dhcp_asks_for_the_address() {
    asks_for_its_address(&["ip=dhcp"], |_| ());
}

#[test]
fn the_server_is_ready_though_no_dhcp_server_ever_answers() {
    // A card whose cable ends nowhere.
    let appliance = Appliance::power_on(&["ip=:::::eth1:dhcp"], |machine| {
        let words = ["-netdev", "hubport,id=nowhere,hubid=7"];
        machine.extra.extend(words.map(Into::into));
        let card = "virtio-net-pci,netdev=nowhere,romfile=";
        machine.extra.extend(["-device", card].map(Into::into));
    });
    let console = || appliance.guest.console().tail().to_string();
    let ready = wait::until(holdfast_tests::appliance::BOOT, || {
        console().contains("server is ready").then_some(())
    });
    assert!(ready.is_some(), "{}", console());
    assert!(!console().contains("network: 10."), "{}", console());
}

/// One boot for all of it: booting takes most of the time.
#[test]
fn a_machine_follows_its_dhcp_and_time_servers() {
    let mut wire = Wire::new();
    wire.serve_time();
    wire.serve_addresses("10.77.0.50,10.77.0.60");
    let machine = Appliance::power_on(&["ip=:::::eth1:dhcp"], |machine| wire.shape(machine));
    wire.plug();

    // What init applies answers, from another network, too: that is the default route.
    let first = wire.leased("10.77.0.5");
    wire.wait("an answer", || wire.status(&first)["services"]["server"]["state"] == "ready");
    wire.wait("renewals", || wire.requests() >= 3);
    wire.wait("no allocation", || wire.status(&first)["init_allocations"] == 0);

    // Its clock started in 2020.
    wire.wait("the clock", || {
        let degraded = wire.status(&first)["degraded"].clone();
        degraded.is_array() && !degraded.to_string().contains("clock-unset")
    });
    wire.wait("its line", || machine.guest.console().text().contains("clock: set, +"));

    // Refused, it gives the address up and takes another.
    wire.stop_serving();
    wire.forget_leases();
    wire.serve_time();
    wire.serve_addresses("10.77.0.200,10.77.0.210");
    let second = wire.leased("10.77.0.2");
    let mut status = wire.status(&second);
    wire.wait("an answer", || {
        status = wire.status(&second);
        status["network"]["state"] == "bound"
    });
    assert!(wire.status(&first).is_null(), "the old address is gone");
    assert_eq!(status["init_allocations"], 0, "{status:#}");
    assert_eq!(status["services"]["server"]["restarts"], 0, "{status:#}");
}
