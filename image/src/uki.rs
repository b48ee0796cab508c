//! The unified kernel image: systemd's EFI stub with kernel, initramfs and command line as
//! sections of one PE file, which is the whole operating system.
//!
//! ```text
//!  stub: DOS header │ PE, COFF, optional header │ section table … room │ sections …
//!  ours:                                         +5 entries             │ .osrel .cmdline .uname .initrd .linux
//! ```
//!
//! Field offsets are those of the PE/COFF specification, revision 11. The checksum field stays as
//! it is: EFI firmware does not look at it.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::kernel::Kernel;
use crate::packages::ensure_packages;

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// Larger than this and the image is no small firmware any more. Debian's kernel is allowed more.
pub const LIMIT: usize = 12 * 1024 * 1024;

/// Readable initialised data: IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ.
const DATA: u32 = 0x4000_0040;

const SECTION_ENTRY: usize = 40;

/// Joins the parts. Same parts, same bytes.
pub fn build(kernel: &Kernel, initramfs: &[u8], cmdline: &str) -> Result<Vec<u8>> {
    ensure_packages(&["systemd-boot-efi"])?;
    let stub = fs::read(STUB).with_context(|| format!("cannot read the EFI stub {STUB}"))?;
    let linux = fs::read(&kernel.image)
        .with_context(|| format!("cannot read the kernel {}", kernel.image.display()))?;
    let release = kernel.release.clone();
    let sections: [(&str, &[u8]); 5] = [
        (".osrel", OS_RELEASE.as_bytes()),
        (".cmdline", cmdline.as_bytes()),
        (".uname", release.as_bytes()),
        (".initrd", initramfs),
        (".linux", &linux),
    ];
    append(stub, &sections).context("cannot make the unified kernel image")
}

const OS_RELEASE: &str = concat!(
    "ID=holdfast\nNAME=Holdfast\nPRETTY_NAME=\"Holdfast ",
    env!("CARGO_PKG_VERSION"),
    "\"\nVERSION_ID=",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

/// Appends `sections` to the PE image `pe`, each behind the last one in file and memory.
fn append(mut pe: Vec<u8>, sections: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let layout = Layout::of(&pe)?;
    let table_end = layout.table + (layout.count + sections.len()) * SECTION_ENTRY;
    if table_end > layout.headers_end {
        bail!("the EFI stub has no room for {} more sections", sections.len());
    }
    let mut address = layout.memory_end;
    for (index, (name, body)) in sections.iter().enumerate() {
        let raw = align(pe.len(), layout.file_align);
        pe.resize(raw, 0);
        pe.extend(*body);
        pe.resize(align(pe.len(), layout.file_align), 0);
        let entry = layout.table + (layout.count + index) * SECTION_ENTRY;
        pe[entry..entry + SECTION_ENTRY].fill(0);
        pe[entry..entry + name.len()].copy_from_slice(name.as_bytes());
        put(&mut pe, entry + 8, body.len())?; // VirtualSize
        put(&mut pe, entry + 12, address)?; // VirtualAddress
        let raw_len = pe.len() - raw;
        put(&mut pe, entry + 16, raw_len)?; // SizeOfRawData
        put(&mut pe, entry + 20, raw)?; // PointerToRawData
        put(&mut pe, entry + 36, DATA as usize)?; // Characteristics
        address = align(address + body.len(), layout.section_align);
    }
    let count = u16::try_from(layout.count + sections.len())?;
    pe[layout.coff + 2..layout.coff + 4].copy_from_slice(&count.to_le_bytes());
    put(&mut pe, layout.optional + 56, address)?; // SizeOfImage
    Ok(pe)
}

/// Where things are in a PE file.
struct Layout {
    coff: usize,
    optional: usize,
    /// The section table and how many entries it has.
    table: usize,
    count: usize,
    /// Section entries must end before here, where the first section's bytes begin.
    headers_end: usize,
    memory_end: usize,
    section_align: usize,
    file_align: usize,
}

impl Layout {
    fn of(pe: &[u8]) -> Result<Self> {
        let signature = word(pe, 0x3c)?;
        if pe.get(signature..signature + 4) != Some(b"PE\0\0") {
            bail!("the EFI stub is not a PE file");
        }
        let coff = signature + 4;
        let optional = coff + 20;
        let table = optional + half(pe, coff + 16)?;
        let mut layout = Self {
            coff,
            optional,
            table,
            count: half(pe, coff + 2)?,
            headers_end: word(pe, optional + 60)?,
            memory_end: 0,
            section_align: word(pe, optional + 32)?,
            file_align: word(pe, optional + 36)?,
        };
        if !layout.section_align.is_power_of_two() || !layout.file_align.is_power_of_two() {
            bail!("the EFI stub's alignments are no powers of two");
        }
        for index in 0..layout.count {
            let entry = table + index * SECTION_ENTRY;
            let end = word(pe, entry + 12)? + word(pe, entry + 8)?;
            layout.memory_end = layout.memory_end.max(align(end, layout.section_align));
            let raw = word(pe, entry + 20)?;
            if raw != 0 {
                layout.headers_end = layout.headers_end.min(raw);
            }
        }
        Ok(layout)
    }
}

fn align(value: usize, to: usize) -> usize {
    value.next_multiple_of(to)
}

fn half(pe: &[u8], at: usize) -> Result<usize> {
    let bytes = pe.get(at..at + 2).context("the EFI stub ends too early")?;
    Ok(u16::from_le_bytes(bytes.try_into()?).into())
}

fn word(pe: &[u8], at: usize) -> Result<usize> {
    let bytes = pe.get(at..at + 4).context("the EFI stub ends too early")?;
    Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
}

fn put(pe: &mut [u8], at: usize, value: usize) -> Result<()> {
    let value = u32::try_from(value).context("more than 4 GiB do not fit a PE file")?;
    pe[at..at + 4].copy_from_slice(&value.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PE file with one section and room for `room` more.
    fn tiny(room: usize) -> Vec<u8> {
        let (coff, optional) = (0x44, 0x58);
        let table = optional + 112;
        let first = align(table + (1 + room) * SECTION_ENTRY, 8);
        let mut pe = vec![0; first + 16];
        pe[0x40..0x44].copy_from_slice(b"PE\0\0");
        put(&mut pe, 0x3c, 0x40).unwrap();
        pe[coff + 2] = 1;
        pe[coff + 16] = 112;
        put(&mut pe, optional + 32, 0x1000).unwrap();
        put(&mut pe, optional + 36, 8).unwrap();
        put(&mut pe, optional + 60, first).unwrap();
        put(&mut pe, table + 8, 16).unwrap();
        put(&mut pe, table + 12, 0x1000).unwrap();
        put(&mut pe, table + 16, 16).unwrap();
        put(&mut pe, table + 20, first).unwrap();
        pe
    }

    #[test]
    fn sections_follow_each_other_without_overlap() {
        let big = vec![7; 0x1800];
        let pe = append(tiny(2), &[(".a", b"one"), (".b", &big)]).unwrap();
        let layout = Layout::of(&pe).unwrap();
        assert_eq!(layout.count, 3);
        let entry = |i: usize, at: usize| word(&pe, layout.table + i * SECTION_ENTRY + at).unwrap();
        assert_eq!((entry(1, 12), entry(2, 12)), (0x2000, 0x3000));
        assert_eq!(word(&pe, layout.optional + 56).unwrap(), 0x5000);
        let (raw, len) = (entry(2, 20), entry(2, 8));
        assert_eq!(pe[raw..raw + len], big);
        assert_eq!(&pe[entry(1, 20)..][..3], b"one");
    }

    #[test]
    fn a_stub_without_room_or_cut_short_is_refused() {
        assert!(append(tiny(1), &[(".a", b""), (".b", b"")]).is_err());
        let whole = tiny(2);
        for cut in [0, 0x3e, 0x50, 0x60, 0xd0] {
            assert!(append(whole[..cut].to_vec(), &[(".a", b"")]).is_err(), "cut at {cut}");
        }
    }
}
