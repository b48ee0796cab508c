//! Everything unsafe that PID 1 does: the heap's guard, the child between clone and exec, datagrams
//! with credentials, disks, steering the clock, the watchdog, and the vectors that `execve` handed us.
//! Each block says why it is sound.

pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod datagram;
pub(crate) mod disk;
pub(crate) mod heap;
pub(crate) mod process;
pub(crate) mod sandbox;
pub(crate) mod watchdog;
