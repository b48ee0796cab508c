//! KVM where it truly works, else QEMU's own translation (TCG).
//!
//! That /dev/kvm opens says little: nested machines exist that create a guest and then hang it.
//! So a kernel is started for a moment, and only its first words count.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::kernel::Kernel;
use crate::machine::{Boot, Machine};
use crate::paths;
use crate::process::say;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accel {
    Kvm,
    Tcg,
}

/// With KVM the words come within a second; a machine that needs longer is better off without.
const FIRST_WORDS: Duration = Duration::from_secs(8);

impl Accel {
    /// Finds out with `kernel`. The answer is kept until the host starts again.
    pub fn probe(kernel: &Kernel) -> Result<Self> {
        if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            say("no KVM for us here: QEMU translates (TCG), which is slower");
            return Ok(Self::Tcg);
        }
        let kept = kept(kernel)?;
        let answer = match fs::read_to_string(&kept).as_deref() {
            Ok("kvm") => Self::Kvm,
            Ok("tcg") => Self::Tcg,
            _ => {
                let answer = if kernel_speaks(kernel)? { Self::Kvm } else { Self::Tcg };
                paths::write_atomically(&kept, answer.name().as_bytes())?;
                answer
            }
        };
        match answer {
            Self::Kvm => say("KVM works"),
            Self::Tcg => say("KVM is here but hangs its guests: QEMU translates (TCG) instead"),
        }
        Ok(answer)
    }

    /// QEMU's words for it, and for a processor with or without instructions that give randomness.
    ///
    /// Translated, it has no CMPXCHG16B, which Linux' allocator would use: QEMU 7.2 takes what it adds
    /// its flag to from the last addition's operand at times, and an interrupt right behind it then finds
    /// a processor in virtual 8086 mode: "PANIC: double fault", once in some hours of benchmarks.
    pub(crate) fn words(self, has_entropy: bool) -> [&'static str; 4] {
        let processor = match (self, has_entropy) {
            (Self::Kvm, true) => "host",
            (Self::Kvm, false) => "host,-rdrand,-rdseed",
            (Self::Tcg, true) => "max,-cx16",
            (Self::Tcg, false) => "max,-cx16,-rdrand,-rdseed",
        };
        ["-accel", self.name(), "-cpu", processor]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// Where the answer for this kernel and this run of the host is kept.
fn kept(kernel: &Kernel) -> Result<PathBuf> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Ok(paths::scratch()?.join(format!("accel-{}-{}", boot.trim(), kernel.release)))
}

/// Without an initramfs it ends in a panic soon after; by then it has said its version.
fn kernel_speaks(kernel: &Kernel) -> Result<bool> {
    let boot = Boot::Direct {
        kernel: kernel.image.clone(),
        initramfs: None,
        cmdline: "console=ttyS0 panic=-1".to_owned(),
    };
    let guest = Machine::new(boot, Accel::Kvm).start()?;
    let speaks = guest.console().wait_for("Linux version", FIRST_WORDS);
    guest.stop()?;
    Ok(speaks)
}
