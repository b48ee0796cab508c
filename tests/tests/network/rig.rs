//! Two network namespaces with a cable between them: the agent in one, servers in the other.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast_image::binaries::{Binaries, binaries_with_test_hooks, static_binaries};
use holdfast_image::ensure_packages;
use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::plan::Lease;
use holdfast_tests::wait;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use tempfile::TempDir;

use crate::network::init::{Heard, Init, run};

/// The agent's interface. Its peer has the same name in the other namespace.
pub(crate) const DEVICE: &str = "eth0";

/// A root of its own: the agent's files, and /sys and /proc of its namespace.
const ENTER: &str = r#"mount -t sysfs sysfs "$0/sys" && mount -t proc proc "$0/proc" &&
mount --bind "$0/cmdline" "$0/proc/cmdline" && exec chroot "$0" /usr/bin/holdfast-agent run"#;

pub(crate) struct Cable {
    /// Of the agent, of the servers.
    agent_side: String,
    server_side: String,
    folder: TempDir,
    servers: Vec<Child>,
    agent: Option<(Child, Init)>,
    heard: Heard,
}

impl Cable {
    /// Plugged in, with nobody at either end.
    pub(crate) fn new(cmdline: &str, config: &str) -> Self {
        ensure_packages(&["iproute2", "dnsmasq-base", "chrony"]).unwrap();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("hf-{}-{number}-{side}", std::process::id());
        let cable = Self {
            agent_side: name("agent"),
            server_side: name("server"),
            folder: tempfile::tempdir().unwrap(),
            servers: Vec::new(),
            agent: None,
            heard: Heard::default(),
        };
        cable.make_root(cmdline, config).unwrap();
        for side in [&cable.agent_side, &cable.server_side] {
            run("ip", &format!("netns add {side}")).unwrap();
            run("ip", &format!("-n {side} link set lo up")).unwrap();
        }
        cable.plug();
        cable
    }

    fn make_root(&self, cmdline: &str, config: &str) -> std::io::Result<()> {
        let root = self.folder.path();
        for folder in ["sys", "proc", "etc/holdfast", "run", "usr/bin", "data/holdfast"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("cmdline"), cmdline)?;
        fs::write(root.join("etc/holdfast/holdfast.toml"), config)?;
        fs::copy(&binaries().agent, root.join("usr/bin/holdfast-agent")).map(drop)
    }

    /// A new network card at the agent's end, its cable in a server's port.
    pub(crate) fn plug(&self) {
        let Self { agent_side, server_side, .. } = self;
        let peer = format!("type veth peer name {DEVICE} netns {server_side}");
        // The machine's own card keeps its address.
        let mac = "address 02:00:00:00:00:09";
        run("ip", &format!("link add {DEVICE} {mac} netns {agent_side} {peer}")).unwrap();
        self.server_ip(&format!("addr add 10.77.0.1/24 dev {DEVICE}"));
        self.server_ip(&format!("link set {DEVICE} up"));
    }

    /// The card and its cable are gone.
    pub(crate) fn unplug(&self) {
        run("ip", &format!("-n {} link del {DEVICE}", self.agent_side)).unwrap();
    }

    pub(crate) fn server_ip(&self, words: &str) {
        run("ip", &format!("-n {} {words}", self.server_side)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server that stays in the foreground.
    pub(crate) fn serve(&mut self, program: &str, words: &str) {
        let log = File::create(self.path(&format!("{program}.log"))).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.server_side, program]).args(words.split_whitespace());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.servers.push(command.spawn().unwrap());
    }

    /// Sockets stay in the namespace they were made in.
    pub(crate) fn in_server_namespace<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.server_side)).unwrap();
        let inside = move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            make()
        };
        std::thread::spawn(inside).join().unwrap()
    }

    pub(crate) fn stop_serving(&mut self) {
        self.servers.drain(..).for_each(end);
    }

    pub(crate) fn start_agent(&mut self) {
        let (init, stdin) = Init::start(self.agent_side.clone(), Heard::clone(&self.heard));
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.agent_side, "unshare", "--mount", "sh", "-c", ENTER]);
        command.arg(self.folder.path()).env("HOLDFAST_CHANNEL", "stdin");
        command.stdin(stdin).stdout(Stdio::null()).stderr(log);
        self.agent = Some((command.spawn().unwrap(), init));
    }

    pub(crate) fn kill_agent(&mut self) {
        let (agent, init) = self.agent.take().expect("it was started");
        end(agent);
        drop(init);
    }

    pub(crate) fn server_side(&self) -> &str {
        &self.server_side
    }

    /// The agent's report; `Null` while it does not answer.
    pub(crate) fn status(&self) -> Value {
        let socket = self.path("run/holdfast/agent.sock");
        let mut command = Command::new(&binaries().agent);
        command.args(["status", "--json", "--socket"]).arg(socket);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or(Value::Null)
    }

    /// The agent's own command, asking the one that runs.
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&binaries().agent);
        command.args(words).arg("--socket").arg(self.path("run/holdfast/agent.sock"));
        command.output().unwrap()
    }

    /// What DHCP is doing.
    pub(crate) fn state(&self) -> String {
        self.status()["network"]["state"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        read(&self.path("log"))
    }

    /// How often the agent has said something like that.
    pub(crate) fn count(&self, like: impl Fn(&ToInit) -> bool) -> usize {
        self.heard.lock().unwrap().iter().filter(|message| like(message)).count()
    }

    /// Of the newest plan.
    pub(crate) fn last_hostname(&self) -> Option<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().rev().find_map(|message| match message {
            ToInit::Plan(plan) => Some(plan.hostname.to_string()),
            _ => None,
        })
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        let heard = self.heard.lock().unwrap();
        let leases = heard.iter().filter_map(|message| match message {
            ToInit::Lease(lease) => Some(lease.clone()),
            _ => None,
        });
        leases.collect()
    }

    /// What the agent said last of its lease is that it has none.
    pub(crate) fn has_no_lease(&self) -> bool {
        let heard = self.heard.lock().unwrap();
        let of_leases = |m: &&ToInit| matches!(m, ToInit::Lease(_) | ToInit::NoLease);
        !matches!(heard.iter().rfind(of_leases), Some(ToInit::Lease(_)))
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let held = wait::until(wait::PATIENCE, || condition(self).then_some(()));
        assert!(held.is_some(), "{what}: never\n{:#?}\n{}", self.heard, self.log());
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        if let Some((agent, _)) = self.agent.take() {
            end(agent);
        }
        self.stop_serving();
        for side in [&self.agent_side, &self.server_side] {
            let _ = run("ip", &format!("netns del {side}"));
        }
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

pub(crate) fn read(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
}

fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let ready = std::env::var_os("HOLDFAST_BIN_DIR").is_some();
        let built = if ready { static_binaries() } else { binaries_with_test_hooks() };
        built.unwrap_or_else(|why| panic!("{why:#}"))
    })
}
