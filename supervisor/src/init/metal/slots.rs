//! The two slots: which one runs, what the firmware's variables are to be, and writing them.
//!
//! Everything is read and worked out at the start, when there is a heap; later the bytes that lie
//! ready are written, and nothing else. A write lasts as long as the firmware takes for it, some
//! hundredths of a second: it stops the processor whoever asks.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_supervisor::efi::{self, Guid, LoadOption, Order};
use holdfast_supervisor::paths;
use holdfast_supervisor::plan::text;
use holdfast_supervisor::slots::{self, Firmware, Obstacle, Slot, View, Write, judge};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::partition::{self, Placed};
use crate::console::say;

const FIRMWARE: &str = "/sys/firmware/efi";
const VARIABLES: &str = "/sys/firmware/efi/efivars";
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
/// The firmware's own variables,
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// and those of systemd's boot loaders, whose stub our EFI file begins with.
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Before each variable's bytes: kept without power, seen by firmware and by us.
const ATTRIBUTES: u32 = 7;
/// Far more than any boot option has.
const MAX_VARIABLE_BYTES: u64 = 16 << 10;

/// A variable with the bytes that it is to have.
#[derive(Debug)]
struct Variable {
    path: CString,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub view: View,
    keep: Vec<Variable>,
    try_other: Vec<Variable>,
}

pub(super) fn find() -> Slots {
    match try_find() {
        Ok(slots) => {
            slots.tell();
            slots
        }
        Err(obstacle) => {
            if obstacle != Obstacle::NoFirmware {
                say!("slots: {}", obstacle.text());
            }
            Slots { view: View { obstacle, ..View::default() }, ..Slots::default() }
        }
    }
}

fn try_find() -> Result<Slots, Obstacle> {
    if !Path::new(FIRMWARE).is_dir() {
        return Err(Obstacle::NoFirmware);
    }
    mount()?;
    let options = options();
    let current = read("BootCurrent", GLOBAL).and_then(|bytes| efi::order(&bytes).ok()?.pop());
    let order = read("BootOrder", GLOBAL).map_or(Ok(Order::new()), |bytes| efi::order(&bytes));
    let order = order.map_err(|_| Obstacle::FullOrder)?;
    let known: Vec<_> = options.iter().map(|(number, bytes)| (*number, &bytes[..])).collect();
    let firmware = Firmware { options: &known, order: &order, current };

    let (running, own, other) = locate(started_from(&firmware).ok_or(Obstacle::UnknownSlot)?)?;
    let places = match running {
        Slot::A => [own.place, other.place],
        Slot::B => [other.place, own.place],
    };
    let situation = judge(running, &places, &firmware).ok_or(Obstacle::FullOrder)?;
    give_to_agent(&other.device);
    let view = View {
        running: Some(running),
        good: situation.good,
        is_trial: situation.is_trial,
        other_device: text(&other.device.file_name().unwrap_or_default().to_string_lossy()),
        ..View::default()
    };
    let variables = |writes: slots::Writes| writes.iter().map(Variable::new).collect();
    Ok(Slots { view, keep: variables(situation.keep), try_other: variables(situation.try_other) })
}

fn mount() -> Result<(), Obstacle> {
    match rustix::mount::mount("efivarfs", VARIABLES, "efivarfs", FLAGS, c"") {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => {
            say!("cannot mount efivarfs on {VARIABLES}: {errno}");
            Err(Obstacle::NoVariables)
        }
    }
}

/// Without the attributes before them.
fn read(name: &str, vendor: &str) -> Option<Vec<u8>> {
    let path = Path::new(VARIABLES).join(format!("{name}-{vendor}"));
    let is_short = fs::metadata(&path).ok()?.len() <= MAX_VARIABLE_BYTES;
    is_short.then(|| fs::read(path).ok()?.get(4..).map(<[u8]>::to_vec))?
}

/// Every `Boot####`, by its number.
fn options() -> Vec<(u16, Vec<u8>)> {
    let entries = fs::read_dir(VARIABLES).into_iter().flatten().flatten();
    let read = entries.filter_map(|entry| {
        let name = entry.file_name();
        let number =
            name.to_str()?.strip_prefix("Boot")?.strip_suffix(GLOBAL)?.strip_suffix('-')?;
        let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u16::from_str_radix(number, 16).ok().filter(|_| is_number)?;
        Some((value, read(&format!("Boot{number}"), GLOBAL)?))
    });
    let mut options: Vec<_> = read.collect();
    options.sort();
    options
}

/// The unique id of the partition from which we were started: what our EFI file's stub saw, else what
/// the boot option says that the firmware followed.
fn started_from(firmware: &Firmware) -> Option<Guid> {
    let seen = read("LoaderDevicePartUUID", LOADER).and_then(|text| efi::guid(&text));
    seen.or_else(|| {
        let current = firmware.current?;
        let (_, bytes) = firmware.options.iter().find(|(number, _)| *number == current)?;
        Some(LoadOption::parse(bytes).ok()?.partition()?.id)
    })
}

/// The slot with this id, and the other one of its disk.
fn locate(id: Guid) -> Result<(Slot, Placed, Placed), Obstacle> {
    let all: Vec<(Slot, Placed)> = Slot::ALL
        .into_iter()
        .flat_map(|slot| partition::named(slot.partition()).into_iter().map(move |at| (slot, at)))
        .collect();
    if all.is_empty() {
        return Err(Obstacle::NoSlots);
    }
    let mut own = all.iter().filter(|(_, at)| at.place.id == id);
    let (slot, at) = own.next().ok_or(Obstacle::UnknownSlot)?;
    if own.next().is_some() {
        return Err(Obstacle::TwoDisks);
    }
    let mut others = all.iter().filter(|(other, it)| *other == slot.other() && it.disk == at.disk);
    let (_, other) = others.next().ok_or(Obstacle::NoSlots)?;
    Ok((*slot, at.clone(), other.clone()))
}

/// Who writes an update there is not root, and may write nothing else.
fn give_to_agent(device: &Path) {
    let (uid, gid) = (Uid::from_raw(paths::AGENT_UID), Gid::from_raw(paths::AGENT_GID));
    let given = rustix::fs::chown(device, Some(uid), Some(gid))
        .and_then(|()| rustix::fs::chmod(device, Mode::from(0o600)));
    if let Err(errno) = given {
        say!("slots: cannot give {} to the agent: {errno}", device.display());
    }
}

impl Slots {
    /// The slot that does not run.
    pub(crate) fn other(&self) -> Option<PathBuf> {
        self.view.running.map(|_| Path::new("/dev").join(self.view.other_device.as_str()))
    }

    fn tell(&self) {
        let name = |slot: Option<Slot>| slot.map_or("none of ours", Slot::name);
        match (self.view.is_trial, self.view.running, self.view.good) {
            (true, running, _) => say!("slot {} is on trial", name(running)),
            (_, running, Some(good)) if running != Some(good) => {
                say!("slot {} runs; the firmware starts slot {} first", name(running), good.name());
            }
            _ => {}
        }
    }

    /// Has the firmware start the other slot, once.
    pub(crate) fn try_other(&mut self) {
        if self.view.running.is_some() && !self.view.is_trial {
            self.view.is_armed = write_all(&self.try_other, &mut self.view.errno);
        }
    }

    /// Has the firmware start this slot from now on.
    pub(crate) fn keep(&mut self) {
        if self.view.is_trial && write_all(&self.keep, &mut self.view.errno) {
            self.view.is_trial = false;
            self.view.good = self.view.running;
            say!("slot {} is kept", self.view.running.map_or("", Slot::name));
        }
    }
}

fn write_all(variables: &[Variable], failure: &mut u16) -> bool {
    let failed =
        variables.iter().find_map(|variable| variable.write().err().map(|e| (variable, e)));
    *failure = failed.map_or(0, |(_, errno)| errno.raw_os_error() as u16);
    if let Some((variable, errno)) = failed {
        say!("slots: cannot write {}: {errno}", variable.path.to_string_lossy());
    }
    failed.is_none()
}

impl Variable {
    fn new(write: &Write) -> Self {
        let (name, body) = match write {
            Write::Option(number, bytes) => (format!("Boot{number:04X}"), bytes.to_vec()),
            Write::Order(order) => {
                ("BootOrder".to_owned(), order.iter().flat_map(|n| n.to_le_bytes()).collect())
            }
            Write::Next(number) => ("BootNext".to_owned(), number.to_le_bytes().to_vec()),
        };
        let path = CString::new(format!("{VARIABLES}/{name}-{GLOBAL}"));
        let path = path.expect("numbers and letters");
        Self { path, bytes: [&ATTRIBUTES.to_le_bytes()[..], &body].concat() }
    }

    /// In one call: each is a variable to the firmware.
    fn write(&self) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.path.as_c_str(), flags, Mode::from(0o600))?;
        let written = rustix::io::write(&file, &self.bytes)?;
        if written == self.bytes.len() { Ok(()) } else { Err(Errno::IO) }
    }
}
