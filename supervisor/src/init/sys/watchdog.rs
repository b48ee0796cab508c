//! The two questions of a watchdog device that are ioctls (linux/watchdog.h). Feeding is a write.

use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

const GET_BOOT_STATUS: Opcode = opcode::read::<i32>(b'W', 2);
const SET_TIMEOUT: Opcode = opcode::read_write::<i32>(b'W', 6);
/// `WDIOF_CARDRESET`: the last reset was this device's doing.
const CARD_RESET: i32 = 0x20;

/// True when the device reset the machine the last time.
pub(crate) fn caused_the_last_reset(device: impl AsFd) -> bool {
    // SAFETY: the opcode has the kernel write one i32, which is what `Getter` makes room for.
    let status = unsafe { ioctl(device, Getter::<GET_BOOT_STATUS, i32>::new()) };
    status.is_ok_and(|status| status & CARD_RESET != 0)
}

/// Asks for `seconds`; what the device really does, which may be another number.
pub(crate) fn set_timeout(device: impl AsFd, seconds: u16) -> rustix::io::Result<u16> {
    let mut value = i32::from(seconds);
    // SAFETY: the opcode has the kernel read and write the one i32 that `Updater` points to.
    unsafe { ioctl(device, Updater::<SET_TIMEOUT, i32>::new(&mut value)) }?;
    Ok(u16::try_from(value).unwrap_or(u16::MAX))
}
