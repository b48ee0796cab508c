//! The process's own arguments and environment, and its end.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The arguments, kept for ever: services are started with them after the heap is sealed.
pub(crate) fn arguments() -> Vec<&'static CStr> {
    std::env::args_os().map(|word| keep(word.as_bytes())).collect()
}

/// The environment as `NAME=value`.
pub(crate) fn environment() -> Vec<&'static CStr> {
    let joined = std::env::vars_os().map(|(name, value)| {
        let mut variable = name.into_vec();
        variable.push(b'=');
        variable.extend_from_slice(value.as_bytes());
        variable
    });
    joined.map(|variable| keep(&variable)).collect()
}

/// An environment as `execve` takes it, made once: Kubernetes gives a container seven variables for
/// every service of its namespace. Behind them is room for what only one process is told.
pub(crate) struct Environment {
    pointers: Vec<Cell<*const libc::c_char>>,
    common: usize,
}

/// Variables of one process, NOTIFY_SOCKET and its like.
const OWN_VARIABLES: usize = 8;

impl Environment {
    pub(crate) fn new(variables: &[&'static CStr]) -> Self {
        let pointers = variables.iter().map(|variable| variable.as_ptr());
        let room = [std::ptr::null(); OWN_VARIABLES + 1];
        Self { pointers: pointers.chain(room).map(Cell::new).collect(), common: variables.len() }
    }

    /// For a child that is about to become the service: the words need last no longer than that.
    pub(super) fn add<'a>(&self, variables: impl Iterator<Item = &'a CStr>) {
        let room = self.pointers.iter().skip(self.common).take(OWN_VARIABLES);
        for (place, variable) in room.zip(variables) {
            place.set(variable.as_ptr());
        }
    }

    /// Ends with a null pointer; what it points to is never freed, or is the child's own.
    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr().cast()
    }
}

/// A word that lives as long as PID 1. What follows a NUL is dropped, as C does.
pub(crate) fn keep(word: &[u8]) -> &'static CStr {
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    let word = CString::new(&word[..end]).unwrap_or_default();
    Box::leak(word.into_boxed_c_str())
}

/// Ends without destructors or atexit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}
