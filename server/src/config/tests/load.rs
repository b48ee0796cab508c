//! Files, standard input and flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::cli::{self, Invocation};
use super::super::load::{Fatal, Files, load};
use super::super::value::SavePoint;
use super::*;

/// Files that are not there.
#[derive(Debug, Default)]
struct Fake {
    files: BTreeMap<PathBuf, Vec<u8>>,
    stdin: Vec<u8>,
    dir: PathBuf,
}

impl Fake {
    fn new(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| (PathBuf::from(path), text.as_bytes().to_vec());
        Self { files: files.iter().map(file).collect(), dir: "/start".into(), ..Self::default() }
    }
}

impl Files for Fake {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(&self.dir.join(path)).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone())
    }

    fn matching(&mut self, pattern: &str) -> Vec<PathBuf> {
        let pattern = glob::Pattern::new(self.dir.join(pattern).to_str().unwrap()).unwrap();
        self.files.keys().filter(|path| pattern.matches_path(path)).cloned().collect()
    }

    fn enter(&mut self, dir: &Path) -> io::Result<PathBuf> {
        if dir.starts_with("/missing") {
            return Err(io::Error::from_raw_os_error(2));
        }
        self.dir = if dir == Path::new(".") { self.dir.clone() } else { self.dir.join(dir) };
        Ok(self.dir.clone())
    }

    fn check_log(&mut self, path: &Path) -> io::Result<()> {
        if path.starts_with("/missing") {
            return Err(io::Error::from_raw_os_error(2));
        }
        Ok(())
    }
}

fn run(args: &[&str], files: &mut Fake) -> Result<Config, Fatal> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    match cli::parse(&args) {
        Invocation::Run(launch) => load(&launch, files),
        other => panic!("{args:?}: {other:?}"),
    }
}

pub(super) fn from_file(text: &str) -> Result<Config, Fatal> {
    run(&["/c.conf"], &mut Fake::new(&[("/c.conf", text)]))
}

/// A file, and how `CONFIG GET` shows the directive of its last line.
#[track_caller]
fn check(text: &str, expected: &str) {
    let config = from_file(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let name = text.lines().last().and_then(|line| line.split_whitespace().next()).unwrap();
    assert_eq!(config.show(name), expected, "{text}");
}

/// A line that ends the start, and the reason.
#[track_caller]
fn check_error(line: &str, reason: &str) {
    let error = from_file(&format!("# one\n\n  {line} \nport x")).unwrap_err().to_string();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (Holdfast {version}) ***\n\
         Reading the configuration file, at line 3 of /c.conf\n>>> '{line}'\n{reason}"
    );
    assert_eq!(error, expected);
}

#[test]
fn lines_are_read_as_redis_reads_them() {
    check("port 7000", "7000");
    check("\tPORT   7000\r", "7000");
    check("Appendonly yes", "yes");
    check("port 1\nport 2", "2");
    check("logfile \"\"", "");
    check("logfile ''", "");
    check("requirepass \"a b\\x21\"", "a b!");
    check("bind 127.0.0.1 -::1", "127.0.0.1 -::1");
    check("bind \"127.0.0.1 -::1\"", "127.0.0.1 -::1");
    check("bind", "");
    check("replicaof 10.0.0.1 6379", "10.0.0.1 6379");
    check("slaveof 10.0.0.1 6379\nreplicaof no one", "");
    check("oom-score-adj-values \"1 2 3\"", "1 2 3");
    check("maxmemory 2gb", "2147483648");
    check("hz 1000", "500");
    check("unixsocketperm 700", "700");
    check("notify-keyspace-events \"\"", "");
    check("shutdown-on-sigterm nosave force", "nosave force");
    check("hash-max-ziplist-entries 5", "5");
    check("dynamic-hz no", "no");
}

#[test]
fn a_background_server_has_a_pid_file() {
    let config = from_file("daemonize yes").unwrap();
    assert_eq!(config.show("pidfile"), "/var/run/redis.pid");
    let config = from_file("daemonize yes\npidfile /a").unwrap();
    assert_eq!(config.show("pidfile"), "/a");
}

#[test]
fn save_lines_add_up() {
    check("port 1\nmaxclients 1\nsave 900 1", "900 1");
    check("save 900 1\nsave 300 10\nsave 60 10000", "900 1 300 10 60 10000");
    check("save \"900 1 300 10\"", "900 1 300 10");
    check("save 900 1\nsave \"\"", "");
    check("save 900 1\nsave \"\"\nsave 60 1", "60 1");
    check("save", "");
    assert_eq!(Config::default().show("save"), "3600 1 300 100 60 10000");
}

#[test]
fn output_buffer_limits_add_up() {
    check(
        "client-output-buffer-limit normal 1 2 3\n\
         client-output-buffer-limit replica 256mb 64mb 60\n\
         client-output-buffer-limit pubsub 4 5 6",
        "normal 1 2 3 slave 268435456 67108864 60 pubsub 4 5 6",
    );
}

#[test]
fn deprecated_directives_are_swallowed() {
    from_file("io-threads-do-reads yes\nlua-replicate-commands no\nlist-max-ziplist-value 64")
        .unwrap();
    check_error("lua-replicate-commands", "Bad directive or wrong number of arguments");
}

#[test]
fn a_wrong_line_is_named_with_its_reason() {
    check_error("nosuch 1", "Bad directive or wrong number of arguments");
    check_error("port", "wrong number of arguments");
    check_error("port 1 2", "wrong number of arguments");
    check_error("bind \"x", "Unbalanced quotes in configuration line");
    check_error("save '900 1'x'", "Unbalanced quotes in configuration line");
    check_error("save 900", "Invalid save parameters");
    check_error("maxclients 0", "argument must be between 1 and 4294967295 inclusive");
    check_error("dir /missing", "No such file or directory");
    check_error("dir", "wrong number of arguments");
    check_error("unixsocketperm 888", "argument couldn't be parsed as an octal number");
    check_error("unixsocketperm 7777", "argument must be between 0 and 777 inclusive");
    check_error("slaveof a", "wrong number of arguments");
    check_error("slaveof a 99999", "Invalid primary port");
    check_error("dbfilename ../x", "dbfilename can't be a path, just a filename");
    check_error("sentinel monitor a b 1 1", "sentinel directive while not in sentinel mode");
    check_error("rename-command nosuch x", "No such command in rename-command");
    check_error("rename-command get set", "Target command name already exists");
    check_error("rename-command get", "Bad directive or wrong number of arguments");
    check_error("foo.bar", "Module config specified without value");
    check_error("loadmodule /x.so", "Can't load module from /x.so: Holdfast does not load modules");
}

#[test]
fn secrets_do_not_show_in_errors() {
    let error = from_file("requirepass hunter2 hunter3").unwrap_err().to_string();
    assert!(!error.contains("hunter") && error.contains("requirepass"), "{error}");
}

#[test]
fn what_is_wrong_with_the_whole_names_no_line() {
    let check = |text: &str, reason: &str| {
        let error = from_file(text).unwrap_err();
        assert_eq!(error, Fatal::Line { place: None, reason: reason.into() });
    };
    check("logfile /missing/x", "Can't open the log file: No such file or directory");
    check("cluster-enabled yes\nreplicaof a 1", "replicaof directive not allowed in cluster mode");
}

#[test]
fn includes_are_read_where_they_stand() {
    let mut files = Fake::new(&[
        ("/c.conf", "port 1\ninclude a.conf\ntimeout 1\ninclude conf.d/*.conf\ninclude none/*"),
        ("/start/a.conf", "port 2\ntimeout 2"),
        ("/start/conf.d/1.conf", "maxclients 1"),
        ("/start/conf.d/2.conf", "maxclients 2"),
    ]);
    let config = run(&["/c.conf"], &mut files).unwrap();
    let shown = ["port", "timeout", "maxclients"].map(|name| config.show(name));
    assert_eq!(shown, ["2", "1", "2"]);
}

#[test]
fn dir_moves_the_includes_behind_it() {
    let mut files =
        Fake::new(&[("/c.conf", "dir sub\ninclude a.conf"), ("/start/sub/a.conf", "port 2")]);
    let config = run(&["/c.conf"], &mut files).unwrap();
    assert_eq!((config.settings().port, config.show("dir").as_str()), (2, "/start/sub"));
}

#[test]
fn a_missing_file_is_named() {
    let check = |args: &[&str], expected: &str| {
        let mut files = Fake::new(&[("/c.conf", "include b.conf")]);
        assert_eq!(run(args, &mut files).unwrap_err().to_string(), expected);
    };
    check(&["/c.conf"], "Fatal error, can't open config file 'b.conf': entity not found");
    check(&["/d.conf"], "Fatal error, can't open config file '/d.conf': entity not found");
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let mut files = Fake::new(&[("/c.conf", "include /b.conf"), ("/b.conf", "\nport x")]);
    let error = run(&["/c.conf"], &mut files).unwrap_err().to_string();
    assert!(error.contains("at line 2 of /b.conf\n>>> 'port x'"), "{error}");
}

#[test]
fn a_file_that_includes_itself_ends() {
    let mut files = Fake::new(&[("/c.conf", "include /c.conf")]);
    let error = run(&["/c.conf"], &mut files).unwrap_err().to_string();
    assert!(error.ends_with("include goes deeper than 16 files"), "{error}");
}

#[test]
fn files_that_include_each_other_end_at_some_depth() {
    let text = "include /*.conf";
    let mut files = Fake::new(&[("/a.conf", text), ("/b.conf", text)]);
    let error = run(&["/a.conf"], &mut files).unwrap_err().to_string();
    assert!(error.ends_with("include goes deeper than 16 files"), "{error}");
}

#[test]
fn the_number_of_included_files_is_bounded() {
    let names: Vec<String> = (0..1001).map(|index| format!("/d/{index}.conf")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut files = Fake::new(&many);
    files.files.insert("/c.conf".into(), b"include /d/*.conf".to_vec());
    let error = run(&["/c.conf"], &mut files).unwrap_err().to_string();
    assert!(error.ends_with("more than 1000 files are included"), "{error}");
}

/// Flags, and the lines they become.
#[track_caller]
fn check_flags(args: &[&str], expected: &str) {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let Invocation::Run(launch) = cli::parse(&args) else { panic!("{args:?}") };
    assert_eq!(String::from_utf8(launch.options).unwrap(), expected, "{args:?}");
}

#[test]
fn flags_become_lines() {
    check_flags(&[], "");
    check_flags(&["--port", "0"], "port \"0\" ");
    check_flags(&["--port", "1", "--bind", "a", "-b"], "port \"1\" \nbind \"a\" \"-b\" ");
    check_flags(&["--port 1", "--timeout 2"], "port 1 \ntimeout 2 ");
    check_flags(&["--save", ""], "save \"\" ");
    check_flags(&["--save"], "save \"\"");
    check_flags(&["--save", "--port", "1"], "save \"\"\nport \"1\" ");
    check_flags(&["--maxclients", "--timeout", "5"], "maxclients \"--timeout\" \"5\" ");
    check_flags(&["--requirepass", "a \"b\""], "requirepass \"a \\\"b\\\"\" ");
    check_flags(&["/c.conf", "port", "1"], "\"port\" \"1\" ");
    check_flags(&["-port", "1"], "\"-port\" \"1\" ");
}

#[test]
fn dash_means_standard_input_at_an_end_only() {
    let stdin = |args: &[&str]| {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let Invocation::Run(launch) = cli::parse(&args) else { panic!("{args:?}") };
        launch.stdin
    };
    assert!(stdin(&["-"]));
    assert!(stdin(&["-", "--port", "1"]));
    assert!(stdin(&["--port", "1", "-"]));
    assert!(stdin(&["/c.conf", "-"]));
    assert!(!stdin(&["--port", "-", "1"]));
}

#[test]
fn file_then_standard_input_then_flags() {
    let mut files = Fake::new(&[("/c.conf", "port 1\ntimeout 1\nmaxclients 1")]);
    files.stdin = b"timeout 2\nmaxclients 2".to_vec();
    let config = run(&["/c.conf", "--maxclients", "3", "-"], &mut files).unwrap();
    let shown = ["port", "timeout", "maxclients"].map(|name| config.show(name));
    assert_eq!(shown, ["1", "2", "3"]);
    assert_eq!(config.file(), Some(Path::new("/c.conf")));
}

#[test]
fn a_wrong_flag_is_shown_as_its_line() {
    let error = run(&["--port", "abc"], &mut Fake::new(&[])).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "at line 2 of the command line\n>>> 'port \"abc\"'\n\
             argument couldn't be parsed into an integer"
        ),
        "{error}"
    );
}

#[test]
fn other_invocations() {
    let parse = |arg: &str| cli::parse(&[OsString::from(arg)]);
    assert_eq!(parse("--help"), Invocation::Help);
    assert_eq!(parse("-v"), Invocation::Version);
    assert!(matches!(parse("--sentinel"), Invocation::Unsupported(_)));
    assert!(matches!(parse("--test-memory"), Invocation::Unsupported(_)));
}

#[test]
fn a_production_file_starts() {
    let config = from_file(include_str!("files/production.conf")).unwrap();
    let settings = config.settings();
    assert_eq!(settings.bind[0].host, "0.0.0.0");
    assert_eq!(settings.timeout.as_secs(), 300);
    assert_eq!(settings.max_memory, 2 << 30);
    assert_eq!(settings.eviction.name, "allkeys-lru");
    assert_eq!(settings.require_pass, b"${REDIS_PASSWORD}");
    assert_eq!(settings.rdb.save[1], SavePoint { seconds: 300, changes: 10 });
    assert_eq!(config.show("busy-reply-threshold"), "5000");
    let renames: Vec<_> = config
        .renames()
        .iter()
        .map(|rename| (rename.command, rename.name.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        renames,
        [
            ("flushdb", b"".as_slice()),
            ("flushall", b""),
            ("config", b"CONFIG_ADMIN_ONLY"),
            ("shutdown", b"SHUTDOWN_ADMIN_ONLY"),
        ]
    );
}

#[test]
fn a_tls_file_starts() {
    let config = from_file(include_str!("files/tls.conf")).unwrap();
    assert_eq!(config.settings().port, 0);
    assert_eq!(config.settings().tls.port, 6379);
    assert_eq!(config.not_yet_in_force(), ["tls-replication", "tls-cluster"]);
}

#[test]
fn what_is_not_in_force_is_said() {
    let config = from_file("appendonly yes\nmin-replicas-to-write 1\nmaxmemory-samples 5").unwrap();
    let warnings = config.warnings().join("\n");
    assert!(warnings.contains("not yet in force in this version: min-replicas-to-write."));
    assert!(from_file("save \"\"").unwrap().not_yet_in_force().is_empty());
}

#[test]
fn a_placeholder_password_is_pointed_out_without_its_text() {
    let warnings = from_file("save ''\nrequirepass ${SECRET}").unwrap().warnings();
    let warning = warnings.last().unwrap();
    assert!(warning.contains("requirepass") && !warning.contains("SECRET"), "{warning}");
}

/// The password "foo", as `ACL` lines carry it.
const FOO: &str = "#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

#[test]
fn the_default_user_of_a_rewritten_file_is_accepted() {
    from_file("user default on nopass sanitize-payload ~* &* +@all").unwrap();
    from_file(&format!("requirepass foo\nuser default on sanitize-payload {FOO} ~* &* +@all"))
        .unwrap();
}

#[test]
fn users_that_cannot_be_enforced_end_the_start() {
    let check = |text: &str, part: &str| {
        let error = from_file(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("user alice on nopass ~* +@all", "other users than 'default'");
    check("user default on nopass ~* -@all", "the rule '-@all'");
    check("user default off", "the rule 'off'");
    check("user default on >secret", "a clear-text password");
    check(&format!("user default on {FOO} ~* &* +@all"), "'requirepass'");
    check(&format!("requirepass bar\nuser default on {FOO} +@all"), "'requirepass'");
    check("requirepass bar\nuser default on nopass", "'requirepass'");
}

proptest! {
    #[test]
    fn any_file_starts_or_is_refused(text: Vec<u8>) {
        let mut files = Fake::new(&[]);
        files.files.insert("/c.conf".into(), text);
        let _ = run(&["/c.conf"], &mut files);
    }

    #[test]
    fn any_value_of_any_directive_is_taken_or_refused(
        index in any::<prop::sample::Index>(),
        value in "[-0-9a-z%\" .]{0,12}",
    ) {
        let all = Config::default().get(&[b"*"]);
        let name = String::from_utf8(all[index.index(all.len())].0.clone()).unwrap();
        let mut files = Fake::new(&[]);
        files.files.insert("/c.conf".into(), format!("{name} {value}").into_bytes());
        let _ = run(&["/c.conf"], &mut files);
    }
}
