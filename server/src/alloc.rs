//! x
/// As INFO calls it.
pub const NAME: &str = "libc";

pub fn used_bytes() -> usize {
    0
}
