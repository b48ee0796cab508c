//! Peers that speak something else, or nothing, or too much.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use holdfast_tests::authority::{Authority, HERE, Time};
use holdfast_tests::resp::Value;
use holdfast_tests::wait::{self, PATIENCE};

use crate::tls::rig::Rig;

fn start(args: &[&str]) -> Rig {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let args = [&["--tls-auth-clients", "no"], args].concat();
    Rig::start(authority, &server, &args)
}

fn socket(rig: &Rig) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, rig.port())).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket
}

/// What comes until the server closes.
fn answer(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

#[track_caller]
fn serves(rig: &Rig) {
    let config = rig.authority.client_config(None);
    let mut client = rig.connect(&config).expect("a handshake");
    assert_eq!(client.run("PING"), Value::status("PONG"));
}

#[test]
fn who_speaks_without_tls_is_closed_without_a_word() {
    let rig = start(&[]);
    let mut plain = socket(&rig);
    plain.write_all(b"PING\r\n").unwrap();
    assert_eq!(answer(plain), b"");
    let said = "Error accepting a client connection: wrong version number (addr=127.0.0.1:";
    wait::expect(said, || rig.server.log().contains(said));
    serves(&rig);
}

#[test]
fn noise_and_broken_handshakes_do_no_harm() {
    let rig = start(&[]);
    let mut noise = 0x9e37_79b9_u32;
    for round in 0..300_usize {
        let mut peer = socket(&rig);
        let mut bytes = vec![22, 3, 1, (round >> 2) as u8, round as u8];
        bytes.extend((0..round * 7).map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            noise as u8
        }));
        // The server may have closed already.
        let _ = peer.write_all(&bytes);
        let _ = peer.shutdown(std::net::Shutdown::Write);
        answer(peer);
    }
    wait::expect("all of them are gone", || rig.info("connected_clients") == "1");
    serves(&rig);
}

/// They are no clients yet, and count all the same.
#[test]
fn peers_that_say_nothing_take_places_and_no_more_than_there_are() {
    let rig = start(&["--maxclients", "20"]);
    let silent: Vec<TcpStream> = (0..40).map(|_| socket(&rig)).collect();
    wait::expect("half of them are refused", || {
        rig.info("rejected_connections").parse::<usize>().is_ok_and(|count| count >= 20)
    });
    drop(silent);
    let config = rig.authority.client_config(None);
    wait::expect("places are free again", || rig.connect(&config).is_ok());
    serves(&rig);
    // Who looks whether the port is open is nothing to warn of.
    assert!(!rig.server.log().contains("Error accepting"), "{}", rig.server.log());
}

#[test]
fn a_handshake_ends_in_time() {
    let rig = start(&[]);
    let mut slow = socket(&rig);
    slow.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    slow.write_all(&[22, 3, 1]).unwrap();
    assert_eq!(answer(slow), b"");
    wait::expect("the log says so", || rig.server.log().contains("handshake takes too long"));
}
