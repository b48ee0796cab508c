//! Kernels: our own module-less one, Debian's packaged one, or a file that the user names.

pub mod debian;
pub mod fragments;
pub mod own;
pub mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::process::say;

/// A kernel to boot.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The bzImage.
    pub image: PathBuf,
    /// What `uname -r` will say.
    pub release: String,
    /// What init has to load, in this order. Empty for a module-less kernel.
    pub modules: Vec<Module>,
}

/// One kernel module, uncompressed.
#[derive(Clone, Debug)]
pub struct Module {
    /// File name, such as `virtio_net.ko`.
    pub file: String,
    pub bytes: Vec<u8>,
}

/// `--kernel`.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Ours where it is built already, else Debian's: the quickest way to a running appliance.
    Quickest,
    /// Ours, built if need be.
    Own,
    /// Debian's package for clouds.
    Debian,
    /// A bzImage with everything built in.
    File(PathBuf),
}

impl FromStr for Choice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "own" => Self::Own,
            "debian" => Self::Debian,
            file => Self::File(file.into()),
        })
    }
}

impl Choice {
    /// Gets the kernel, which may mean to download or to build it.
    pub fn get(&self) -> Result<Kernel> {
        let kernel = match self {
            Self::Quickest => match own::cached()? {
                Some(kernel) => kernel,
                None => debian::get()?,
            },
            Self::Own => own::build()?,
            Self::Debian => debian::get()?,
            Self::File(path) => Kernel::module_less(path)?,
        };
        say(format!("kernel {}, {} modules", kernel.release, kernel.modules.len()));
        Ok(kernel)
    }
}

impl Kernel {
    /// A kernel that needs no modules.
    pub fn module_less(image: &Path) -> Result<Self> {
        Ok(Self { image: image.to_owned(), release: release_of(image)?, modules: Vec::new() })
    }
}

/// The version string that every bzImage carries (Documentation/arch/x86/boot.rst, "kernel_version").
fn release_of(image: &Path) -> Result<String> {
    let bytes =
        fs::read(image).with_context(|| format!("cannot read the kernel {}", image.display()))?;
    match release_in(&bytes) {
        Some(release) => Ok(release),
        None => bail!("{} is not an x86 kernel (bzImage)", image.display()),
    }
}

fn release_in(image: &[u8]) -> Option<String> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let pointer = u16::from_le_bytes(image.get(0x20e..0x210)?.try_into().ok()?);
    let text = image.get(usize::from(pointer) + 0x200..)?;
    let end = text.iter().position(|b| matches!(b, 0 | b' '))?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_is_read_from_the_header() {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x313].copy_from_slice(b"6.12.1-x (me) #1 SM");
        assert_eq!(release_in(&image).as_deref(), Some("6.12.1-x"));
        image[0x202] = 0;
        assert_eq!(release_in(&image), None);
        assert_eq!(release_in(&[]), None);
    }

    #[test]
    fn choice_has_two_words_and_else_a_file() {
        assert_eq!("own".parse(), Ok(Choice::Own));
        assert_eq!("debian".parse(), Ok(Choice::Debian));
        assert_eq!("./bzImage".parse(), Ok(Choice::File("./bzImage".into())));
    }
}
