//! The configuration: what redis.conf, the command line and `CONFIG` say, as Redis and Valkey
//! understand it.
//!
//! [`Config`] holds the value of every directive and belongs to the engine. [`Settings`] is the
//! same as typed fields, made anew on each change. Nothing here does I/O except [`load`] (through
//! [`load::Files`]) and [`rewrite::replace_file`]: `CONFIG SET` only tells which [`Effect`]s the
//! change has.
//!
//! To read: [`syntax`] (lines to arguments), `directive` (what a directive is), `directives` (the
//! table), [`value`] (its values), [`settings`], [`load`] (start), [`set`] (`CONFIG SET`).

pub mod cli;
mod directive;
mod directives;
pub mod eviction;
mod get;
pub mod load;
pub mod notify;
mod proc_title;
mod renames;
pub mod rewrite;
mod rules;
pub mod set;
pub mod settings;
pub mod syntax;
pub(crate) mod units;
mod users;
pub mod value;
mod warnings;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use directive::Effect;
use directives::Id;
pub use renames::Rename;
pub use settings::Settings;
use value::Value;

/// The value of every directive.
#[derive(Debug)]
pub struct Config {
    values: Vec<Value>,
    settings: Settings,
    /// Absolute path of the file it was read from.
    file: Option<PathBuf>,
    renames: Vec<Rename>,
}

impl Default for Config {
    fn default() -> Self {
        let values: Vec<Value> =
            directives::all().map(|id| Value::default_of(id.directive())).collect();
        let settings = Settings::new(&values);
        Self { values, settings, file: None, renames: Vec::new() }
    }
}

impl Config {
    /// The configuration as typed fields.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Absolute path of the configuration file, if the server was started with one.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// What `rename-command` asks for.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// The system cannot carry as many clients as were asked for.
    pub fn reduce_max_clients(&mut self, clients: usize) {
        let (_, id) = directives::find(b"maxclients").expect("the directive is in the table");
        self.values[id.index()] = Value::Int(clients as i128);
        self.publish();
    }

    /// What `CONFIG GET` answers for one directive; empty for a name that is none.
    pub fn show(&self, name: &str) -> String {
        let shown = directives::find(name.as_bytes())
            .map(|(_, id)| self.value(id).show(id.directive()))
            .unwrap_or_default();
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn is_default(&self, id: Id) -> bool {
        *self.value(id) == Value::default_of(id.directive())
    }

    fn value(&self, id: Id) -> &Value {
        &self.values[id.index()]
    }

    /// Makes the typed view follow the values.
    fn publish(&mut self) {
        self.settings = Settings::new(&self.values);
    }
}
