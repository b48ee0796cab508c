//! The appliance, booted in QEMU from kernel and initramfs: it serves, it heals, it goes away.

mod rig;

mod healing;
mod serving;
mod tool;
