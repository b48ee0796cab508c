//! Builds what Holdfast ships and boots it: the library behind `cargo image`, used by the tests too.
//!
//! In reading order: what a build stands on, what goes into an image, the images, the machine.

pub mod packages;
pub mod paths;
mod process;
mod sys;

pub mod binaries;
pub mod rootfs;

pub mod appliance;
pub mod blank_ext4;
pub mod disk;
pub mod initramfs;
pub mod kernel;
pub mod oci;
pub mod slot;
pub mod uki;
pub mod update;

pub mod accel;
pub mod console;
mod forward;
pub mod machine;
pub mod run;
pub mod status;

pub mod buildroot;

pub use binaries::{Binaries, static_binaries};
pub use machine::{Guest, Machine};
pub use packages::ensure_packages;
