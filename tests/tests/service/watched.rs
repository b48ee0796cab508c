//! What the manager hears: ready, alive, loading, stopping.

use std::time::Duration;

use holdfast_tests::resp::Value;

use crate::service::manager::Manager;

/// The watchdog of these tests; a beat comes every 100 ms.
const WATCHDOG_USEC: &str = "200000";
/// Long enough for ten beats.
const SILENCE: Duration = Duration::from_secs(1);

#[test]
fn it_is_ready_beats_and_stops() {
    let mut manager = Manager::new(&[]);
    manager.set("WATCHDOG_USEC", WATCHDOG_USEC);
    manager.start();
    let ready = manager.hear_of("READY=1");
    assert!(ready.contains("STATUS=Ready to accept connections\n"), "{ready}");
    for _ in 0..3 {
        manager.hear_of("WATCHDOG=1");
    }
    manager.stop();
    manager.hear_of("STOPPING=1");
}

#[test]
fn without_a_watchdog_nothing_beats() {
    let mut manager = Manager::new(&[]);
    manager.set("WATCHDOG_USEC", WATCHDOG_USEC);
    // Of another process, whose child we are.
    manager.set("WATCHDOG_PID", "1");
    manager.start();
    manager.hear_of("READY=1");
    while manager.hear(SILENCE).is_some() {}
    assert!(!manager.told.iter().any(|text| text.contains("WATCHDOG")), "{:?}", manager.told);
}

#[test]
fn a_hung_engine_does_not_look_alive() {
    let mut manager = Manager::new(&[]);
    manager.set("WATCHDOG_USEC", WATCHDOG_USEC);
    manager.start();
    manager.hear_of("READY=1");
    manager.hear_of("WATCHDOG=1");
    // It holds the lock for longer than the test lasts, and the process does everything else.
    manager.client().send(&["DEBUG", "SLEEP", "3600"]).expect("sent");
    while manager.hear(SILENCE).is_some() {}
}

#[test]
fn loading_is_told_and_looks_alive() {
    // Long enough on disk for the loader to be seen moving through it.
    let mut manager = Manager::new(&["--rdbcompression", "no"]);
    manager.start();
    manager.hear_of("READY=1");
    let mut client = manager.client();
    client
        .pipeline(0..2_000, |n| vec!["SET".to_owned(), format!("key:{n}"), "v".repeat(2_000)])
        .expect("written");
    assert_eq!(client.run("SAVE"), Value::status("OK"));
    manager.kill();

    manager.set("WATCHDOG_USEC", WATCHDOG_USEC);
    // Half a minute in all.
    manager.add(&["--key-load-delay", "15000"]);
    manager.start();
    manager.hear_of("WATCHDOG=1");
    let told = manager.hear_of("EXTEND_TIMEOUT_USEC=");
    assert!(told.contains("STATUS=Loading: "), "{told}");
    for _ in 0..5 {
        manager.hear_of("WATCHDOG=1");
    }
    let mut client = manager.client();
    assert!(matches!(client.run("GET key:1"), Value::Error(text) if text.starts_with(b"LOADING")));
    client.run("CONFIG SET key-load-delay 0");
    manager.hear_of("READY=1");
    assert_eq!(manager.client().run("DBSIZE"), Value::Integer(2_000));
}

/// A manager that does not read must not hold the server up.
#[test]
fn a_deaf_manager_is_no_obstacle() {
    let mut manager = Manager::new(&[]);
    manager.set("WATCHDOG_USEC", "20000");
    manager.start();
    let mut client = manager.client();
    for _ in 0..100 {
        assert_eq!(client.run("PING"), Value::status("PONG"));
        std::thread::sleep(Duration::from_millis(20));
    }
    manager.stop();
}
