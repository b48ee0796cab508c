//! What holdfast-init (PID 1) and holdfast-agent (its first service) share.
//!
//! Reading order: [`machine`] is the life of a service as a pure function; [`plan`] is what init is
//! asked to run; [`channel`] is how the two processes talk; [`notify`] is what services say of
//! themselves; [`snapshot`] is what init tells about itself; [`silence`] tells the starved from the
//! hung; [`control`] is what the agent is asked, [`console`] the same as it is typed; [`gate`] is when the watchdog is fed and [`record`] what a machine tells its next start.
//! [`slots`] is what firmware has to be told for an update, in [`efi`]'s words, and [`mod@update`] the file of one.
//! [`bytes`] carries all of them; [`cmdline`] reads what the kernel was told.
//!
//! Nothing here does I/O except [`clock`], and nothing allocates: init runs this code after it has
//! sealed its heap.
#![forbid(unsafe_code)]

pub mod bytes;
pub mod channel;
pub mod clock;
pub mod cmdline;
pub mod console;
pub mod control;
pub mod degraded;
pub mod efi;
pub mod gate;
pub mod machine;
pub mod notify;
pub mod paths;
pub mod plan;
pub mod record;
pub mod silence;
pub mod slots;
pub mod snapshot;
pub mod update;
