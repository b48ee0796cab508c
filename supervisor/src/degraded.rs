//! Guarantees this machine or container cannot give, each with a code and a sentence.
//!
//! init says each once when it learns of it; `status` names them all for as long as they hold.

use crate::bytes::Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Degraded {
    NoCgroups = 0,
    PartialCgroups = 1,
    NoClone3 = 2,
    VolatileData = 3,
    NoPrivilegeDrop = 4,
    NoNetwork = 5,
    NoDataDirectory = 6,
    Mounts = 7,
    NotPid1 = 8,
    Modules = 9,
    NoStatusSocket = 10,
    NoSeccomp = 11,
    NoLandlock = 12,
    NoWatchdog = 13,
    DataReadOnly = 14,
    DataUnsound = 15,
    DataFull = 16,
    ClockUnset = 17,
    NoLease = 18,
    NoEntropy = 19,
    BackupFailed = 20,
    CertificateExpiring = 21,
    CertificateRefused = 22,
    LogsDropped = 23,
    LeftBehind = 24,
    SafeMode = 25,
    ConfigRefused = 26,
    AddressConflict = 27,
    CertificateNames = 28,
}

impl Degraded {
    pub const ALL: [Self; 29] = [
        Self::NoCgroups,
        Self::PartialCgroups,
        Self::NoClone3,
        Self::VolatileData,
        Self::NoPrivilegeDrop,
        Self::NoNetwork,
        Self::NoDataDirectory,
        Self::Mounts,
        Self::NotPid1,
        Self::Modules,
        Self::NoStatusSocket,
        Self::NoSeccomp,
        Self::NoLandlock,
        Self::NoWatchdog,
        Self::DataReadOnly,
        Self::DataUnsound,
        Self::DataFull,
        Self::ClockUnset,
        Self::NoLease,
        Self::NoEntropy,
        Self::BackupFailed,
        Self::CertificateExpiring,
        Self::CertificateRefused,
        Self::LogsDropped,
        Self::LeftBehind,
        Self::SafeMode,
        Self::ConfigRefused,
        Self::AddressConflict,
        Self::CertificateNames,
    ];

    /// Stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCgroups => "no-cgroups",
            Self::PartialCgroups => "partial-cgroups",
            Self::NoClone3 => "no-clone3",
            Self::VolatileData => "volatile-data",
            Self::NoPrivilegeDrop => "no-privilege-drop",
            Self::NoNetwork => "no-network",
            Self::NoDataDirectory => "no-data-directory",
            Self::Mounts => "mounts",
            Self::NotPid1 => "not-pid-1",
            Self::Modules => "modules",
            Self::NoStatusSocket => "no-status-socket",
            Self::NoSeccomp => "no-seccomp",
            Self::NoLandlock => "no-landlock",
            Self::NoWatchdog => "no-watchdog",
            Self::DataReadOnly => "data-read-only",
            Self::DataUnsound => "data-unsound",
            Self::DataFull => "data-full",
            Self::ClockUnset => "clock-unset",
            Self::NoLease => "no-lease",
            Self::NoEntropy => "no-entropy",
            Self::BackupFailed => "backup-failed",
            Self::CertificateExpiring => "certificate-expiring",
            Self::CertificateRefused => "certificate-refused",
            Self::LogsDropped => "logs-dropped",
            Self::LeftBehind => "left-behind",
            Self::SafeMode => "safe-mode",
            Self::ConfigRefused => "config-refused",
            Self::AddressConflict => "address-conflict",
            Self::CertificateNames => "certificate-names",
        }
    }

    /// What it means, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoCgroups => {
                "cgroup v2 is missing or read-only: no memory, process or CPU limits; \
                 a killed service's own children are found by process group only"
            }
            Self::PartialCgroups => "some cgroup controllers are missing: not every limit holds",
            Self::NoClone3 => "clone3 is refused: services are moved into their cgroup after fork",
            Self::VolatileData => "/data is in memory: everything is lost at power-off",
            Self::NoPrivilegeDrop => "services run as the user init runs as",
            Self::NoNetwork => "no network address was configured: only this machine is reachable",
            Self::NoDataDirectory => "/data is missing: the server runs in /",
            Self::Mounts => "a file system of the usual set could not be mounted",
            Self::NotPid1 => "init is not PID 1: orphans of other processes are not reaped",
            Self::Modules => "a kernel module could not be loaded",
            Self::NoStatusSocket => "no directory for the status socket is writable",
            Self::NoSeccomp => "system calls of services are not cut down",
            Self::NoLandlock => "services may see and write every file their user may",
            Self::NoWatchdog => "there is no hardware watchdog: a machine that hangs stays hung",
            Self::DataReadOnly => "/data has become read-only: nothing is kept",
            Self::DataUnsound => "the file system of /data has errors that could not be repaired",
            Self::DataFull => "/data is full",
            Self::ClockUnset => {
                "the clock has not been set from outside: times and certificates may be wrong"
            }
            Self::NoLease => "no DHCP server has given this machine an address",
            Self::NoEntropy => "the kernel has not gathered randomness yet: no keys are made",
            Self::BackupFailed => "the last backup failed",
            Self::CertificateExpiring => "the certificate is due and has not been renewed",
            Self::CertificateRefused => {
                "the certificate that was put in place is bad; the old one is kept"
            }
            Self::CertificateNames => {
                "a name of [tls] is not in the certificate: its authority does not permit it, and a \
                 new one (holdfast certs new-authority) would have to be given to all clients"
            }
            Self::LogsDropped => {
                "log lines were dropped: they came faster than they could be written"
            }
            Self::LeftBehind => "processes of an ended run cannot be killed",
            Self::SafeMode => {
                "the last starts ended by the watchdog or a panic: it is fed for init's loop alone now"
            }
            Self::AddressConflict => "another machine has this machine's network address",
            Self::ConfigRefused => "holdfast.toml has mistakes: what runs is another configuration",
        }
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DegradedSet(u32);

impl DegradedSet {
    /// True when it was not in the set before.
    pub fn insert(&mut self, degraded: Degraded) -> bool {
        let before = self.0;
        self.0 |= 1 << degraded as u8;
        self.0 != before
    }

    /// True when it was in the set before.
    pub fn remove(&mut self, degraded: Degraded) -> bool {
        let before = self.0;
        self.0 &= !(1 << degraded as u8);
        self.0 != before
    }

    pub fn contains(self, degraded: Degraded) -> bool {
        self.0 & (1 << degraded as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Degraded> {
        Degraded::ALL.into_iter().filter(move |degraded| self.contains(*degraded))
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn from_bits(bits: u32) -> Result<Self, Malformed> {
        let known = (1 << Degraded::ALL.len()) - 1;
        if bits & !known == 0 { Ok(Self(bits)) } else { Err(Malformed("unknown degradation")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_own_bit_and_code() {
        let mut set = DegradedSet::default();
        for (at, degraded) in Degraded::ALL.into_iter().enumerate() {
            assert_eq!(degraded as usize, at);
            assert!(set.insert(degraded) && !set.insert(degraded));
            assert_eq!(Degraded::ALL.iter().filter(|d| d.code() == degraded.code()).count(), 1);
        }
        assert_eq!(DegradedSet::from_bits(set.bits()), Ok(set));
        assert!(set.remove(Degraded::Modules) && !set.remove(Degraded::Modules));
        assert!(set.contains(Degraded::Mounts) && !set.contains(Degraded::Modules));
        assert!(DegradedSet::from_bits(1 << 31).is_err());
    }
}
