//! The shipped file, and what is said about wrong ones.

use super::*;
use holdfast_supervisor::plan::Memory;
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../holdfast.toml");

#[test]
fn the_shipped_file_says_what_is_built_in() {
    assert_eq!(Config::parse(SHIPPED), Ok(Config::default()));
    assert_eq!(Config::parse(""), Ok(Config::default()));
}

#[test]
fn every_key_that_the_shipped_file_shows_in_a_comment_is_a_key() {
    let shown: String = SHIPPED
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_ne!(shown, SHIPPED, "the file shows keys in `#: ` comments");
    let config = Config::parse(&shown).expect("the shown keys are valid");
    assert!(matches!(config.plan.network.ipv4, Ipv4::Static(_)) && config.status_listen.is_some());
}

#[test]
fn values_reach_the_plan() {
    let config = Config::parse(
        "hostname = \"edge-7\"\n\
         [server]\nargs = [\"--maxmemory\", \"32mb\"]\n\
         [server.limits]\nmemory_max = \"48mb\"\nmemory_high = \"50%\"\n\
         [server.probe]\naddress = \"unix:/run/redis.sock\"\n\
         [server.liveness]\nfailure_threshold = 5\nbusy_failure_threshold = 50\n\
         [network]\naddress = \"10.1.2.3/8\"\ngateway = \"10.0.0.1\"\n",
    )
    .expect("valid");
    let server = &config.plan.services[0];
    assert_eq!(config.plan.hostname, "edge-7");
    assert!(server.args.iter().eq([&b"--maxmemory"[..], b"32mb"]));
    assert_eq!(server.limits.memory_max, Memory::Bytes(48 << 20));
    assert_eq!(server.limits.memory_high, Memory::Percent(50));
    assert_eq!(config.probe.target, Target::Unix("/run/redis.sock".into()));
    assert_eq!(config.probe.liveness_failures, 5);
    assert_eq!(config.probe.busy_failures, 50);
    let Ipv4::Static(network) = &config.plan.network.ipv4 else { panic!("an address is static") };
    assert_eq!((network.prefix, config.plan.network.ipv6), (8, true));
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = Config::parse(text).expect_err("wrong");
    let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "said {said:?}, expected {expected:?}");
    }
}

/// Below it an ordinary slow command would be taken for an endless one.
#[test]
fn a_watchdog_that_is_too_short_is_refused() {
    check(
        "[server]\nwatchdog_ms = 999\n",
        &["2:15: server.watchdog_ms: must be 0 or at least 1000, not 999"],
    );
    for good in [0, 1_000] {
        assert!(Config::parse(&format!("[server]\nwatchdog_ms = {good}\n")).is_ok());
    }
}

#[test]
fn an_update_is_given_more_time_than_it_must_be_ready_for() {
    check(
        "[update]\nstable_ms = 60000\ndeadline_ms = 60000\n",
        &["3:15: update.deadline_ms is not more than stable_ms"],
    );
    let shorter = Config::parse("[update]\nstable_ms = 0\n").expect("valid");
    assert_eq!((shorter.update.stable_ms, shorter.update.deadline_ms), (0, 300_000));
}

#[test]
fn every_mistake_is_reported_at_once_where_it_is() {
    check(
        "hostname = 7\n\
         [server]\n  stop_grace_ms = -1\n  memory = \"1gb\"\n\
         [server.limits]\nmemory_max = \"lots\"\ncpu_weight = 10001\n\
         [server.restart]\nwhen = \"often\"\nbackoff_initial_ms = 1000\nbackoff_max_ms = 500\n\
         [netwrok]\n",
        &[
            "1:12: hostname: must be a string, not a integer",
            "3:19: server.stop_grace_ms: must be from 0 to 600000, not -1",
            "4:3: unknown key server.memory; known here: args, sandbox, stop_grace_ms",
            "6:14: server.limits.memory_max: must be \"none\", a percentage",
            "7:14: server.limits.cpu_weight: must be from 0 to 10000, not 10001",
            "9:8: server.restart.when: must be \"always\", \"on-crash\" or \"never\", not \"often\"",
            "11:18: server.restart.backoff_max_ms is less than backoff_initial_ms",
            "12:2: unknown key netwrok; known here: hostname, server, network, time, status, logs, tls",
        ],
    );
}

#[test]
fn syntax_errors_have_a_line_and_a_column() {
    check("[server\nargs = []\n", &["1:8: "]);
    check("a = 1\nb = \"open\n", &["2:10: "]);
    check("hostname = \"a\"\nhostname = \"b\"\n", &["2:1: duplicate key"]);
    check("server = 1\n", &["1:10: server must be a table, not a integer"]);
}

#[test]
fn a_fixed_address_and_dhcp_do_not_mix() {
    let missing = "1:1: network.address is missing";
    check("[network]\nmode = \"static\"\ngateway = \"10.0.0.1\"\n", &[missing]);
    check("[network]\naddress = \"10.0.0.1\"\n", &["2:11: network.address: must be like"]);
    check(
        "[network]\nmode = \"dhcp\"\naddress = \"10.0.0.1/8\"\ndns = []\nipv6 = \"on\"\n",
        &[
            "3:11: network.address is for network.mode = \"static\"",
            "4:7: network.dns is for network.mode",
            "5:8: network.ipv6: must be \"auto\" or \"off\", not \"on\"",
        ],
    );
    check("[time]\nntp = [\"a b\"]\n", &["2:7: time.ntp: must be a list of at most 8"]);
    let off = Config::parse("[network]\nmode = \"off\"\nipv6 = \"off\"\n").expect("valid");
    assert_eq!(off.plan.network, Network { ipv4: Ipv4::Off, ipv6: false });
}

#[test]
fn a_file_that_is_not_text_or_too_long_is_refused() {
    let folder = std::env::temp_dir().join(format!("holdfast-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("holdfast.toml");
    for bytes in [vec![0xff; 10], vec![b'#'; MAX_CONFIG_BYTES as usize + 1]] {
        std::fs::write(&file, bytes).expect("written");
        assert_eq!(Config::load(&file).expect_err("refused").len(), 1);
    }
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(Config::load(&file), Ok(None));
    std::fs::remove_dir(&folder).expect("empty");
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_list_of_problems(text in "\\PC{0,200}") {
        if let Err(problems) = Config::parse(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_damaged_shipped_file_never_panics(at in 0usize..4000, with in "[\\[\\]=\"a-z0-9\\n.#]{1,6}") {
        let mut text = SHIPPED.to_owned();
        if text.is_char_boundary(at.min(text.len())) {
            text.insert_str(at.min(text.len()), &with);
        }
        if let Ok(config) = Config::parse(&text) {
            prop_assert!(config.plan.encode().is_some());
        }
    }
}

#[test]
fn backups_are_read() {
    use crate::backup::Every;
    let every = |text: &str| Config::parse(&format!("[backup]\nevery = \"{text}\"\n"));
    let seconds = |count| Every::Period(std::time::Duration::from_secs(count));
    let good = [
        ("off", Every::Off),
        ("auto", Every::Auto),
        ("90s", seconds(90)),
        ("2d", seconds(172_800)),
    ];
    for (text, expected) in good {
        assert_eq!(every(text).map(|config| config.backup.every), Ok(expected), "{text}");
    }
    for text in ["", "h", "0s", "24", "366d", "-1h", "1w", "99999999999999999999d", "1é"] {
        let problems = every(text).expect_err(text);
        assert_eq!((problems[0].line, problems[0].column), (2, 9), "{text}");
    }
    assert!(
        Config::parse("[backup]\ndirectory = \"relative\"\nkeep = 0\n")
            .is_err_and(|all| all.len() == 2)
    );
}
