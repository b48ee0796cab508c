//! The server's program: arguments to configuration, then [`holdfast_server::server::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(panic = "unwind")]
    end_at_panics();
    let args: Vec<_> = std::env::args_os().collect();
    holdfast_server::server::main(&args)
}

/// A panic ends what ships (`panic = "abort"`), and so it does builds that could go on: they would with
/// an engine whose lock is free and whose data is half changed.
#[cfg(panic = "unwind")]
fn end_at_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}
