//! Leases from a real dnsmasq: gained, renewed, refused, and kept through what happens to machines.

use std::net::Ipv4Addr;

use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::plan::network::Route;

use crate::network::rig::{Cable, DEVICE, read};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// dnsmasq for one range of addresses, for two minutes each, which is its least.
pub(crate) fn serve(cable: &mut Cable, range: &str, options: &str) {
    let leases = cable.path("leases");
    let words = format!(
        "--keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --port=0 --no-ping \
         --interface={DEVICE} --bind-interfaces --dhcp-authoritative --log-dhcp --log-facility=- \
         --dhcp-leasefile={} --dhcp-range={range},255.255.255.0,2m {options}",
        leases.display()
    );
    cable.serve("dnsmasq", &words);
}

/// T1 after three seconds and T2 after six.
const HASTY: &str = "--dhcp-option-force=58,3s --dhcp-option-force=59,6s";
pub(crate) const FIRST: &str = "10.77.0.50,10.77.0.60";

pub(crate) fn told(cable: &Cable) -> String {
    read(&cable.path("dnsmasq.log"))
}

fn leased(start: &str, options: &str) -> Cable {
    let mut cable = Cable::new(start, "");
    serve(&mut cable, FIRST, options);
    cable.start_agent();
    cable.wait("a lease", |cable| !cable.leases().is_empty());
    cable
}

#[test]
fn a_lease_comes_with_everything_that_the_server_knows() {
    let cable = leased(
        "",
        "--dhcp-option=3,10.77.0.1 --dhcp-option=6,10.77.0.1,9.9.9.9 --dhcp-option=15,lan.example \
         --dhcp-option=42,10.77.0.1 --dhcp-option-force=26,1400 --dhcp-option-force=12,edge-12 \
         --dhcp-option-force=121,10.99.0.0/16,10.77.0.7,0.0.0.0/0,10.77.0.1",
    );
    let lease = &cable.leases()[0];
    let network = &lease.network;
    assert_eq!(network.device, DEVICE);
    assert!((50..=60).contains(&network.address.octets()[3]), "{network:?}");
    assert_eq!((network.prefix, network.gateway), (24, Some(SERVER)));
    assert_eq!(network.dns, [Some(SERVER), Some(Ipv4Addr::new(9, 9, 9, 9))]);
    assert_eq!((lease.hostname.as_str(), lease.domain.as_str()), ("edge-12", "lan.example"));
    assert_eq!(lease.mtu, 1400);
    let via = Some(Ipv4Addr::new(10, 77, 0, 7));
    assert_eq!(
        lease.routes[..],
        [Route { to: Ipv4Addr::new(10, 99, 0, 0), prefix: 16, gateway: via }]
    );
    assert!((100..=120).contains(&lease.lease_s), "{lease:?}");
    assert_eq!(cable.count(|m| matches!(m, ToInit::LinkUp { .. })), 1);
}

/// Searches for a server: more than one before the first lease, where the server was late.
fn discovers(cable: &Cable) -> usize {
    told(cable).matches("DHCPDISCOVER(").count()
}

#[test]
fn a_lease_is_renewed_for_as_long_as_its_server_answers() {
    let cable = leased("", HASTY);
    let before = discovers(&cable);
    cable.wait("three renewals", |cable| cable.leases().len() >= 4);
    let leases = cable.leases();
    assert!(leases.iter().all(|lease| lease.network == leases[0].network), "{leases:#?}");
    assert_eq!(discovers(&cable), before, "{}", told(&cable));
    assert_eq!(cable.count(|m| *m == ToInit::NoLease), 0);
}

#[test]
fn an_address_that_is_refused_is_given_up_for_a_new_one() {
    let mut cable = leased("", HASTY);
    cable.stop_serving();
    std::fs::remove_file(cable.path("leases")).unwrap();
    serve(&mut cable, "10.77.0.200,10.77.0.210", "");
    let renumbered = |cable: &Cable| {
        cable.leases().last().is_some_and(|lease| lease.network.address.octets()[3] >= 200)
    };
    cable.wait("an address of the new range", renumbered);
    assert!(told(&cable).contains("DHCPNAK("), "{}", told(&cable));
    assert_eq!(cable.count(|m| *m == ToInit::NoLease), 1);
}

#[test]
fn silence_is_waited_out() {
    let mut cable = Cable::new("ip=dhcp", "");
    cable.start_agent();
    cable.wait("the interface", |cable| cable.count(|m| matches!(m, ToInit::LinkUp { .. })) == 1);
    // The first question goes unheard; a later one does not.
    cable.wait("the first DISCOVER", |cable| {
        let sent = std::process::Command::new("ip")
            .args(["-n", cable.server_side(), "-s", "-j", "link", "show", DEVICE])
            .output();
        let json: serde_json::Value = serde_json::from_slice(&sent.unwrap().stdout).unwrap();
        json[0]["stats64"]["rx"]["packets"].as_u64().is_some_and(|packets| packets > 0)
    });
    assert!(cable.has_no_lease());
    serve(&mut cable, FIRST, "");
    cable.wait("a lease", |cable| !cable.has_no_lease());
}

#[test]
fn an_agent_that_is_killed_goes_on_with_the_lease_it_had() {
    let mut cable = leased("", "");
    let before = discovers(&cable);
    cable.wait("the lease on disk", |cable| cable.path("data/holdfast/lease.json").exists());
    cable.kill_agent();
    cable.start_agent();
    cable.wait("the lease confirmed", |cable| cable.leases().len() >= 2);
    let leases = cable.leases();
    assert_eq!(leases[0].network, leases[1].network);
    assert_eq!(discovers(&cable), before, "{}", told(&cable));
    assert_eq!(cable.count(|m| *m == ToInit::NoLease), 0, "connections were left alone");
}

#[test]
fn a_cable_that_is_pulled_keeps_the_lease_and_is_asked_about_it_again() {
    let cable = leased("", "");
    let before = discovers(&cable);
    cable.server_ip(&format!("link set {DEVICE} down"));
    cable.wait("no link", |cable| cable.state() == "no link");
    cable.server_ip(&format!("link set {DEVICE} up"));
    cable.wait("the lease confirmed", |cable| cable.leases().len() >= 2);
    assert_eq!(cable.count(|m| *m == ToInit::NoLease), 0);
    assert_eq!(discovers(&cable), before, "{}", told(&cable));
}

#[test]
fn a_card_that_is_taken_out_and_put_back_gets_its_address_back() {
    let mut cable = leased("", "");
    cable.stop_serving();
    cable.unplug();
    cable.wait("the address given up", Cable::has_no_lease);
    cable.plug();
    serve(&mut cable, FIRST, "");
    cable.wait("a lease", |cable| !cable.has_no_lease());
    let leases = cable.leases();
    assert_eq!(leases[0].network, leases[leases.len() - 1].network);
    assert_eq!(
        cable.count(|m| matches!(m, ToInit::LinkUp { .. })),
        2,
        "the new card is brought up"
    );
}

#[test]
fn a_fixed_address_is_not_asked_for() {
    let mut cable = Cable::new("", "[network]\naddress = \"10.77.0.9/24\"\n");
    serve(&mut cable, FIRST, "");
    cable.start_agent();
    cable.wait("the interface", |cable| cable.count(|m| matches!(m, ToInit::LinkUp { .. })) == 1);
    cable.wait("the report", |cable| cable.status()["network"]["mode"] == "static");
    assert_eq!(cable.status()["network"]["address"], "10.77.0.9/24");
    assert!(!told(&cable).contains("DHCPDISCOVER"));
    let mut off = Cable::new("ip=off", "");
    off.start_agent();
    off.wait("the report", |cable| cable.status()["network"]["mode"] == "off");
}
