//! holdfast.toml of a running machine: refused where it is wrong, obeyed where it is right.

use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, send};

#[test]
fn a_corrupt_configuration_is_refused_where_it_is_wrong_and_the_last_good_one_holds() {
    let rig = Rig::start("[server.limits]\npids_max = 300\n", &[]);
    let server = rig.pid("holdfast-server");
    rig.write_config("[server]\nargs = []\n  typo = 1\n[server.limits\n");
    send(rig.init, Signal::HUP);
    wait::expect("the mistake to be shown", || {
        !rig.status()["config"]["errors"].as_array().is_none_or(Vec::is_empty)
    });
    let config = rig.status()["config"].clone();
    assert_eq!(
        (&config["errors"][0]["line"], &config["errors"][0]["column"]),
        (&4.into(), &15.into())
    );
    assert_eq!(config["plan"], "file", "the last good plan");
    assert!(rig.log().contains("/etc/holdfast/holdfast.toml:4:15: "), "{}", rig.log());

    rig.write_config("[server]\n  typo = 1\n");
    send(rig.init, Signal::HUP);
    wait::expect("the other mistake to be shown", || {
        rig.status()["config"]["errors"][0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("unknown key server.typo"))
    });

    rig.write_config("");
    send(rig.init, Signal::HUP);
    wait::expect("the file to be good again", || {
        rig.status()["config"]["errors"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(rig.pid("holdfast-server"), server, "the server was never touched");
    rig.stop();
}

#[test]
fn a_configuration_that_is_corrupt_from_the_start_does_not_stop_the_start() {
    let rig = Rig::start("hostname = \n", &[]);
    let config = rig.status()["config"].clone();
    assert_eq!(config["plan"], "built-in");
    assert_eq!(config["errors"][0]["line"], 1);
    rig.stop();
}

#[test]
fn arguments_of_the_file_wait_for_the_next_start() {
    // Without a command init starts the server by the plan.
    let port = PortLease::acquire().expect("a free port");
    let config = |extra: &str| {
        format!(
            "[server]\nargs = [\"--port\", \"{}\", \"--bind\", \"127.0.0.1\"{extra}]\n",
            port.port()
        )
    };
    let first = config("");
    let second = config(", \"--maxclients\", \"77\"");
    let rig = Rig::launch(&first, &[], port);
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    rig.write_config(&second);
    send(rig.init, Signal::HUP);
    wait::expect("the change to wait", || rig.service("server")["pending_restart"] == true);
    rig.signal("holdfast-server", Signal::KILL);
    wait::expect("the change to hold", || {
        rig.status()["ready"] == true && rig.service("server")["pending_restart"] == false
    });
    let pair = [&b"maxclients"[..], b"77"].map(|word| Reply::Bulk(word.to_vec()));
    assert_eq!(rig.client().run("CONFIG GET maxclients"), Reply::Array(pair.to_vec()));
    rig.stop();
}

/// Fault 28: whatever the file has become, the server runs; at a start by the last good one.
#[test]
fn a_start_with_a_corrupt_configuration_takes_the_last_good_one() {
    let mut rig = Rig::start("[server.limits]\npids_max = 300\n[backup]\nkeep = 77\n", &[]);
    let kept = rig.root.path().join("data/holdfast/holdfast.toml.last-good");
    assert!(std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("keep = 77")));
    send(rig.init, Signal::TERM);
    assert_eq!(rig.wait_for_exit().code(), Some(0));

    let deep = format!("a = {}", "[".repeat(5_000));
    let long = format!("# {}\n", "x".repeat(64 * 1024));
    for corrupt in ["[backup]\nkeep = 7", "[backup\n", &deep, &long, "nonsense = 1\n", "\u{0}\u{1}"]
    {
        let is_good = corrupt.contains("keep");
        rig.write_config(corrupt);
        rig.enter_again(&[]);
        let config = rig.status()["config"].clone();
        let expected = if is_good { "file" } else { "last-good" };
        assert_eq!(config["plan"], expected, "{corrupt:.40}: {config}");
        assert_eq!(config["errors"].as_array().is_some_and(Vec::is_empty), is_good, "{config}");
        rig.leave();
    }

    // A copy that was damaged as well is no better: then the one compiled in holds.
    std::fs::write(&kept, "keep = [").expect("written");
    rig.enter_again(&[]);
    assert_eq!(rig.status()["config"]["plan"], "built-in");
    rig.stop();
}

/// Fault 28: the place is shown, not only told.
#[test]
fn check_shows_the_line_with_a_mark_under_the_mistake() {
    let rig = Rig::start("", &[]);
    rig.write_config("[server]\n  typo = 1\n");
    let output = rig.inside(&["holdfast", "check"]);
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("holdfast.toml:2:3: unknown key server.typo"), "{text}");
    assert!(text.contains("2 |   typo = 1\n  |   ^\n"), "{text}");
    rig.stop();
}
