//! The clock: a real chrony that is believed, and servers of a few lines that are not.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::channel::ToInit;
use serde_json::Value;

use crate::network::rig::{Cable, DEVICE};

/// From 1900 to 1970.
const EPOCH_S: u64 = 2_208_988_800;
const HOUR: Duration = Duration::from_secs(3600);

/// Says what this machine's clock shows, and leaves that alone.
fn chrony(cable: &mut Cable) {
    let config = cable.path("chrony.conf");
    let text = "local stratum 8\nallow all\nbindaddress 10.77.0.1\ncmdport 0\nbindcmdaddress /\n";
    let pid = cable.path("chrony.pid");
    fs::write(&config, format!("{text}pidfile {}\n", pid.display())).unwrap();
    cable.serve("chronyd", &format!("-x -d -u root -f {}", config.display()));
}

/// A server at that address which answers each question with these packets.
fn answer(cable: &Cable, address: &str, answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    cable.server_ip(&format!("addr add {address}/24 dev {DEVICE}"));
    let address = address.to_owned();
    let socket = cable.in_server_namespace(move || UdpSocket::bind((&*address, 123)).unwrap());
    std::thread::spawn(move || {
        let mut question = [0; 128];
        // Ends with the test's process: the namespace is gone before, and with it the questions.
        while let Ok((len, from)) = socket.recv_from(&mut question) {
            for packet in answers(&question[..len]) {
                let _ = socket.send_to(&packet, from);
            }
        }
    });
}

/// What a server says whose clock is ahead by so much.
fn ahead(question: &[u8], by: Duration) -> Vec<u8> {
    let mut packet = vec![0; 48];
    packet[..2].copy_from_slice(&[4 << 3 | 4, 1]);
    packet[24..32].copy_from_slice(&question[40..48]);
    let time = (now() + by).as_secs() + EPOCH_S;
    let fraction = u64::from((now() + by).subsec_nanos()) * (1 << 32) / 1_000_000_000;
    let time = (time << 32 | fraction).to_be_bytes();
    packet[32..40].copy_from_slice(&time);
    packet[40..].copy_from_slice(&time);
    packet
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// The agent with an address and these time servers.
fn start(config: &str, options: &str) -> Cable {
    let mut cable = Cable::new("", config);
    crate::network::dhcp::serve(&mut cable, crate::network::dhcp::FIRST, options);
    cable
}

fn steps(cable: &Cable) -> usize {
    cable.count(|message| matches!(message, ToInit::StepClock { .. }))
}

fn slews(cable: &Cable) -> usize {
    cable.count(|message| matches!(message, ToInit::SlewClock { .. }))
}

/// How often the clock was steered, or set to about what this machine shows: a busy one is late with
/// an answer.
fn corrections(cable: &Cable) -> usize {
    let near = |ms: u64| Duration::from_millis(ms).abs_diff(now()) < Duration::from_secs(90);
    cable.count(|message| match message {
        ToInit::SlewClock { .. } => true,
        ToInit::StepClock { unix_ms } => near(*unix_ms),
        _ => false,
    })
}

fn assert_only_corrected(cable: &Cable) {
    assert_eq!(steps(cable) + slews(cable), corrections(cable), "all clocks are this machine's");
}

fn last(cable: &Cable) -> Value {
    cable.status()["time"]["last"].clone()
}

#[test]
fn the_time_server_that_dhcp_names_is_asked_and_believed() {
    let mut cable = start("", "--dhcp-option=42,10.77.0.1");
    chrony(&mut cable);
    cable.start_agent();
    cable.wait("the clock steered", |cable| corrections(cable) >= 1);
    assert_only_corrected(&cable);
    assert_eq!(cable.status()["time"]["servers"], serde_json::json!(["10.77.0.1"]));
    let last = last(&cable);
    assert!(last["error_us"].as_i64().is_some_and(|error| error < 1_000_000), "{last}");
}

#[test]
fn a_clock_that_is_an_hour_behind_is_stepped_once() {
    let mut cable = start("[time]\nntp = [\"10.77.0.3\"]\n", "");
    answer(&cable, "10.77.0.3", |question| vec![ahead(question, HOUR)]);
    cable.start_agent();
    cable.wait("the clock set", |cable| steps(cable) == 1);
    let set_to = |message: &ToInit| match message {
        ToInit::StepClock { unix_ms } => Duration::from_millis(*unix_ms).abs_diff(now() + HOUR),
        _ => Duration::MAX,
    };
    let near = |message: &ToInit| set_to(message) < Duration::from_secs(20);
    assert_eq!(cable.count(near), 1, "to within what a busy machine takes");
}

#[test]
fn a_server_that_lies_is_outvoted_by_two_that_do_not() {
    let mut cable = start("[time]\nntp = [\"10.77.0.3\", \"10.77.0.1\", \"10.77.0.2\"]\n", "");
    answer(&cable, "10.77.0.3", |question| vec![ahead(question, HOUR)]);
    answer(&cable, "10.77.0.2", |question| vec![ahead(question, Duration::ZERO)]);
    chrony(&mut cable);
    cable.start_agent();
    cable.wait("agreement", |cable| corrections(cable) >= 1);
    let last = last(&cable);
    assert_eq!((&last["agreeing"], &last["answers"]), (&2.into(), &3.into()), "{last}");
    assert_only_corrected(&cable);
}

#[test]
fn floods_of_wrong_answers_move_nothing() {
    let mut cable = start("[time]\nntp = [\"10.77.0.3\"]\n", "");
    answer(&cable, "10.77.0.3", |question| {
        let good = ahead(question, HOUR);
        let spoilt = |at: usize| {
            let mut packet = good.clone();
            packet[at] ^= 0xff;
            packet
        };
        // Somebody else's answers, unsynchronised ones, dead ones, halves, and a great deal of them.
        let kinds = [spoilt(24), spoilt(0), spoilt(1), good[..47].to_vec(), vec![0xff; 500]];
        (0..1_000).map(|at| kinds[at % kinds.len()].clone()).collect()
    });
    cable.start_agent();
    let asked = |cable: &Cable| cable.status()["time"]["servers"][0] == "10.77.0.3";
    cable.wait("a round of questions", asked);
    // It still does everything else: a lease, a report, another round.
    cable.wait("a lease", |cable| !cable.has_no_lease());
    let waits = |cable: &Cable| cable.status()["time"]["next_in_ms"].as_u64() > Some(4_000);
    cable.wait("longer waits", waits);
    assert_eq!((steps(&cable), slews(&cable)), (0, 0));
    assert!(last(&cable).is_null());
}

#[test]
fn an_empty_list_asks_nobody() {
    let mut cable = start("[time]\nntp = []\n", "--dhcp-option=42,10.77.0.1");
    answer(&cable, "10.77.0.3", |question| vec![ahead(question, HOUR)]);
    chrony(&mut cable);
    cable.start_agent();
    cable.wait("a lease", |cable| !cable.has_no_lease());
    cable.wait("the report", |cable| cable.status()["time"]["servers"].is_array());
    assert_eq!((steps(&cable), slews(&cable)), (0, 0));
}
