//! A second network card of the appliance, and what is at the other end of its wire: a network
//! namespace with a DHCP server and a time server in it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use holdfast_image::ensure_packages;
use holdfast_image::machine::Machine;
use holdfast_tests::appliance::{BOOT, programs};
use holdfast_tests::wait;
use serde_json::Value;
use tempfile::TempDir;

const STATUS_PORT: u16 = 6390;

pub(crate) struct Wire {
    /// The namespace, and the tap in it.
    name: String,
    folder: TempDir,
    servers: Vec<Child>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        ensure_packages(&["iproute2", "dnsmasq-base", "chrony"]).unwrap();
        let name = format!("hf{}", std::process::id());
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} tuntap add dev {name} mode tap"));
        let wire = Self { name, folder: tempfile::tempdir().unwrap(), servers: Vec::new() };
        // QEMU opens it in its own namespace; the name moves back once it has.
        wire.ip("link set netns 1 dev");
        ip(&format!("link set {} up", wire.name));
        wire
    }

    /// Ends with the tap's name.
    fn ip(&self, words: &str) {
        ip(&format!("-n {} {words} {0}", self.name));
    }

    /// The card, and a clock that is years behind.
    pub(crate) fn shape(&self, machine: &mut Machine) {
        let netdev = format!("tap,id=wire,ifname={},script=no,downscript=no", self.name);
        let card = "virtio-net-pci,netdev=wire,romfile=";
        let words = ["-netdev", &netdev, "-device", card, "-rtc", "base=2020-01-01"];
        machine.extra.extend(words.map(Into::into));
    }

    /// Brings the tap to the servers, once QEMU has opened it.
    pub(crate) fn plug(&self) {
        let carrier = format!("/sys/class/net/{}/carrier", self.name);
        self.wait("QEMU on the tap", || fs::read_to_string(&carrier).is_ok_and(|c| c == "1\n"));
        ip(&format!("link set {} netns {0}", self.name));
        self.ip("addr add 10.77.0.1/24 dev");
        // Requests come from where only a default route leads back to.
        self.ip("addr add 10.88.0.1/24 dev");
        self.ip("link set up dev");
        ip(&format!("-n {} route replace 10.77.0.0/24 dev {0} src 10.88.0.1", self.name));
    }

    pub(crate) fn serve_addresses(&mut self, range: &str) {
        let words = format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --port=0 \
             --no-ping --dhcp-authoritative --log-dhcp --log-facility=- --dhcp-leasefile={} \
             --dhcp-range={range},255.255.255.0,2m --dhcp-option=3,10.77.0.1 \
             --dhcp-option=42,10.77.0.1 --dhcp-option-force=58,3s --dhcp-option-force=59,6s",
            self.path("leases").display()
        );
        self.serve(&words);
    }

    /// Says what this machine's clock shows, and leaves that alone.
    pub(crate) fn serve_time(&mut self) {
        let config = self.path("chrony.conf");
        let text = "local stratum 8\nallow all\ncmdport 0\nbindcmdaddress /\npidfile ";
        fs::write(&config, format!("{text}{}\n", self.path("chrony.pid").display())).unwrap();
        self.serve(&format!("chronyd -x -d -u root -f {}", config.display()));
    }

    fn serve(&mut self, words: &str) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words.split_whitespace());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.servers.push(command.spawn().unwrap());
    }

    pub(crate) fn stop_serving(&mut self) {
        for mut server in self.servers.drain(..) {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    pub(crate) fn forget_leases(&self) {
        fs::remove_file(self.path("leases")).unwrap();
        fs::remove_file(self.path("log")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often the card's lease was asked for or renewed.
    pub(crate) fn requests(&self) -> usize {
        self.log().matches("DHCPACK(").count()
    }

    /// The address that the server has given, once it begins like that.
    pub(crate) fn leased(&self, start: &str) -> String {
        let leased = || {
            let leases = fs::read_to_string(self.path("leases")).ok()?;
            let mut words = leases.split_whitespace();
            words.find(|word| word.starts_with(start)).map(str::to_owned)
        };
        wait::until(BOOT, leased).unwrap_or_else(|| panic!("no lease:\n{}", self.log()))
    }

    /// The machine's report, asked at that address; `Null` while nobody answers.
    pub(crate) fn status(&self, address: &str) -> Value {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(&programs().agent);
        command.args(["status", "--json", "--connect", &format!("{address}:{STATUS_PORT}")]);
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let held = wait::until(BOOT, || condition().then_some(()));
        assert!(held.is_some(), "{what}: never\n{}", self.log());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop_serving();
        // The tap goes with QEMU, or with the namespace it is in.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ip {words}: {error}");
}
