//! The official image's ways of being called.

use super::*;

#[track_caller]
fn check(words: &[&'static CStr], program: &str, argv: &[&CStr], is_server: bool) {
    let command = command(&[&[c"holdfast-init"], words].concat()).expect("a command");
    assert_eq!(command.program.to_str(), Ok(program));
    assert_eq!(command.words, argv);
    assert_eq!(command.is_server, is_server);
}

#[test]
fn options_and_configuration_files_mean_the_server() {
    check(&[c"--port", c"7000"], paths::SERVER, &[c"redis-server", c"--port", c"7000"], true);
    check(&[c"/etc/my.conf"], paths::SERVER, &[c"redis-server", c"/etc/my.conf"], true);
}

#[test]
fn the_names_of_the_server_are_the_server() {
    for name in [c"redis-server", c"valkey-server", c"/usr/local/bin/redis-server"] {
        check(&[name, c"--save"], paths::SERVER, &[name, c"--save"], true);
    }
}

#[test]
fn anything_else_runs_as_it_is() {
    check(&[c"/bin/true", c"x"], "/bin/true", &[c"/bin/true", c"x"], false);
    check(&[c"no-such-program"], "no-such-program", &[c"no-such-program"], false);
}

#[test]
fn no_words_are_no_command() {
    assert!(command(&[c"/init"]).is_none());
}

#[test]
fn the_servers_tools_are_told_from_other_commands() {
    let is_tool = |word: &'static CStr| command(&[c"holdfast-init", word]).expect("one").is_tool;
    for tool in [c"redis-cli", c"valkey-check-aof", c"/usr/local/bin/redis-check-rdb"] {
        assert!(is_tool(tool), "{tool:?}");
    }
    for other in [c"redis-server", c"cli", c"redis-", c"holdfast-agent", c"/bin/redis-cli/x"] {
        assert!(!is_tool(other), "{other:?}");
    }
}
