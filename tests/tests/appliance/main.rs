//! The appliance, booted in QEMU from kernel and initramfs: it serves, it heals, it goes away.

mod partition;
mod rig;
mod wire;

mod certificates;
mod config;
mod console;
mod data;
mod ends;
mod healing;
mod limits;
mod network;
mod tool;
mod watchdog;
