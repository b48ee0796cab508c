//! Debian packages that a test needs: the image tool's set-up, with this crate's error type.

/// Makes sure that `packages` are installed; otherwise says which line to type.
pub fn ensure(packages: &[&str]) -> Result<(), String> {
    holdfast_image::ensure_packages(packages).map_err(|why| format!("{why:#}"))
}
