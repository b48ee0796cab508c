//! `cargo image run`: from a fresh checkout to an appliance that answers.

use std::io::{BufRead, ErrorKind, IsTerminal, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use tempfile::TempDir;

use crate::accel::Accel;
use crate::appliance::Owner;
use crate::binaries::static_binaries;
use crate::initramfs::Packing;
use crate::kernel::{Choice, Kernel};
use crate::machine::{Boot, Guest, Keyboard, Machine, WORDS};
use crate::packages::ensure_packages;
use crate::process::say;
use crate::status::Note;
use crate::{appliance, disk, paths};

/// From QEMU's start to the first PONG: 2 s with our kernel, 5 with Debian's, 45 through UEFI on a
/// busy machine without KVM.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// What `run` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    pub memory_mib: u32,
    pub port: u16,
    pub uefi: bool,
    pub kernel: Choice,
    /// A holdfast.toml in place of the shipped one.
    pub config: Option<PathBuf>,
}

/// Of a line at once; the guest's kernel has the same bound.
const MAX_TYPED: u64 = 4096;

/// OVMF and our kernel do not start with less; Debian's kernel, being larger, takes some more.
const UEFI_MEMORY_MIB: u32 = 128;

/// Boots the appliance and stays until it ends or a signal says stop. An error if it ends itself.
pub fn run(options: &Options) -> Result<()> {
    let stop = stop_flag()?;
    if options.uefi && options.memory_mib < UEFI_MEMORY_MIB {
        bail!("UEFI firmware needs a machine of {UEFI_MEMORY_MIB} MiB or more: see --memory");
    }
    check_port(options.port)?;
    let mut packages = vec!["qemu-system-x86", "e2fsprogs"];
    if options.uefi {
        packages.extend(["ovmf", "mtools", "systemd-boot-efi"]);
    }
    ensure_packages(&packages)?;
    let kernel = options.kernel.get()?;
    let accel = Accel::probe(&kernel)?;
    let scratch =
        tempfile::tempdir_in(paths::scratch()?).context("cannot make a scratch directory")?;
    let boot = prepare(options, &kernel, &scratch)?;
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    let begun = Instant::now();
    let machine = Machine {
        memory_mib: options.memory_mib,
        port: options.port,
        show_console: true,
        ..Machine::new(boot, accel)
    };
    say(format!("starting QEMU with {} MiB; Ctrl-C stops it", options.memory_mib));
    let mut guest = machine.start()?;
    let _note = Note::leave(options.port, guest.status_port())?;
    let stopped = || stop.load(Ordering::Relaxed);
    if let Err(error) = guest.wait_ready(BOOT_LIMIT, stopped) {
        guest.stop()?;
        return if stopped() { Ok(()) } else { Err(error) };
    }
    println!("ready after {:.1} s: redis-cli -p {}", begun.elapsed().as_secs_f32(), options.port);
    pass_on_what_is_typed(guest.keyboard().clone());
    stay(guest, stopped)
}

/// To the guest's console, whose commands (`holdfast help`) are on; until either end is closed. Not
/// in the background of a shell, which stops whoever reads there.
fn pass_on_what_is_typed(keyboard: Keyboard) {
    let input = std::io::stdin();
    let in_front = tcgetpgrp(&input).is_ok_and(|group| group == getpgrp());
    if input.is_terminal() && !in_front {
        return;
    }
    thread::spawn(move || {
        let mut line = Vec::new();
        while let Ok(1..) = input.lock().take(MAX_TYPED).read_until(b'\n', &mut line) {
            if keyboard.type_in(&line).is_err() {
                return;
            }
            line.clear();
        }
    });
}

fn stay(mut guest: Guest, stopped: impl Fn() -> bool) -> Result<()> {
    while !stopped() {
        if let Some(status) = guest.ended()? {
            bail!("the appliance ended by itself ({status})");
        }
        // Looks for Ctrl-C and for the guest's end alike.
        thread::sleep(Duration::from_millis(50));
    }
    guest.stop()?;
    say("stopped");
    Ok(())
}

/// Kernel and initramfs, or the disk, in `scratch`.
fn prepare(options: &Options, kernel: &Kernel, scratch: &TempDir) -> Result<Boot> {
    let binaries = static_binaries()?;
    let owner = Owner::with_config(options.config.as_deref(), &binaries)?;
    if options.uefi {
        let disk = scratch.path().join("disk.img");
        let uki = appliance::uki(kernel, &binaries, &owner, &WORDS)?;
        disk::write(&disk, &uki, disk::DATA_MIB)?;
        return Ok(Boot::Uefi { disk });
    }
    let initramfs = scratch.path().join("initramfs");
    let packed = appliance::initramfs(kernel, &binaries, &owner, Packing::Quick)?;
    paths::write_atomically(&initramfs, &packed)?;
    let cmdline = appliance::cmdline(&WORDS);
    Ok(Boot::Direct { kernel: kernel.image.clone(), initramfs: Some(initramfs), cmdline })
}

/// Asked once more while stopping, we go at once; QEMU dies with us.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot catch signals")?;
    }
    Ok(stop)
}

/// QEMU would say it, too, after a minute of building and less clearly.
fn check_port(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} of 127.0.0.1 is taken (another Redis?): stop that, or choose another \
             one with --port"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("port {port} is for root only: choose one above 1023 with --port")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_port(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        drop(taken);
        check_port(port).unwrap();
    }
}
