//! Words about set-up that takes long, past libtest's capture so that they are seen at once.

use std::io::Write;

/// Prints one line on stderr.
pub fn say(what: impl AsRef<str>) {
    // A closed stderr is no reason to fail a test.
    let _ = writeln!(std::io::stderr().lock(), "holdfast-tests: {}", what.as_ref());
}
