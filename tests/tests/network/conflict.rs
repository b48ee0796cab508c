//! An address that somebody else has: found before a leased one is used, and told of a fixed one.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;

use holdfast_image::ensure_packages;
use holdfast_tests::wait;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use crate::network::dhcp::{FIRST, serve, told};
use crate::network::rig::{Cable, DEVICE};

/// Of the agent's card.
const AGENT: [u8; 6] = [2, 0, 0, 0, 0, 9];
const FRAME_BYTES: usize = 42;

/// Frames of others at full speed: claims to addresses that nobody asks about, packets cut off and
/// packets of nothing.
const FLOOD: &str = r#"
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
mac = b"\x02\0\0\0\0\x66"
head = b"\xff" * 6 + mac + b"\x08\x06"
asks = bytes.fromhex("0001080006040001")
claim = lambda n: mac + bytes([10, 77, 0, n]) + bytes(6) + bytes([10, 77, 0, n])
frames = [head + asks + claim(n) for n in range(200, 208)]
frames += [head + asks[:n] for n in range(9)] + [head + b"\xff" * 200]
while True:
    for frame in frames:
        try:
            wire.send(frame)
        except OSError:
            pass
"#;

/// What the agent's card says by ARP, as (from, about).
type Said = Arc<Mutex<Vec<([u8; 4], [u8; 4])>>>;

fn listen(cable: &Cable) -> Said {
    let said = Said::default();
    let heard = Said::clone(&said);
    let socket = cable.in_server_namespace(|| {
        let flags = SocketFlags::CLOEXEC;
        socket_with(AddressFamily::PACKET, SocketType::RAW, flags, Some(eth::ARP)).unwrap()
    });
    // Ends with the test's process.
    thread::spawn(move || {
        let mut frame = [0; FRAME_BYTES];
        while let Ok((len, _)) = recv(&socket, &mut frame[..], RecvFlags::empty()) {
            if len == FRAME_BYTES && frame[6..12] == AGENT {
                let quad = |at: usize| frame[at..at + 4].try_into().expect("four bytes");
                heard.lock().unwrap().push((quad(28), quad(38)));
            }
        }
    });
    said
}

fn is_degraded(cable: &Cable) -> bool {
    cable.status()["degraded"].to_string().contains("address-conflict")
}

#[test]
fn an_address_is_asked_about_three_times_before_it_is_used_and_announced_twice() {
    let mut cable = Cable::new("", "");
    let said = listen(&cable);
    serve(&mut cable, FIRST, "");
    cable.start_agent();
    cable.wait("a lease", |cable| !cable.leases().is_empty());
    let address = cable.leases()[0].network.address.octets();
    let count = |from| said.lock().unwrap().iter().filter(|each| **each == (from, address)).count();
    cable.wait("two announcements", |_| count(address) >= 2);
    assert_eq!(count([0; 4]), 3, "{said:?}");
}

#[test]
fn an_address_that_somebody_has_is_declined_and_never_used() {
    let mut cable = Cable::new("", "");
    cable.server_ip("addr add 10.77.0.70/32 dev lo");
    // No other address is to be had, so that what is seen stays to be seen.
    serve(&mut cable, "10.77.0.0,static", "--dhcp-host=02:00:00:00:00:09,10.77.0.70");
    cable.start_agent();
    cable.wait("a DECLINE", |cable| told(cable).contains("DHCPDECLINE("));
    cable.wait("it to be told", is_degraded);
    let conflict = &cable.status()["network"]["conflict"];
    assert_eq!(conflict["address"], "10.77.0.70", "{:#}", cable.status());
    assert!(conflict["by"].as_str().is_some_and(|mac| mac.len() == 17), "{conflict}");
    assert!(cable.log().contains("10.77.0.70 is declined"), "{}", cable.log());
    assert_eq!(cable.leases(), [], "init was not told of it");

    cable.stop_serving();
    serve(&mut cable, FIRST, "");
    cable.wait("another address", |cable| !cable.leases().is_empty());
    assert!((50..=60).contains(&cable.leases()[0].network.address.octets()[3]));
    cable.wait("it to be over", |cable| cable.state() == "bound" && !is_degraded(cable));
}

#[test]
fn a_fixed_address_that_somebody_has_is_told_until_nobody_has_it() {
    let mut cable = Cable::new("", "[network]\naddress = \"10.77.0.9/24\"\n");
    cable.server_ip("addr add 10.77.0.9/32 dev lo");
    cable.start_agent();
    cable.wait("it to be told", is_degraded);
    assert_eq!(cable.status()["network"]["conflict"]["address"], "10.77.0.9");
    cable.server_ip("addr del 10.77.0.9/32 dev lo");
    // A link that comes back is looked at at once.
    cable.server_ip(&format!("link set {DEVICE} down"));
    cable.wait("no link", |cable| cable.state() == "no link");
    cable.server_ip(&format!("link set {DEVICE} up"));
    cable.wait("it to be over", |cable| cable.state() == "bound" && !is_degraded(cable));
}

#[test]
fn a_flood_of_arp_neither_holds_up_nor_takes_an_address() {
    ensure_packages(&["python3"]).unwrap();
    let mut cable = Cable::new("", "");
    let script = cable.path("flood.py");
    fs::write(&script, FLOOD).unwrap();
    cable.serve("python3", &script.display().to_string());
    serve(&mut cable, FIRST, "");
    cable.start_agent();
    cable.wait("a lease", |cable| !cable.leases().is_empty());
    assert!(!told(&cable).contains("DHCPDECLINE("), "{}", told(&cable));
    wait::expect("an answer", || cable.status()["network"]["state"] == "bound");
    assert!(!is_degraded(&cable));
}
