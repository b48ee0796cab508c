//! File descriptors: one for each client, and some for ourselves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Listeners, logs, files of the data set: as many as Redis keeps.
const RESERVED: u64 = 32;

/// Raises the limit of open files, if need be, so that this many clients fit. Returns how many
/// do, at most `clients`.
pub fn make_room_for(clients: usize) -> usize {
    let wanted = clients as u64 + RESERVED;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return clients;
    }
    // Raising the hard limit takes privileges; going up to it does not.
    let maximum = limit.maximum.map_or(wanted, |maximum| maximum.max(wanted));
    let all = Rlimit { current: Some(wanted), maximum: Some(maximum) };
    let allowed = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, all).or_else(|_| setrlimit(Resource::Nofile, allowed));
    let open = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    usize::try_from(open.saturating_sub(RESERVED)).unwrap_or(usize::MAX).min(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_clients_always_fit_and_too_many_never() {
        assert_eq!(make_room_for(10), 10);
        // Beyond fs.nr_open of any machine.
        let possible = make_room_for(u32::MAX as usize);
        assert!((10..u32::MAX as usize).contains(&possible), "{possible}");
    }
}
