//! The configuration as its users meet it: files, flags, `CONFIG GET|SET|REWRITE`. Expected texts
//! were taken from Redis 7.0.15 where it has the directive, else from Valkey 9.1.

mod load;
mod rewrite;
mod set;

use super::Config;
use super::set::Asker;

const REMOTE: Asker = Asker { is_local: false, loading: false };

/// Several `CONFIG SET`s that must work.
fn config_with(pairs: &[[&str; 2]]) -> Config {
    let mut config = Config::default();
    for pair in pairs {
        let args = pair.map(str::as_bytes);
        config.set(&args, REMOTE).unwrap_or_else(|error| panic!("{}", error.reply()));
    }
    config
}
