//! The appliance, booted in QEMU from kernel and initramfs: it serves, it heals, it goes away.

mod partition;
mod rig;
mod wire;

mod bare;
mod certificates;
mod config;
mod console;
mod damage;
mod data;
mod ends;
mod first_boot;
mod healing;
mod limits;
mod network;
mod stuck;
mod tool;
mod update;
mod watchdog;
