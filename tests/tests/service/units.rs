//! The unit of deploy/systemd under a real systemd: PID 1 of namespaces of its own, over this
//! machine's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::commands::run;
use holdfast_tests::{packages, wait};
use serde_json::Value;
use tempfile::TempDir;

/// In a mount, PID, network, UTS, IPC and cgroup namespace: a root whose changes are kept in memory,
/// with the unit and the server in it, then systemd. `$1` is the scratch directory.
const BOOT: &str = r#"set -e
dir=$1
ip link set lo up
mkdir -p $dir/up $dir/root
mount -t tmpfs none $dir/up
mkdir $dir/up/upper $dir/up/work
mount -t overlay overlay -o lowerdir=/,upperdir=$dir/up/upper,workdir=$dir/up/work $dir/root
cp $dir/holdfast.service $dir/root/etc/systemd/system/
mkdir -p $dir/root/etc/systemd/system/holdfast.service.d $dir/root/etc/holdfast
cp $dir/test.conf $dir/root/etc/systemd/system/holdfast.service.d/
cp $dir/redis.conf $dir/root/etc/holdfast/
cp $dir/holdfast-server $dir/root/usr/bin/holdfast-server
cd $dir/root
mount -t proc none proc
mount -t sysfs none sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none run
mount -t tmpfs none tmp
mount -t tmpfs -o mode=755 none dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
mount -t tmpfs none dev/shm
mount -t mqueue none dev/mqueue
mount -t devpts -o newinstance,ptmxmode=666 none dev/pts
ln -s pts/ptmx dev/ptmx
grep -q ^holdfast: etc/passwd || {
    echo holdfast:x:998:998::/:/usr/sbin/nologin >> etc/passwd
    echo holdfast:x:998: >> etc/group
}
: > etc/fstab
pivot_root . mnt
exec env -i container=holdfast PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . sh -c '
umount -l /mnt
exec /lib/systemd/systemd --system --unit=holdfast.service --log-target=null --show-status=0'
"#;

/// Its own network namespace, so any port is free.
const PORT: &str = "6379";

struct Systemd {
    _directory: TempDir,
    child: Child,
    group: PathBuf,
}

impl Systemd {
    fn boot(overrides: &str) -> Self {
        Self::boot_with(overrides, &binaries::server(Flavour::Holdfast))
    }

    fn boot_with(overrides: &str, server: &Path) -> Self {
        packages::ensure(&["systemd", "redis-tools"]).unwrap_or_else(|why| panic!("{why}"));
        let directory = TempDir::with_prefix("holdfast-test-").expect("a scratch directory");
        let at = |name: &str| directory.path().join(name);
        fs::copy(unit(), at("holdfast.service")).expect("the unit");
        fs::copy(server, at("holdfast-server")).expect("the server");
        fs::write(at("test.conf"), overrides).expect("written");
        let settings = format!("port {PORT}\nbind 127.0.0.1\nenable-debug-command local\n");
        fs::write(at("redis.conf"), settings).expect("written");
        fs::write(at("boot"), BOOT).expect("written");
        let group = cgroup_root().join(directory.path().file_name().expect("a name"));
        fs::create_dir(&group).expect("a cgroup of our own");
        let mut enter = Command::new("sh");
        // Only who is in the cgroup already has it as the root of its namespace.
        enter.args(["-c", "echo $$ > \"$1/cgroup.procs\"; shift; exec \"$@\"", "sh"]).arg(&group);
        enter.args(["unshare", "--cgroup", "--pid", "--fork", "--kill-child", "--mount", "--uts"]);
        enter.args(["--ipc", "--net", "--propagation", "private", "sh"]).arg(at("boot"));
        enter.arg(directory.path()).stdin(Stdio::null());
        let child = enter.spawn().expect("unshare(1) of util-linux");
        let systemd = Self { _directory: directory, child, group };
        wait::expect("the service to be ready", || systemd.show("ActiveState") == "active");
        systemd
    }

    fn run(&self, words: &[&str]) -> Output {
        let list = format!("/proc/{0}/task/{0}/children", self.child.id());
        let init = fs::read_to_string(list).unwrap_or_default();
        let mut command = Command::new("nsenter");
        command.args(["--target", init.trim(), "--all", "--root", "--wd=/"]).args(words);
        command.output().expect("nsenter(1) of util-linux")
    }

    fn say(&self, words: &[&str]) -> String {
        String::from_utf8_lossy(&self.run(words).stdout).trim().to_owned()
    }

    /// A property of the unit.
    fn show(&self, property: &str) -> String {
        self.say(&["systemctl", "show", "holdfast", "--value", "--property", property])
    }

    fn cli(&self, words: &[&str]) -> String {
        self.say(&[&["redis-cli", "-p", PORT], words].concat())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.run(&["systemctl", "status", "--no-pager", "--full", "holdfast"]);
            eprintln!("{}", String::from_utf8_lossy(&state.stdout));
        }
        // The namespace goes with its PID 1.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = wait::until(wait::PATIENCE, || remove_group(&self.group).ok());
    }
}

/// The files in a cgroup go with it; the groups in it have to go before.
fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)?.flatten().filter(|entry| entry.path().is_dir()) {
        remove_group(&entry.path())?;
    }
    fs::remove_dir(group)
}

/// The hierarchy of version 2, by itself or beside those of version 1.
fn cgroup_root() -> PathBuf {
    let places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
    let is_there = |place: &PathBuf| place.join("cgroup.controllers").exists();
    places.into_iter().find(is_there).expect("cgroup version 2")
}

fn unit() -> PathBuf {
    holdfast_image::paths::workspace().join("deploy/systemd/holdfast.service")
}

#[test]
fn killed_or_hung_it_is_started_again_and_nobody_is_refused() {
    let systemd = Systemd::boot("[Service]\nWatchdogSec=2s\n");
    assert_eq!(systemd.show("StatusText"), "Ready to accept connections");
    assert_eq!(systemd.show("NFileDescriptorStore"), "1");
    assert_eq!(systemd.cli(&["SET", "key", "value"]), "OK");

    assert!(systemd.run(&["systemctl", "reload", "holdfast"]).status.success());
    assert_eq!(systemd.cli(&["GET", "key"]), "value");
    assert_eq!(systemd.show("NRestarts"), "0");

    systemd.run(&["sh", "-c", "kill -9 $(systemctl show holdfast --value -p MainPID)"]);
    assert_eq!(systemd.cli(&["PING"]), "PONG", "systemd holds the socket");
    assert_eq!(systemd.show("NRestarts"), "1");
    assert_eq!(systemd.show("NFileDescriptorStore"), "1");

    // The engine hangs, the rest of the process does not.
    let hang = format!("redis-cli -p {PORT} DEBUG SLEEP 3600 >/dev/null 2>&1 &");
    systemd.run(&["sh", "-c", &hang]);
    wait::expect("the watchdog to bite", || systemd.show("NRestarts") == "2");
    wait::expect("it to be ready", || systemd.show("ActiveState") == "active");
    assert_eq!(systemd.cli(&["PING"]), "PONG");

    assert!(systemd.run(&["systemctl", "stop", "holdfast"]).status.success());
    assert_eq!(systemd.show("Result"), "success");
    assert_eq!(systemd.show("NFileDescriptorStore"), "0", "who stops it does not want it back");
}

/// A server for hosts: with the feature `systemd`, linked dynamically.
fn server_for_hosts() -> PathBuf {
    packages::ensure(&["libsystemd-dev", "pkg-config"]).unwrap_or_else(|why| panic!("{why}"));
    let workspace = holdfast_image::paths::workspace();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--package", "holdfast-server"]);
    cargo.args(["--no-default-features", "--features", "systemd"]).current_dir(&workspace);
    cargo.args(["--message-format", "json"]);
    let text = run(&mut cargo).unwrap_or_else(|why| panic!("{why}"));
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let path = messages.filter_map(|it| Some(it["executable"].as_str()?.into())).next_back();
    path.expect("cargo names the program it built")
}

#[test]
fn with_the_feature_the_journal_gets_levels_and_fields() {
    let systemd = Systemd::boot_with("", &server_for_hosts());
    let entries = || systemd.say(&["journalctl", "--unit=holdfast", "--output=json"]);
    let entry = |text: &str| {
        let lines = entries();
        let mut all = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        all.find(|it| it["MESSAGE"].as_str().is_some_and(|said| said == text))
    };
    wait::expect("the journal to have it", || entry("Ready to accept connections tcp").is_some());
    let ready = entry("Ready to accept connections tcp").expect("just seen");
    assert_eq!(ready["PRIORITY"], "5", "a notice: {ready}");
    assert_eq!(ready["SYSLOG_IDENTIFIER"], "holdfast-server");
    assert_eq!(ready["HOLDFAST_ROLE"], "primary");
    assert_eq!(ready["_TRANSPORT"], "journal");

    assert!(systemd.run(&["systemctl", "stop", "holdfast"]).status.success());
    let bye = "Holdfast is now ready to exit, bye bye...";
    wait::expect("its last words", || entry(bye).is_some());
    assert_eq!(entry(bye).expect("just seen")["PRIORITY"], "4", "a warning");
}

#[test]
fn the_units_sandbox_leaves_little_open() {
    packages::ensure(&["systemd"]).unwrap_or_else(|why| panic!("{why}"));
    let mut analyze = Command::new("systemd-analyze");
    // In tenths; what is left is the network, which a server is for.
    analyze.args(["security", "--offline=true", "--threshold=15"]).arg(unit());
    let output = analyze.output().expect("systemd-analyze(1)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
