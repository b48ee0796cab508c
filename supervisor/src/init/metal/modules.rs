//! Kernel modules of a packaged kernel, in the order the image worked out.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;

use crate::console::say;

/// One file name a line, a module after what it needs. No list means a kernel without modules.
pub(crate) fn load_all(folder: &str) -> bool {
    let folder = Path::new(folder);
    let Ok(order) = std::fs::read_to_string(folder.join("load-order")) else { return true };
    let names = order.lines().map(str::trim).filter(|line| !line.is_empty());
    let failed = names.filter(|name| !load(&folder.join(name), name)).count();
    failed == 0
}

fn load(path: &Path, name: &str) -> bool {
    let loaded = File::open(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .and_then(|file| rustix::system::finit_module(file, c"", 0));
    match loaded {
        Ok(()) | Err(Errno::EXIST) => true,
        // The hardware this driver is for is not in this machine.
        Err(Errno::NODEV) => true,
        Err(errno) => {
            say!("cannot load kernel module {name}: {errno}");
            false
        }
    }
}
