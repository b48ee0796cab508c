//! init and agent as they ship, init being PID 1 of a namespace of its own with a root of its own.
//!
//! Every rig ends with a look at PID 1's own promise: no allocation since start-up. The binaries
//! are those of the booted machine's tests, where the first such allocation ends PID 1.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use holdfast_image::binaries::{Binaries, binaries_with_test_hooks, static_binaries};
use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Gives the new root its devices, then becomes a PID namespace's parent.
const ENTER: &str = r#"mount --rbind /dev "$0/dev" &&
exec unshare --pid --fork --kill-child --mount-proc --root "$0" /usr/bin/holdfast-init "$@""#;

fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let ready = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
        let built = if ready { static_binaries() } else { binaries_with_test_hooks() };
        built.unwrap_or_else(|why| panic!("{why:#}"))
    })
}

/// A container without a container runtime.
struct Rig {
    root: TempDir,
    port: PortLease,
    child: Child,
    /// PID 1 as this test sees it.
    init: i32,
    status_socket: PathBuf,
}

impl Rig {
    /// The server under init, answering PING and known to be ready.
    fn start(config: &str, args: &[&str]) -> Self {
        let port = PortLease::acquire().expect("a free port");
        let number = port.port().to_string();
        let command = [&["redis-server", "--port", &number, "--bind", "127.0.0.1"], args].concat();
        let rig = Self::launch(config, &command, port);
        wait::expect("the server to be ready", || rig.status()["ready"] == true);
        rig
    }

    fn launch(config: &str, command: &[&str], port: PortLease) -> Self {
        Self::launch_by(ENTER, config, command, port)
    }

    fn launch_by(script: &str, config: &str, command: &[&str], port: PortLease) -> Self {
        let root = make_root(config);
        let child = enter(script, root.path(), command);
        let status_socket = root.path().join("run/holdfast/agent.sock");
        let mut rig = Self { root, port, child, init: 0, status_socket };
        rig.init = rig.find_init();
        rig
    }

    fn find_init(&self) -> i32 {
        let parent = self.child.id() as i32;
        let found = || children(parent).into_iter().find(|pid| program(*pid) == "holdfast-init");
        wait::until(wait::PATIENCE, found).unwrap_or_else(|| panic!("no init:\n{}", self.log()))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    fn agent(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&binaries().agent);
        command.args(words).arg("--socket").arg(&self.status_socket);
        command.output().expect("the agent's command runs")
    }

    /// `Null` while nobody answers.
    fn status(&self) -> Value {
        let output = self.agent(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn service(&self, name: &str) -> Value {
        self.status()["services"][name].clone()
    }

    /// The service's process as this test sees it.
    fn pid(&self, program_name: &str) -> i32 {
        let found = || children(self.init).into_iter().find(|pid| program(*pid) == program_name);
        wait::until(wait::PATIENCE, found).expect("the service runs")
    }

    fn signal(&self, program_name: &str, signal: Signal) {
        send(self.pid(program_name), signal);
    }

    fn client(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port.port()).into()).expect("the server accepts")
    }

    fn write_config(&self, text: &str) {
        fs::write(self.root.path().join("etc/holdfast/holdfast.toml"), text).expect("written");
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        let ended = wait::until(wait::PATIENCE, || self.child.try_wait().expect("our child"));
        ended.unwrap_or_else(|| panic!("init did not end:\n{}", self.log()))
    }

    fn stop(mut self) {
        assert_eq!(self.status()["init_allocations"], 0, "PID 1 allocated after start-up");
        send(self.init, Signal::TERM);
        let status = self.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The namespace goes with its PID 1, which goes with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the rig\n{}", self.log());
        }
    }
}

fn make_root(config: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a scratch directory");
    for folder in ["usr/bin", "etc/holdfast", "data", "run", "proc", "dev", "tmp"] {
        fs::create_dir_all(root.path().join(folder)).expect("a folder in it");
    }
    let Binaries { init, agent, server } = binaries();
    for file in [init, agent, server] {
        let name = file.file_name().expect("a program's name");
        fs::copy(file, root.path().join("usr/bin").join(name)).expect("a program copied");
    }
    fs::write(root.path().join("etc/holdfast/holdfast.toml"), config).expect("written");
    root
}

fn enter(script: &str, root: &Path, command: &[&str]) -> Child {
    let log = fs::File::create(root.join("log")).expect("a log file");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(root);
    unshare.args(command).env("HOLDFAST_TEST_HOOKS", "1").stdin(Stdio::null());
    unshare.stdout(log.try_clone().expect("a descriptor")).stderr(log);
    unshare.spawn().expect("unshare(1) of util-linux")
}

/// Runs a command under init to its end.
fn run_to_end(command: &[&str]) -> (ExitStatus, String) {
    let root = make_root("");
    let mut child = enter(ENTER, root.path(), command);
    let ended = wait::until(wait::PATIENCE, || child.try_wait().expect("our child"));
    let _ = child.kill();
    let log = fs::read_to_string(root.path().join("log")).expect("the log");
    (ended.unwrap_or_else(|| panic!("it did not end:\n{log}")), log)
}

fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The file name of what it executes; empty for a zombie.
fn program(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    link.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
}

fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process");
    kill_process(pid, signal).expect("a process of ours");
}

#[test]
fn a_killed_server_is_back_and_the_cause_is_told() {
    let rig = Rig::start("", &[]);
    rig.signal("holdfast-server", Signal::KILL);
    wait::expect("the server to be back", || {
        let status = rig.status();
        status["ready"] == true && status["services"]["server"]["restarts"] == 1
    });
    let server = rig.service("server");
    assert_eq!(server["last_exit"]["cause"], "signal");
    assert_eq!(server["last_exit"]["signal"], 9);
    assert_eq!(server["hangs"], 0);
    assert_eq!(rig.client().run("PING"), Reply::Status(b"PONG".to_vec()));
    rig.stop();
}

#[test]
fn a_server_that_keeps_dying_is_started_with_growing_back_off() {
    let config = "[server.restart]\nbackoff_initial_ms = 300\nbackoff_max_ms = 1200\n";
    let rig = Rig::start(config, &[]);
    let mut longest = 0;
    for failures in 1..=4 {
        rig.signal("holdfast-server", Signal::KILL);
        wait::expect("the failure to be counted", || rig.service("server")["failures"] == failures);
        wait::expect("the server to run again", || {
            let next = rig.service("server")["next_start_in_ms"].as_u64();
            longest = longest.max(next.unwrap_or(0));
            next.is_none() && rig.service("server")["pid"].is_u64()
        });
    }
    let log = rig.log();
    for wait in ["in 300 ms", "in 600 ms", "in 1200 ms"] {
        assert!(log.contains(&format!("starting it again {wait}")), "{wait} is not in:\n{log}");
    }
    assert!((601..=1200).contains(&longest), "status showed at most {longest} ms");
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    rig.stop();
}

#[test]
fn a_stopped_server_is_found_hung_killed_and_back() {
    let rig = Rig::start("", &[]);
    let before = rig.pid("holdfast-server");
    send(before, Signal::STOP);
    wait::expect("it to be shown as not ready", || rig.status()["ready"] == false);
    wait::expect("the server to be back", || {
        let status = rig.status();
        status["ready"] == true && status["services"]["server"]["hangs"] == 1
    });
    assert_eq!(rig.service("server")["last_exit"]["cause"], "hung");
    assert_ne!(rig.pid("holdfast-server"), before);
    rig.stop();
}

#[test]
fn a_killed_agent_is_back_and_no_client_notices() {
    let rig = Rig::start("", &[]);
    let mut client = rig.client();
    client.run("SET key value");
    let server = rig.pid("holdfast-server");
    for round in 1..=5 {
        rig.signal("holdfast-agent", Signal::KILL);
        wait::expect("the agent to be back", || {
            assert_eq!(client.run("GET key"), Reply::Bulk(b"value".to_vec()));
            let agent = rig.service("agent");
            agent["restarts"] == round && agent["state"] == "ready"
        });
    }
    assert_eq!(rig.pid("holdfast-server"), server);
    assert_eq!(rig.service("server")["restarts"], 0);
    rig.stop();
}

#[test]
fn a_termination_ends_the_server_first_and_exits_with_0() {
    let mut rig = Rig::start("", &[]);
    let (server, agent) = (rig.pid("holdfast-server"), rig.pid("holdfast-agent"));
    send(rig.init, Signal::TERM);
    assert_eq!(rig.wait_for_exit().code(), Some(0));
    let log = rig.log();
    let server_ended = log.find("server exited with status 0").expect("the server ended well");
    let agent_ended = log.find("agent exited with status 0").expect("the agent ended well");
    assert!(server_ended < agent_ended, "{log}");
    for pid in [server, agent] {
        assert_eq!(program(pid), "", "process {pid} is left");
    }
}

#[test]
fn a_server_that_ignores_termination_is_killed_in_bounded_time() {
    let mut rig = Rig::start("[server]\nstop_grace_ms = 200\n", &[]);
    wait::expect("the grace of the file to hold", || rig.status()["config"]["plan"] == "file");
    rig.signal("holdfast-server", Signal::STOP);
    send(rig.init, Signal::TERM);
    assert_eq!(rig.wait_for_exit().code(), Some(0));
    assert!(rig.log().contains("server ignores SIGTERM; killing it"), "{}", rig.log());
}

#[test]
fn orphans_of_other_processes_are_reaped() {
    const ORPHANS: usize = 200;
    let rig = Rig::start("", &[]);
    let services = children(rig.init).len();
    // Each subshell ends at once, so its sleep belongs to PID 1.
    let script = format!("for i in $(seq {ORPHANS}); do (sleep 1000 &); done");
    let init = rig.init.to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &init, "--user", "--pid", "sh", "-c", &script]);
    assert!(command.status().expect("nsenter(1) of util-linux").success());
    wait::expect("the orphans to be PID 1's", || children(rig.init).len() == services + ORPHANS);
    for pid in children(rig.init).into_iter().filter(|pid| program(*pid) == "sleep") {
        send(pid, Signal::KILL);
    }
    wait::expect("all of them to be reaped", || children(rig.init).len() == services);
    assert!(!children(rig.init).into_iter().any(is_zombie));
    rig.stop();
}

#[test]
fn a_wrong_directive_ends_the_container_with_the_servers_status() {
    let (status, log) = run_to_end(&["redis-server", "--port", "no-number"]);
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("no-number"), "the server said why:\n{log}");
    assert!(log.contains("server exited with status 1"), "{log}");
}

#[test]
fn any_other_command_runs_and_its_status_is_the_containers() {
    let (status, log) = run_to_end(&["holdfast-agent", "--version"]);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("holdfast-agent "), "{log}");
    let (status, log) = run_to_end(&["holdfast-agent", "check", "/nothing.toml"]);
    assert_eq!(status.code(), Some(78), "{log}");
    let (status, log) = run_to_end(&["/no/such/program"]);
    assert_eq!(status.code(), Some(127), "{log}");
}

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

#[test]
fn the_commands_for_scripts_say_it_with_their_exit_status() {
    let rig = Rig::start("", &[]);
    assert_eq!(rig.agent(&["status", "--ready"]).status.code(), Some(0));
    let text = String::from_utf8(rig.agent(&["status"]).stdout).expect("text");
    assert!(text.starts_with("holdfast ") && text.contains("server: ready, pid "), "{text}");
    let port = rig.port.port().to_string();
    let healthcheck = |port: &str| {
        let mut command = Command::new(&binaries().agent);
        command.args(["healthcheck", "--port", port]).output().expect("the agent's command runs")
    };
    assert_eq!(healthcheck(&port).status.code(), Some(0));
    rig.signal("holdfast-server", Signal::STOP);
    let sick = healthcheck(&port);
    assert_eq!(sick.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&sick.stderr).contains("no answer within"), "{sick:?}");
    wait::expect("status --ready to say no", || {
        rig.agent(&["status", "--ready"]).status.code() == Some(1)
    });
    let nobody = Command::new(&binaries().agent)
        .args(["status", "--socket", "/nowhere.sock"])
        .output()
        .expect("the agent's command runs");
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn rubbish_on_the_status_socket_is_answered_or_dropped_and_never_felt() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    let rig = Rig::start("", &[]);
    let socket = &rig.status_socket;
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket).expect("the agent accepts");
        // The agent may have closed after as much as it reads.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    };
    for rubbish in [&b"\xff\xfe\n"[..], b"\n", b"status xml\n", &[b'x'; 100_000], b"status"] {
        let answer = ask(rubbish);
        assert!(answer.is_empty() || answer.starts_with("error: "), "{answer}");
    }
    // More connections than are served at once, all of them silent.
    let silent: Vec<_> =
        (0..20).map(|_| UnixStream::connect(socket).expect("the kernel queues it")).collect();
    wait::expect("a question to be answered after them", || ask(b"status json\n").starts_with('{'));
    drop(silent);
    assert_eq!(rig.service("agent")["restarts"], 0);
    rig.stop();
}

#[test]
fn a_pid_1_that_panics_says_so_and_ends_the_container() {
    let (code, log) = fail("PANIC");
    assert_eq!(code, Some(70), "{log}");
    assert!(log.contains("panicked at ") && log.contains("a test asked for it"), "{log}");
}

/// The canary of every other test here: the trap does catch.
#[test]
fn an_allocation_after_start_up_ends_pid_1() {
    let (code, log) = fail("ALLOCATE");
    assert_eq!(code, Some(70), "{log}");
    assert!(log.contains("allocation after start-up"), "{log}");
}

/// What becomes of a container whose PID 1 fails.
fn fail(how: &str) -> (Option<i32>, String) {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    let mut rig = Rig::start("", &[]);
    let mut stream = UnixStream::connect(&rig.status_socket).expect("the agent accepts");
    writeln!(stream, "signal init {how}").expect("a request is short");
    let code = rig.wait_for_exit().code();
    (code, rig.log())
}

/// As `docker run --read-only` has it: one tmpfs, at /dev/shm.
#[test]
fn a_read_only_root_is_no_obstacle() {
    let port = PortLease::acquire().expect("a free port");
    let number = port.port().to_string();
    let read_only = format!(
        "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && {}",
        ENTER.replacen("&&", "&& mount -t tmpfs none \"$0/dev/shm\" &&", 1)
    );
    let mut rig = Rig::launch_by(&read_only, "", &["--port", &number], port);
    rig.status_socket = format!("/proc/{}/root/dev/shm/holdfast-agent.sock", rig.init).into();
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    let log = rig.log();
    assert!(log.contains("no status socket at /run/holdfast/agent.sock"), "{log}");
    rig.stop();
}

#[test]
fn init_is_small() {
    const LIMIT_BYTES: u64 = 1_500_000;
    if std::env::var_os("HOLDFAST_BIN_DIR").is_some() {
        return;
    }
    let init = static_binaries().unwrap_or_else(|why| panic!("{why:#}")).init;
    let len = fs::metadata(init).expect("built").len();
    assert!(len <= LIMIT_BYTES, "holdfast-init has {len} bytes");
}
