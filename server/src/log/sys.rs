//! The C library's local time: it knows `TZ` and /etc/localtime.

/// A moment in the machine's time zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalTime {
    pub(super) year: i32,
    /// 0 to 11.
    pub(super) month0: usize,
    pub(super) day: i32,
    pub(super) hour: i32,
    pub(super) minute: i32,
    pub(super) second: i32,
    /// East of Greenwich.
    pub(super) utc_offset_s: i64,
}

/// `unix_s` in local time; the first of January 1970 for a time no calendar holds.
pub(super) fn local_time(unix_s: u64) -> LocalTime {
    let time = libc::time_t::try_from(unix_s).unwrap_or(libc::time_t::MAX);
    // SAFETY: `tm` is a plain C struct for which all zeroes is a value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of this frame, and `localtime_r` keeps neither.
    let known = unsafe { !libc::localtime_r(&raw const time, &raw mut tm).is_null() };
    if !known {
        return LocalTime {
            year: 1970,
            month0: 0,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            utc_offset_s: 0,
        };
    }
    LocalTime {
        year: tm.tm_year.saturating_add(1900),
        month0: usize::try_from(tm.tm_mon).unwrap_or(0).min(11),
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
        utc_offset_s: tm.tm_gmtoff,
    }
}
