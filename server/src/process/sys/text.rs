//! The program's own pages: much of what ran at start never runs again, and need not count as this
//! process's memory. What does comes back from the page cache, sixteen pages at a fault.

use std::fs;
use std::ops::Range;

use super::forget_pages;

/// Takes the program's code and constants out of the process's pages.
pub fn release_text() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Ok(own) = std::env::current_exe() else { return };
    let own = own.to_string_lossy();
    for addresses in maps.lines().filter_map(|line| unwritten(line, &own)) {
        // SAFETY: the program's own file is mapped there, for reading only since the loader was done.
        unsafe { forget_pages(addresses) };
    }
}

/// The addresses of a mapping of the program that nobody ever writes to: code, and the first segment.
/// (Constants with addresses in them are in another, which the loader writes and then protects.)
fn unwritten(line: &str, own: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (rights, offset) = (words.next()?, words.next()?);
    let is_first = offset.bytes().all(|digit| digit == b'0');
    // Device and inode come between.
    let path = words.nth(2)?;
    let is_unwritten = rights == "r-xp" || (rights == "r--p" && is_first);
    let address = |hex| usize::from_str_radix(hex, 16).ok();
    (path == own && is_unwritten).then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_loader_leaves_alone_is_released() {
        for (line, expected) in [
            ("1000-3000 r--p 00000000 fe:00 10061374    /bin/own", Some(0x1000..0x3000)),
            ("3000-4000 r-xp 00002000 fe:00 10061374    /bin/own", Some(0x3000..0x4000)),
            ("4000-5000 r--p 00003000 fe:00 10061374    /bin/own", None),
            ("5000-6000 rw-p 00004000 fe:00 10061374    /bin/own", None),
            ("1000-3000 r-xp 00000000 fe:00 10061374    /lib/other.so", None),
            ("7000-8000 r-xp 00000000 00:00 0           [vdso]", None),
            ("7000-8000 rw-p 00000000 00:00 0", None),
            ("", None),
        ] {
            assert_eq!(unwritten(line, "/bin/own"), expected, "{line}");
        }
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        static PRIMES: [u32; 6] = [2, 3, 5, 7, 11, 13];
        let sum = || std::hint::black_box(&PRIMES).iter().sum::<u32>();
        release_text();
        assert_eq!(sum(), 41, "constants are read anew");
    }
}
