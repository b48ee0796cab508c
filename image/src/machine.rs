//! A virtual machine: what it is made of, and the running guest.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::accel::Accel;
use crate::console::Console;
use crate::forward::Forward;
use crate::packages::ensure_packages;
use crate::sys::die_with_parent;

/// What the kernel command line tells a guest of ours: the address and gateway that QEMU's user
/// network gives it, where the agent answers `status`, and to serve without a password. Only this
/// host's 127.0.0.1 reaches it, but to the server that is a stranger, 10.0.2.2. That its timer is
/// wired as it should be: the kernel's own test of that panics when the host is busy. And to take
/// commands on the console, which is whoever's started it.
pub const WORDS: [&str; 6] = [
    "no_timer_check",
    "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off",
    "holdfast.status_listen=0.0.0.0:6390",
    "holdfast.console=on",
    "holdfast.arg=--protected-mode",
    "holdfast.arg=no",
];
const STATUS_PORT: u16 = 6390;
const REDIS_PORT: u16 = 6379;

/// How long QEMU may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// One try of a PING: the forward accepts before the guest listens, so silence means "not yet".
const PING_LIMIT: Duration = Duration::from_millis(300);

/// How the machine starts.
#[derive(Clone, Debug)]
pub enum Boot {
    /// QEMU hands kernel and initramfs to the guest itself.
    Direct { kernel: PathBuf, initramfs: Option<PathBuf>, cmdline: String },
    /// UEFI firmware starts what is on the disk.
    Uefi { disk: PathBuf },
}

/// A machine to be started.
#[derive(Clone, Debug)]
pub struct Machine {
    pub boot: Boot,
    pub memory_mib: u32,
    pub accel: Accel,
    /// The host's port for the guest's 6379; 0 takes a free one.
    pub port: u16,
    /// Pass the guest's console on to standard output.
    pub show_console: bool,
    /// A guest that reboots comes back; otherwise QEMU ends there.
    pub reboots: bool,
    /// A source of randomness: its device, and the processor's instructions.
    pub has_entropy: bool,
    /// The network card, `card`, is in a bay, `bay`, out of which it can be pulled.
    pub has_bay: bool,
    /// More words for QEMU.
    pub extra: Vec<OsString>,
}

/// A running machine. It ends when this is dropped, or when the thread that started it ends.
#[derive(Debug)]
pub struct Guest {
    qemu: Child,
    group: Pid,
    reader: Option<JoinHandle<()>>,
    console: Arc<Console>,
    forward: Forward,
    status_port: u16,
    /// What is typed at the console.
    keyboard: Keyboard,
    /// Sockets and the firmware's variables.
    _scratch: TempDir,
}

impl Machine {
    /// The usual small machine on any free port.
    pub fn new(boot: Boot, accel: Accel) -> Self {
        Self {
            boot,
            memory_mib: 128,
            accel,
            port: 0,
            show_console: false,
            reboots: false,
            has_entropy: true,
            has_bay: false,
            extra: Vec::new(),
        }
    }

    /// Starts QEMU. What runs in it is not up yet: see [`Guest::wait_ready`].
    pub fn start(&self) -> Result<Guest> {
        ensure_packages(&["qemu-system-x86"])?;
        let scratch = tempfile::tempdir().context("cannot make a scratch directory")?;
        let [redis_port, status_port] = free_ports()?;
        let forward = Forward::start(self.port, redis_port)?;
        let mut command = self.command(scratch.path(), redis_port, status_port)?;
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let errors = writer.try_clone().context("cannot make a pipe")?;
        command.stdin(Stdio::piped()).stdout(writer).stderr(errors);
        let mut qemu = die_with_parent(&mut command).spawn().context("cannot start QEMU")?;
        let keyboard = Keyboard(Arc::new(Mutex::new(qemu.stdin.take())));
        drop(command);

        let console = Arc::new(Console::default());
        console.show(self.show_console);
        let filled = Arc::clone(&console);
        let reader = thread::spawn(move || filled.fill(reader));
        let group = Pid::from_child(&qemu);
        let reader = Some(reader);
        Ok(Guest {
            qemu,
            group,
            reader,
            console,
            forward,
            status_port,
            keyboard,
            _scratch: scratch,
        })
    }

    fn command(&self, scratch: &Path, redis_port: u16, status_port: u16) -> Result<Command> {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-nodefaults", "-no-user-config", "-display", "none"]);
        qemu.args(["-serial", "stdio", "-m", &self.memory_mib.to_string()])
            .args(self.accel.words(self.has_entropy));
        let forward = |host, guest| format!("hostfwd=tcp:127.0.0.1:{host}-:{guest}");
        let net = format!(
            "user,id=net,restrict=on,{},{}",
            forward(redis_port, REDIS_PORT),
            forward(status_port, STATUS_PORT)
        );
        qemu.args(["-netdev", &net]);
        // No option ROM: nothing boots from the network, and a second is saved.
        let card = "virtio-net-pci,netdev=net,romfile=";
        if self.has_bay {
            // As PCI Express itself does it, not by way of this board's ACPI.
            qemu.args(["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]);
            qemu.args(["-device", "pcie-root-port,id=bay"]);
            qemu.args(["-device", &format!("{card},bus=bay,id=card")]);
        } else {
            qemu.args(["-device", card]);
        }
        if self.has_entropy {
            qemu.args(["-device", "virtio-rng-pci"]);
        }
        // What a board has: a timer that resets it when PID 1 is silent.
        qemu.args(["-device", "i6300esb", "-watchdog-action", "reset"]);
        if !self.reboots {
            qemu.arg("-no-reboot");
        }
        match &self.boot {
            Boot::Direct { kernel, initramfs, cmdline } => {
                qemu.arg("-kernel").arg(kernel).args(["-append", cmdline]);
                if let Some(initramfs) = initramfs {
                    qemu.arg("-initrd").arg(initramfs);
                }
            }
            Boot::Uefi { disk } => {
                qemu.args(firmware(scratch)?);
                qemu.arg("-drive").arg(drive("if=none,id=disk,format=raw", disk));
                qemu.args(["-device", "virtio-blk-pci,drive=disk"]);
            }
        }
        qemu.args(&self.extra);
        Ok(qemu)
    }
}

/// OVMF, with variables of the machine's own.
fn firmware(scratch: &Path) -> Result<[OsString; 4]> {
    ensure_packages(&["ovmf"])?;
    let vars = scratch.join("vars.fd");
    fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &vars).context("cannot copy OVMF's variables")?;
    let code = Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd");
    Ok([
        "-drive".into(),
        drive("if=pflash,unit=0,format=raw,readonly=on", code),
        "-drive".into(),
        drive("if=pflash,unit=1,format=raw", &vars),
    ])
}

/// QEMU reads a comma as the end of a value, and two as one comma.
fn drive(options: &str, file: &Path) -> OsString {
    format!("{options},file={}", file.display().to_string().replace(',', ",,")).into()
}

/// The guest's serial line, from outside.
#[derive(Clone, Debug)]
pub struct Keyboard(Arc<Mutex<Option<ChildStdin>>>);

impl Keyboard {
    /// Waits while the guest takes nothing; an error when it is gone.
    pub fn type_in(&self, text: &[u8]) -> std::io::Result<()> {
        let mut keyboard = self.0.lock().expect("typing does not panic");
        keyboard.as_mut().ok_or(ErrorKind::BrokenPipe)?.write_all(text)
    }
}

impl Guest {
    pub fn keyboard(&self) -> &Keyboard {
        &self.keyboard
    }

    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Where the server answers: 127.0.0.1 and this port.
    pub fn port(&self) -> u16 {
        self.forward.port()
    }

    /// Where the agent answers `status`, likewise.
    pub fn status_port(&self) -> u16 {
        self.status_port
    }

    /// QEMU's process id, which is its process group's too.
    pub fn pid(&self) -> u32 {
        self.qemu.id()
    }

    /// Waits until the server answers PING. `give_up` is asked all the while.
    pub fn wait_ready(&mut self, limit: Duration, give_up: impl Fn() -> bool) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            if ping(self.port()) {
                return Ok(begun.elapsed());
            }
            if let Some(status) = self.ended()? {
                bail!("QEMU ended ({status}) before the server answered:\n{}", self.console.tail());
            }
            if give_up() {
                bail!("told to stop before the server answered");
            }
            if begun.elapsed() > limit {
                let seconds = limit.as_secs();
                bail!("no answer to PING in {seconds} s; the console:\n{}", self.console.tail());
            }
            // Between two questions; nothing tells us of a guest's progress.
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// QEMU's exit status, if it is over.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.qemu.try_wait().context("cannot ask for QEMU")
    }

    /// Waits for the guest to end by itself (poweroff); false when the time is over.
    pub fn wait_ended(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while self.ended()?.is_none() {
            if Instant::now() > end {
                return Ok(false);
            }
            // A child's end with a time limit can only be asked for.
            thread::sleep(Duration::from_millis(20));
        }
        self.read_to_the_end();
        Ok(true)
    }

    /// Ends the machine, as if its plug were pulled, and returns when nothing of it is left.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            // QEMU's last word is the signal's name, which is ours and no news.
            self.console.show(false);
            let _ = kill_process(self.group, Signal::TERM);
            if !self.wait_ended(PATIENCE)? {
                let _ = kill_process_group(self.group, Signal::KILL);
                self.qemu.wait().context("cannot wait for QEMU")?;
            }
        }
        self.read_to_the_end();
        Ok(())
    }

    /// Once QEMU is gone: what it wrote last may still be on its way.
    fn read_to_the_end(&mut self) {
        self.console.hold(false);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Whether a Redis server answers PING on that port. A password it asks for is an answer, too.
pub fn ping(port: u16) -> bool {
    let try_it = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, PING_LIMIT)?;
        stream.set_read_timeout(Some(PING_LIMIT))?;
        stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
        let mut reply = [0; 7];
        stream.read_exact(&mut reply)?;
        Ok(reply == *b"+PONG\r\n" || reply == *b"-NOAUTH")
    };
    try_it().unwrap_or(false)
}

/// A port of 127.0.0.1 that nobody listens on right now.
pub fn free_port() -> Result<u16> {
    free_ports().map(|[port]| port)
}

/// The same, of so many different ones.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr().context("no free port")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
