//! A keeper on a real directory, by clocks that the test turns.

use std::fs;
use std::path::PathBuf;

use holdfast_supervisor::clock::BUILT_AT;
use tempfile::TempDir;

use super::super::bundle::Bundle;
use super::super::issue;
use super::super::schedule::DAY_S;
use super::super::{set, store};
use super::*;

const START: Unix = BUILT_AT + 30 * DAY_S;
const LIFE_S: i64 = 14 * DAY_S;

struct Device {
    folder: TempDir,
    keeper: Keeper,
    look: Look,
}

impl Device {
    fn new(origin: Origin) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = Tls { origin, ..Tls::default() };
        let keeper = Keeper::open(&folder.path().join("tls"), tls).expect("opened");
        let look = Look {
            wall: START,
            mono: 1,
            confirmed: false,
            entropy: true,
            host: "edge".into(),
            names: vec![Name::Dns("edge".into())],
            chosen: vec![outside()],
            settled: true,
        };
        Self { folder, keeper, look }
    }

    fn own() -> Self {
        let mut device = Self::new(Origin::SelfCa { life_s: LIFE_S });
        assert!(device.turn(), "the first certificate");
        device
    }

    /// One look and its work; true when the server has something new.
    fn turn(&mut self) -> bool {
        let Some(job) = self.keeper.look(&self.look) else { return false };
        let result = job.run(&self.keeper.store().clone());
        self.keeper.done(&job, result, self.look.mono)
    }

    fn pass(&mut self, seconds: i64) {
        self.look.wall += seconds;
        self.look.mono += seconds.unsigned_abs() * 1000;
    }

    /// Off for so long, then a new process.
    fn restart(&mut self, off_s: i64) {
        self.look.wall += off_s;
        self.look.mono = 1;
        let tls = self.keeper.tls.clone();
        self.keeper = Keeper::open(&self.folder.path().join("tls"), tls).expect("opened");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("tls").join(name)
    }

    fn serial(&self) -> String {
        self.keeper.in_use.as_ref().expect("in use").facts.serial.clone()
    }

    /// What is on disk, judged as a client would now.
    #[track_caller]
    fn assert_serves(&self) {
        let authority = self.path("ca.crt");
        let current = self.path("current");
        let bundle =
            set::read(&current.join("server.crt"), &current.join("server.key"), Some(&authority));
        let mut names = self.look.names.clone();
        names.retain(|name| !self.keeper.left_out().contains(name));
        let judged = bundle.and_then(|bundle| bundle.check(&names, Some(self.look.wall)));
        judged.unwrap_or_else(|faults| panic!("{}", set::sentence(&faults)));
        assert!(!self.keeper.is_late() && self.keeper.trouble.is_none());
    }
}

#[test]
fn a_new_device_makes_its_authority_and_a_certificate_once() {
    let mut device = Device::own();
    device.assert_serves();
    let serial = device.serial();
    for _ in 0..100 {
        device.pass(5);
        assert!(!device.turn());
    }
    device.restart(3600);
    assert!(!device.turn());
    assert_eq!(device.serial(), serial);
}

#[test]
fn renewal_keeps_the_authority_and_only_three_sets() {
    let mut device = Device::own();
    let authority = fs::read(device.path("ca.crt")).expect("an authority");
    for _ in 0..5 {
        device.pass(10 * DAY_S);
        assert!(device.turn());
        device.assert_serves();
    }
    assert_eq!(fs::read(device.path("ca.crt")).expect("still there"), authority);
    let sets = fs::read_dir(device.path("")).expect("listed").flatten();
    let sets = sets.filter(|entry| entry.file_name().to_string_lossy().starts_with('v'));
    assert_eq!(sets.count(), 3);
}

#[test]
fn sixty_days_off_end_with_a_good_certificate_at_the_first_look() {
    let mut device = Device::own();
    device.restart(60 * DAY_S);
    assert!(device.keeper.in_use.is_some(), "the old one is what there is");
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn a_lost_authority_is_replaced_when_the_next_certificate_is_due() {
    for damage in ["ca.key", "ca.crt"] {
        let mut device = Device::own();
        let serial = device.serial();
        fs::remove_file(device.path(damage)).expect("removed");
        device.restart(60);
        assert!(!device.turn(), "what clients know is still good");
        assert!(device.keeper.authority.is_none());
        assert_eq!(device.serial(), serial);
        device.restart(20 * DAY_S);
        assert!(device.turn());
        device.assert_serves();
        assert!(device.keeper.authority.is_some());
    }
}

#[test]
fn a_damaged_authority_is_set_aside_not_thrown_away() {
    let mut device = Device::own();
    fs::write(device.path("ca.key"), "garbage").expect("written");
    device.restart(20 * DAY_S);
    assert!(device.turn());
    device.assert_serves();
    assert_eq!(fs::read(device.path("ca.key.previous")).expect("kept"), b"garbage");
    assert!(device.path("ca.crt.previous").exists());
}

fn outside() -> Name {
    Name::Dns("cache.example".into())
}

#[test]
fn an_authority_of_an_older_release_stays_and_signs_whatever_is_configured() {
    let mut device = Device::new(Origin::SelfCa { life_s: LIFE_S });
    let old = issue::authority("edge", &Constraints::default(), START).expect("an authority");
    fs::write(device.path("ca.crt"), &old.certificate).expect("written");
    fs::write(device.path("ca.key"), &old.key).expect("written");
    assert!(device.turn());
    device.look.names.push(outside());
    device.pass(60);
    assert!(device.turn());
    device.assert_serves();
    assert_eq!(device.keeper.left_out(), []);
    assert_eq!(fs::read_to_string(device.path("ca.crt")).expect("there"), old.certificate);
}

#[test]
fn a_name_that_the_authority_does_not_permit_is_left_out_until_there_is_a_new_one() {
    let mut device = Device::own();
    let (authority, serial) = (fs::read(device.path("ca.crt")).expect("there"), device.serial());
    device.look.names.push(outside());
    for _ in 0..100 {
        device.pass(60);
        assert!(!device.turn(), "nothing that is permitted is missing");
    }
    assert!(device.keeper.left_out() == [outside()] && device.keeper.misses_a_choice());
    device.look.names.push(Name::Dns("edge.local".into()));
    assert!(device.turn(), "this is permitted");
    assert_ne!(device.serial(), serial);
    device.assert_serves();
    assert_eq!(fs::read(device.path("ca.crt")).expect("there"), authority);

    device.keeper.ask_anew();
    assert!(device.turn());
    assert!(device.keeper.left_out().is_empty() && !device.keeper.misses_a_choice());
    device.assert_serves();
    assert_eq!(fs::read(device.path("ca.crt.previous")).expect("kept"), authority);
    let authority = fs::read(device.path("ca.crt")).expect("there");
    device.pass(10 * DAY_S);
    assert!(device.turn());
    assert_eq!(fs::read(device.path("ca.crt")).expect("there"), authority, "once is once");
}

#[test]
fn a_new_authority_waits_for_the_machines_address_and_a_renewal_does_not() {
    let mut device = Device::new(Origin::SelfCa { life_s: LIFE_S });
    device.look.settled = false;
    assert!(!device.turn());
    assert_eq!(device.keeper.decision, Decision::AwaitAddress);
    device.look.names.push(Name::Ip([203, 0, 113, 7].into()));
    device.look.settled = true;
    assert!(device.turn());
    device.assert_serves();
    assert_eq!(device.keeper.left_out(), []);
    device.look.settled = false;
    device.restart(60 * DAY_S);
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn a_new_authority_whose_certificate_was_not_made_signs_one_at_the_next_start() {
    let mut device = Device::own();
    let names = device.look.names.clone();
    authority::create(&device.keeper.store().clone(), "edge", &names, START).expect("made");
    device.restart(1);
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn damaged_or_missing_sets_are_made_again() {
    let mut device = Device::own();
    fs::write(device.path("current/server.key"), "garbage").expect("written");
    device.restart(60);
    assert!(device.keeper.in_use.is_none() && device.keeper.trouble.is_some());
    assert!(device.turn());
    device.assert_serves();
    fs::remove_dir_all(device.path("current").canonicalize().expect("a set")).expect("removed");
    device.pass(120);
    assert!(device.turn(), "noticed without a restart");
    device.assert_serves();
}

#[test]
fn a_clock_at_1970_keeps_what_there_is_and_makes_nothing() {
    let mut device = Device::own();
    let serial = device.serial();
    device.look.wall = 100;
    device.restart(0);
    for _ in 0..100 {
        device.pass(3600);
        assert!(!device.turn());
    }
    assert_eq!(device.keeper.decision, Decision::AwaitClock);
    assert_eq!(device.serial(), serial);
    (device.look.wall, device.look.confirmed) = (START + 60 * DAY_S, true);
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn ten_years_ahead_and_back_end_with_the_old_authority_and_a_good_certificate() {
    let mut device = Device::own();
    let authority = fs::read(device.path("ca.crt")).expect("an authority");
    device.pass(600);
    device.look.wall += 3700 * DAY_S;
    assert!(!device.turn(), "no client would know a new authority");
    assert!(device.keeper.trouble.as_ref().is_some_and(|why| why.contains("may be wrong")));
    device.pass(3600);
    device.look.wall -= 3700 * DAY_S;
    for _ in 0..800 {
        device.pass(5);
        device.turn();
    }
    device.assert_serves();
    assert_eq!(fs::read(device.path("ca.crt")).expect("still there"), authority);
}

#[test]
fn the_last_time_seen_is_the_floor_of_the_next_start() {
    let mut device = Device::own();
    for _ in 0..25 {
        device.pass(3600);
        device.turn();
    }
    let seen = device.look.wall;
    device.restart(-5 * 3600);
    device.pass(10);
    device.keeper.ask();
    assert!(!device.turn());
    assert_eq!(device.keeper.decision, Decision::AwaitClock);
    device.restart(seen - device.look.wall);
    device.keeper.ask();
    assert!(device.turn());
}

#[test]
fn without_randomness_it_waits() {
    let mut device = Device::new(Origin::SelfCa { life_s: LIFE_S });
    device.look.entropy = false;
    assert!(!device.turn());
    assert_eq!(device.keeper.decision, Decision::AwaitEntropy);
    assert!(device.keeper.is_late(), "there is none to serve with");
    device.look.entropy = true;
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn a_new_address_is_named_by_a_new_certificate() {
    let mut device = Device::own();
    device.look.names.push(Name::Ip([10, 0, 0, 7].into()));
    device.pass(60);
    assert!(device.turn());
    device.assert_serves();
    device.look.names.pop();
    device.pass(60);
    assert!(!device.turn(), "one name too many harms nobody");
}

#[test]
fn a_disk_that_refuses_is_tried_again_later() {
    let mut device = Device::own();
    let serial = device.serial();
    // Where the set would be built there is a file that cannot be a directory.
    fs::write(device.path("v0002.new"), "in the way").expect("written");
    device.pass(10 * DAY_S);
    assert!(!device.turn());
    assert!(device.keeper.trouble.as_ref().is_some_and(|why| why.starts_with("cannot keep")));
    assert_eq!(device.serial(), serial);
    device.pass(5);
    assert!(!matches!(device.keeper.look(&device.look), Some(Job::Make { .. })), "not at once");
    fs::remove_file(device.path("v0002.new")).expect("removed");
    device.pass(10);
    assert!(device.turn());
    device.assert_serves();
}

/// An operator's files, signed by an authority of its own.
struct Operator {
    folder: TempDir,
    authority: issue::Pair,
}

impl Operator {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority =
            issue::authority("operator", &Constraints::default(), START).expect("an authority");
        let operator = Self { folder, authority };
        operator.write("ca.crt", &operator.authority.certificate);
        operator
    }

    fn write(&self, name: &str, text: &str) {
        let building = self.folder.path().join("building");
        fs::write(&building, text).expect("written");
        fs::rename(building, self.folder.path().join(name)).expect("renamed");
    }

    fn renew(&self, now: Unix) {
        let signer = issue::signer(&self.authority).expect("a signer");
        let name = [Name::Dns("cache.example".into())];
        let pair = issue::server(&signer, &name, now, LIFE_S).expect("a certificate");
        self.write("tls.crt", &pair.certificate);
        self.write("tls.key", &pair.key);
    }

    fn files(&self) -> Files {
        let path = |name: &str| self.folder.path().join(name);
        Files {
            certificate: path("tls.crt"),
            key: path("tls.key"),
            authority: Some(path("ca.crt")),
        }
    }
}

#[test]
fn an_operators_files_are_taken_when_they_change_and_kept_for_bad_times() {
    let operator = Operator::new();
    operator.renew(START);
    let mut device = Device::new(Origin::Files(operator.files()));
    assert!(device.turn());
    let first = device.serial();
    device.pass(5);
    assert!(!device.turn(), "unchanged");

    operator.renew(START + DAY_S);
    device.pass(5);
    assert!(!device.turn(), "not while they change");
    device.pass(5);
    assert!(device.turn());
    let second = device.serial();
    assert_ne!(first, second);

    fs::remove_file(operator.files().key).expect("removed");
    device.restart(DAY_S);
    assert!(!device.turn());
    assert_eq!(device.serial(), second, "the last good one");
    let trouble = device.keeper.trouble.clone().expect("said");
    assert!(trouble.contains("tls.key: cannot be read"), "{trouble}");
}

#[test]
fn a_half_written_pair_is_refused_and_taken_once_it_is_whole() {
    let operator = Operator::new();
    operator.renew(START);
    let mut device = Device::new(Origin::Files(operator.files()));
    assert!(device.turn());
    let first = device.serial();
    let key = fs::read_to_string(operator.files().key).expect("a key");
    operator.renew(START);
    let whole = fs::read_to_string(operator.files().key).expect("a key");
    operator.write("tls.key", &key);
    for _ in 0..3 {
        device.pass(5);
        assert!(!device.turn());
    }
    assert_eq!(device.serial(), first);
    assert!(device.keeper.trouble.as_ref().is_some_and(|why| why.contains("is not the key of")));
    operator.write("tls.key", &whole);
    device.pass(5);
    device.turn();
    device.pass(5);
    assert!(device.turn());
    assert!(device.keeper.trouble.is_none());
}

#[test]
fn files_that_are_not_valid_yet_are_taken_when_they_are() {
    let operator = Operator::new();
    operator.renew(START + 3 * DAY_S);
    let mut device = Device::new(Origin::Files(operator.files()));
    assert!(!device.turn());
    assert!(device.keeper.trouble.as_ref().is_some_and(|why| why.contains("not valid yet")));
    device.pass(3 * DAY_S);
    assert!(device.turn());
}

#[test]
fn an_operators_set_gives_way_to_the_devices_own_when_that_is_configured() {
    let operator = Operator::new();
    operator.renew(START);
    let mut device = Device::new(Origin::Files(operator.files()));
    assert!(device.turn());
    let tls = Tls { origin: Origin::SelfCa { life_s: LIFE_S }, ..Tls::default() };
    device.keeper.configure(tls);
    assert!(device.turn());
    device.assert_serves();
}

#[test]
fn what_is_installed_is_what_was_judged() {
    let device = Device::own();
    let read = |name: &str| store::read_bounded(&device.path("current").join(name)).expect(name);
    let Bundle { certificate, key, .. } =
        &device.keeper.in_use.as_ref().expect("in use").set.bundle;
    assert_eq!(
        (read("server.crt"), read("server.key")),
        (certificate.bytes.clone(), key.bytes.clone())
    );
    assert_eq!(read("ca.crt"), fs::read(device.path("ca.crt")).expect("an authority"));
    assert!(!read("client.crt").is_empty() && !read("client.key").is_empty());
}
