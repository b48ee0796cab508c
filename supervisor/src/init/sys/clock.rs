//! Steering the kernel's clock, which no crate wraps.

use rustix::io::Errno;

/// As RFC 5905's poll exponents: the clock is steered over some four minutes, which suits questions
/// a minute to a quarter of an hour apart.
const TIME_CONSTANT: libc::c_long = 4;

/// Hands the kernel's phase-locked loop what the clock is off by, in µs, at most half a second
/// either way. It learns how fast the clock runs, too. From then on the clock counts as synchronised,
/// and the kernel writes it to the hardware clock every 11 minutes.
pub(crate) fn steer(offset_us: i64) -> Result<(), Errno> {
    // SAFETY: a `timex` of zeroes is valid, whatever its padding.
    let mut request: libc::timex = unsafe { std::mem::zeroed() };
    request.modes = libc::ADJ_OFFSET
        | libc::ADJ_STATUS
        | libc::ADJ_TIMECONST
        | libc::ADJ_MAXERROR
        | libc::ADJ_ESTERROR
        | libc::ADJ_MICRO;
    request.status = libc::STA_PLL;
    request.constant = TIME_CONSTANT;
    request.offset = offset_us as libc::c_long;
    // SAFETY: `request` is a valid `timex` that outlives the call; the kernel writes only into it.
    let result = unsafe { libc::adjtimex(&mut request) };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
