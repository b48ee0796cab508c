//! The process's title: what `ps` shows instead of its command line (`set-proc-title`).

use std::ffi::OsString;
use std::sync::OnceLock;

use super::sys;
use super::sys::Area;

static TITLE: OnceLock<Title> = OnceLock::new();

struct Title {
    area: Area,
    /// The name that we were called by.
    called: String,
}

/// Makes room for titles. To be called once, before the process has threads; where the kernel does not
/// say what it shows, it goes on showing that.
pub fn prepare(args: &[OsString]) {
    let called = args.first().map(|name| name.to_string_lossy().into_owned());
    if let (Some(area), Some(called)) = (sys::take_area(), called) {
        let _ = TITLE.set(Title { area, called });
    }
}

/// Shows what `title` makes of the name that we were called by; nothing new where that is nothing.
pub fn show(title: impl FnOnce(&str) -> Option<String>) {
    if let Some(Title { area, called }) = TITLE.get()
        && let Some(title) = title(called)
    {
        area.show(title.as_bytes());
    }
}
