//! The rig: init, agent and server as they ship, in namespaces and a root of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_image::binaries::{Binaries, binaries_with_test_hooks, static_binaries};
use holdfast_tests::client::Client;
use holdfast_tests::hurt;
use holdfast_tests::ports::PortLease;
use holdfast_tests::programs;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Gives the new root its devices, then becomes a PID namespace's parent.
pub(crate) const ENTER: &str = r#"mount --rbind /dev "$0/dev" &&
exec unshare --pid --fork --kill-child --mount-proc --root "$0" /usr/bin/holdfast-init "$@""#;

/// A user and a group whose processes the kernel counts, which it does not for root's.
const NOBODY: &str = "65534";

/// The same in a cgroup namespace whose root is the rig's own, as a container has it where cgroups
/// may be written. Controllers are what the host leaves over; kill and events need none.
pub(crate) fn enter_cgroup() -> String {
    format!(
        r#"own="$(awk '$3 == "cgroup2" {{ print $2; exit }}' /proc/mounts)/holdfast-rig.$$" &&
mkdir "$own" && echo $$ > "$own/cgroup.procs" && mkdir -p "$0/sys/fs/cgroup" &&
exec unshare --cgroup sh -c 'mount -t cgroup2 none "$0/sys/fs/cgroup" && {ENTER}' "$0" "$@""#
    )
}

pub(crate) fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let ready = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
        let built = if ready { static_binaries() } else { binaries_with_test_hooks() };
        built.unwrap_or_else(|why| panic!("{why:#}"))
    })
}

/// A container without a container runtime.
pub(crate) struct Rig {
    pub(crate) root: TempDir,
    pub(crate) port: PortLease,
    pub(crate) child: Child,
    /// PID 1 as this test sees it.
    pub(crate) init: i32,
    pub(crate) status_socket: PathBuf,
    /// Another user's: the agent answers nobody else.
    is_nobodys: bool,
}

impl Rig {
    /// A puppet (src/bin/puppet.rs) in the server's place, with these words.
    pub(crate) fn puppet(config: &str, words: &[&str]) -> Self {
        Self::puppet_by(ENTER, config, words)
    }

    pub(crate) fn puppet_by(script: &str, config: &str, words: &[&str]) -> Self {
        Self::puppet_with(script, config, words, |_| {})
    }

    /// In a root that was changed before.
    pub(crate) fn puppet_prepared(config: &str, words: &[&str], prepare: impl Fn(&Path)) -> Self {
        Self::puppet_with(ENTER, config, words, prepare)
    }

    /// Both.
    pub(crate) fn puppet_with(
        script: &str,
        config: &str,
        words: &[&str],
        prepare: impl Fn(&Path),
    ) -> Self {
        let root = make_root(&puppets(config));
        install_puppet(root.path());
        prepare(root.path());
        let command = [&["redis-server"], words].concat();
        Self::enter(
            Command::new("unshare"),
            script,
            root,
            &command,
            PortLease::acquire().expect("a free port"),
        )
    }

    /// Run by a user that has limits.
    pub(crate) fn puppet_of_nobody(words: &[&str]) -> Self {
        let root = make_root(&puppets(""));
        install_puppet(root.path());
        let mut chown = Command::new("chown");
        chown.args(["-R", NOBODY]).arg(root.path());
        assert!(chown.status().expect("chown(1) of coreutils").success());
        let command = [&["redis-server"], words].concat();
        let port = PortLease::acquire().expect("a free port");
        let mut rig = Self::enter(by_nobody("unshare"), ENTER, root, &command, port);
        rig.is_nobodys = true;
        rig
    }

    /// The server under init, answering PING and known to be ready.
    pub(crate) fn start(config: &str, args: &[&str]) -> Self {
        Self::start_by(ENTER, config, args)
    }

    pub(crate) fn start_by(script: &str, config: &str, args: &[&str]) -> Self {
        let port = PortLease::acquire().expect("a free port");
        let number = port.port().to_string();
        let command = [&["redis-server", "--port", &number, "--bind", "127.0.0.1"], args].concat();
        let rig = Self::launch_by(script, config, &command, port);
        wait::expect("the server to be ready", || rig.status()["ready"] == true);
        rig
    }

    pub(crate) fn launch(config: &str, command: &[&str], port: PortLease) -> Self {
        Self::launch_by(ENTER, config, command, port)
    }

    pub(crate) fn launch_by(script: &str, config: &str, command: &[&str], port: PortLease) -> Self {
        Self::enter(Command::new("unshare"), script, make_root(config), command, port)
    }

    /// With a service that misbehaves on demand in the server's place.
    pub(crate) fn hurt(config: &str) -> Self {
        Self::hurt_by(ENTER, config)
    }

    pub(crate) fn hurt_by(script: &str, config: &str) -> Self {
        let port = PortLease::acquire().expect("a free port");
        let number = port.port().to_string();
        let root = make_root(config);
        install(&[&hurt::program()], &root.path().join("usr/bin/holdfast-server"));
        let rig = Self::enter(
            Command::new("unshare"),
            script,
            root,
            &["redis-server", "--port", &number],
            port,
        );
        wait::expect("the service to be ready", || rig.status()["ready"] == true);
        rig
    }

    /// What it answers to a line.
    pub(crate) fn tell(&self, line: &str) -> String {
        hurt::tell(self.port.port(), line).unwrap_or_else(|| panic!("no answer to {line}"))
    }

    fn enter(
        unshare: Command,
        script: &str,
        root: TempDir,
        command: &[&str],
        port: PortLease,
    ) -> Self {
        let child = enter(unshare, script, root.path(), command);
        let status_socket = root.path().join("run/holdfast/agent.sock");
        let mut rig = Self { root, port, child, init: 0, status_socket, is_nobodys: false };
        rig.init = rig.find_init();
        rig
    }

    /// The same root once more, after [`Self::wait_for_exit`].
    pub(crate) fn enter_again(&mut self, args: &[&str]) {
        let number = self.port.port().to_string();
        let command = [&["redis-server", "--port", &number, "--bind", "127.0.0.1"], args].concat();
        self.child = enter(Command::new("unshare"), ENTER, self.root.path(), &command);
        self.init = self.find_init();
        wait::expect("the server to be ready", || self.status()["ready"] == true);
    }

    /// What stands in its cgroup's root ([`enter_cgroup`]).
    pub(crate) fn groups(&self) -> Vec<String> {
        let root = format!("/proc/{}/root/sys/fs/cgroup", self.init);
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn find_init(&self) -> i32 {
        let parent = self.child.id() as i32;
        let found = || children(parent).into_iter().find(|pid| program(*pid) == "holdfast-init");
        wait::until(wait::PATIENCE, found).unwrap_or_else(|| panic!("no init:\n{}", self.log()))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn agent(&self, words: &[&str]) -> Output {
        let agent = self.root.path().join("usr/bin/holdfast-agent");
        let mut command = match self.is_nobodys {
            true => by_nobody(&agent.to_string_lossy()),
            false => Command::new(&binaries().agent),
        };
        command.args(words).arg("--socket").arg(&self.status_socket);
        command.output().expect("the agent's command runs")
    }

    /// A command of the machine's own, among its own files and processes.
    pub(crate) fn inside(&self, words: &[&str]) -> Output {
        let mut enter = Command::new("nsenter");
        enter.args(["--user", "--mount", "--pid", "--root", "--wd", "--preserve-credentials"]);
        enter.args(["--target", &self.init.to_string(), "--"]).args(words);
        enter.env("PATH", "/usr/bin").output().expect("nsenter(1) of util-linux")
    }

    /// `Null` while nobody answers.
    pub(crate) fn status(&self) -> Value {
        let output = self.agent(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub(crate) fn service(&self, name: &str) -> Value {
        self.status()["services"][name].clone()
    }

    /// The service's process as this test sees it.
    pub(crate) fn pid(&self, program_name: &str) -> i32 {
        let found = || children(self.init).into_iter().find(|pid| program(*pid) == program_name);
        wait::until(wait::PATIENCE, found).expect("the service runs")
    }

    /// By init's count, which decides on restarts.
    pub(crate) fn has_run_for(&self, service: &str, span: Duration) -> bool {
        let up_ms = self.service(service)["uptime_ms"].as_u64();
        up_ms.is_some_and(|up_ms| u128::from(up_ms) >= span.as_millis())
    }

    pub(crate) fn signal(&self, program_name: &str, signal: Signal) {
        let pid = self.pid(program_name);
        send(pid, signal);
        if signal == Signal::STOP {
            wait::expect("it to stop", || is_stopped(pid));
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port.port()).into()).expect("the server accepts")
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.root.path().join("etc/holdfast/holdfast.toml"), text).expect("written");
    }

    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        let ended = wait::until(wait::PATIENCE, || self.child.try_wait().expect("our child"));
        ended.unwrap_or_else(|| panic!("init did not end:\n{}", self.log()))
    }

    /// Ends it; the root stays for [`Self::enter_again`].
    pub(crate) fn leave(&mut self) {
        send(self.init, Signal::TERM);
        assert_eq!(self.wait_for_exit().code(), Some(0), "{}", self.log());
    }

    pub(crate) fn stop(self) {
        // After a flood we may be limited, too.
        let told = wait::until(wait::PATIENCE, || self.status()["init_allocations"].as_u64());
        assert_eq!(told, Some(0), "PID 1 allocated after start-up");
        self.end();
    }

    pub(crate) fn stop_and_log(mut self) -> String {
        send(self.init, Signal::TERM);
        assert_eq!(self.wait_for_exit().code(), Some(0), "{}", self.log());
        self.log()
    }

    /// Without an agent to ask: an allocation would have ended PID 1 all the same.
    pub(crate) fn end(mut self) {
        wait::expect("no zombie", || !children(self.init).into_iter().any(is_zombie));
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
        remove_cgroup(self.child.id());
        if std::thread::panicking() {
            eprintln!("--- log of the rig\n{}", self.log());
        }
    }
}

pub(crate) fn make_root(config: &str) -> TempDir {
    let root = tempfile::tempdir().expect("a scratch directory");
    for folder in ["usr/bin", "etc/holdfast", "data", "run", "proc", "dev", "tmp"] {
        fs::create_dir_all(root.path().join(folder)).expect("a folder in it");
    }
    let Binaries { init, agent, server } = binaries();
    install(&[init, agent, server], &root.path().join("usr/bin"));
    for name in ["holdfast", "holdfastctl"] {
        let link = root.path().join("usr/bin").join(name);
        std::os::unix::fs::symlink("holdfast-agent", link).expect("a further name");
    }
    fs::write(root.path().join("etc/holdfast/holdfast.toml"), config).expect("written");
    root
}

/// By a process of its own: a file that this one writes may be inherited by a child that another test
/// makes at that moment, and cannot be executed for as long (ETXTBSY).
pub(crate) fn install(programs: &[&Path], place: &Path) {
    let copied = Command::new("cp").args(programs).arg(place).status();
    assert!(copied.expect("cp(1) of coreutils").success());
}

pub(crate) fn by_nobody(program: &str) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", program]);
    setpriv
}

/// What a puppet says counts, and no probe: it answers none, and nobody else may answer for it. It
/// has children, too, which the server's sandbox does not allow.
const PUPPETS_PROBES: &str = r#"
[server.probe]
address = "127.0.0.1:1"
[server.readiness]
failure_threshold = 1000000
[server.liveness]
failure_threshold = 1000000
"#;

fn puppets(config: &str) -> String {
    let rest = config.strip_prefix("[server]\n").unwrap_or(config);
    format!("[server]\nsandbox = false\n{rest}{PUPPETS_PROBES}")
}

fn install_puppet(root: &Path) {
    let puppet = programs::built("puppet");
    for name in ["holdfast-server", "puppet"] {
        install(&[&puppet], &root.join("usr/bin").join(name));
    }
}

fn enter(mut unshare: Command, script: &str, root: &Path, command: &[&str]) -> Child {
    let log = fs::File::create(root.join("log")).expect("a log file");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(root);
    unshare.args(command).env("HOLDFAST_TEST_HOOKS", "1").stdin(Stdio::null());
    unshare.stdout(log.try_clone().expect("a descriptor")).stderr(log);
    unshare.spawn().expect("unshare(1) of util-linux")
}

/// Runs a command under init to its end.
pub(crate) fn run_to_end(command: &[&str]) -> (ExitStatus, String) {
    run(make_root(""), command)
}

/// The same, in a root that has the puppet and was changed before.
pub(crate) fn run_prepared(command: &[&str], prepare: impl Fn(&Path)) -> (ExitStatus, String) {
    let root = make_root("");
    install_puppet(root.path());
    prepare(root.path());
    run(root, command)
}

fn run(root: TempDir, command: &[&str]) -> (ExitStatus, String) {
    let mut child = enter(Command::new("unshare"), ENTER, root.path(), command);
    let ended = wait::until(wait::PATIENCE, || child.try_wait().expect("our child"));
    let _ = child.kill();
    let log = fs::read_to_string(root.path().join("log")).expect("the log");
    (ended.unwrap_or_else(|| panic!("it did not end:\n{log}")), log)
}

pub(crate) fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// What a rig of [`enter_cgroup`] leaves behind, once its processes are gone.
fn remove_cgroup(rig: u32) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(mount) = fields.find(|fields| fields.get(2) == Some(&"cgroup2")) else { return };
    let own = Path::new(mount[1]).join(format!("holdfast-rig.{rig}"));
    let _ = wait::until(wait::PATIENCE, || {
        for group in fs::read_dir(&own).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(group.path());
        }
        (!own.exists() || fs::remove_dir(&own).is_ok()).then_some(())
    });
}

/// Others stop however this one ends.
pub(crate) struct SetWhenDropped<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The file name of what it executes; empty for a zombie.
pub(crate) fn program(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    link.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Processor time it has used, in ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    // utime and stime, the 14th and 15th of proc(5); the state is the third.
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

pub(crate) fn is_zombie(pid: i32) -> bool {
    state(&format!("/proc/{pid}/stat")) == Some('Z')
}

/// `R`, `S`, `T` and so on, of a process or a thread.
fn state(stat: &str) -> Option<char> {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Every thread of it has stopped: one that has not may still answer.
fn is_stopped(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.into_iter().all(|thread| {
        state(&thread.path().join("stat").to_string_lossy()).is_none_or(|state| state == 'T')
    })
}

pub(crate) fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process");
    kill_process(pid, signal).expect("a process of ours");
}
