//! The power button: an input device that can say KEY_POWER. The kernel makes no signal of it.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use heapless::Vec;
use rustix::fs::{Mode, OFlags};

const CLASS: &str = "/sys/class/input";
/// A machine has one or two: on the case, and on a keyboard.
const MAX_BUTTONS: usize = 4;
/// `struct input_event` of linux/input.h: two words of time, then type, code and value.
const EVENT_BYTES: usize = 24;
const EVENTS_PER_READ: usize = 16;
const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
const PRESSED: i32 = 1;

pub(crate) type Buttons = Vec<OwnedFd, MAX_BUTTONS>;

/// Every device with such a key.
pub(crate) fn open_all() -> Buttons {
    let mut buttons = Buttons::new();
    for entry in fs::read_dir(CLASS).into_iter().flatten().flatten() {
        let keys = fs::read_to_string(entry.path().join("device/capabilities/key"));
        if !keys.is_ok_and(|keys| has_key(&keys, KEY_POWER)) {
            continue;
        }
        let device = Path::new("/dev/input").join(entry.file_name());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(button) = rustix::fs::open(device, flags, Mode::empty())
            && buttons.push(button).is_err()
        {
            break;
        }
    }
    buttons
}

/// The kernel's bitmap: words of 64 bits in hexadecimal, the highest first.
fn has_key(bitmap: &str, key: u16) -> bool {
    let word = bitmap.split_whitespace().rev().nth(usize::from(key / 64));
    let word = word.and_then(|word| u64::from_str_radix(word, 16).ok());
    word.is_some_and(|word| word & 1 << (key % 64) != 0)
}

/// Reads what the buttons said; true when one of them was pressed.
pub(crate) fn is_pressed(buttons: &Buttons) -> bool {
    let mut pressed = false;
    for button in buttons {
        let mut events = [0; EVENT_BYTES * EVENTS_PER_READ];
        while let Ok(len @ 1..) = rustix::io::read(button, &mut events[..]) {
            let events = events.get(..len).unwrap_or_default();
            pressed |= events.chunks_exact(EVENT_BYTES).any(is_power_press);
        }
    }
    pressed
}

fn is_power_press(event: &[u8]) -> bool {
    let field = |at: usize| event.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    let value = event.get(20..24).and_then(|bytes| bytes.try_into().ok());
    field(16).map(u16::from_ne_bytes) == Some(EV_KEY)
        && field(18).map(u16::from_ne_bytes) == Some(KEY_POWER)
        && value.map(i32::from_ne_bytes) == Some(PRESSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_key_is_found_in_the_kernels_bitmap() {
        assert!(has_key("10000000000000 0\n", KEY_POWER), "an ACPI button's own");
        assert!(has_key("3 10000000000000 ffff", KEY_POWER));
        assert!(!has_key("10000000000000\n", KEY_POWER), "key 52");
        assert!(!has_key("", KEY_POWER) && !has_key("x y", KEY_POWER));
    }

    #[test]
    fn only_a_press_of_that_key_counts() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut event = [0; EVENT_BYTES];
            event[16..18].copy_from_slice(&kind.to_ne_bytes());
            event[18..20].copy_from_slice(&code.to_ne_bytes());
            event[20..].copy_from_slice(&value.to_ne_bytes());
            event
        };
        assert!(is_power_press(&event(EV_KEY, KEY_POWER, 1)));
        assert!(!is_power_press(&event(EV_KEY, KEY_POWER, 0)), "let go");
        assert!(!is_power_press(&event(EV_KEY, 30, 1)));
        assert!(!is_power_press(&event(0, 0, 0)));
        assert!(!is_power_press(&[1; 7]));
    }
}
