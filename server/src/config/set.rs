//! `CONFIG SET`: all pairs or none.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use super::directives::{self, Id};
use super::value::Value;
use super::{Config, Effect};

/// Why a port is not set.
pub const LISTEN_FAILED: &str = "Unable to listen on this port. Check server logs.";
/// Why `oom-score-adj` is not set.
pub const OOM_SCORE_FAILED: &str = "Failed to set current oom_score_adj. Check server logs.";
/// Why a directive of TLS is not set.
pub const TLS_FAILED: &str = "Unable to update TLS configuration. Check server logs.";

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Connected over loopback or the unix socket.
    pub is_local: bool,
    /// The data set is being loaded.
    pub loading: bool,
}

/// What a `CONFIG SET` changed: the effects to carry out, and how to take it back.
#[derive(Debug)]
pub struct Change {
    effects: Vec<(Effect, &'static str)>,
    old: Vec<(Id, Value)>,
}

impl Change {
    /// In the order of the arguments, each once, with the directive that asked for it.
    pub fn effects(&self) -> &[(Effect, &'static str)] {
        &self.effects
    }
}

/// Why a `CONFIG SET` changed nothing. [`reply`](SetError::reply) is the client's error text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// An odd number of arguments.
    Pairs,
    Unknown(Vec<u8>),
    Loading,
    Refused {
        argument: Vec<u8>,
        reason: String,
    },
}

impl SetError {
    /// For an effect of `directive` that could not be carried out.
    pub fn effect_failed(effect: Effect, directive: &str, reason: &str) -> Self {
        let reason = match effect {
            Effect::Listen if directive == "bind" => "Failed to bind to specified addresses.",
            Effect::Listen => LISTEN_FAILED,
            Effect::Tls => TLS_FAILED,
            _ => reason,
        };
        Self::refused(directive.as_bytes(), reason)
    }

    fn refused(argument: &[u8], reason: impl Into<String>) -> Self {
        SetError::Refused { argument: argument.to_vec(), reason: reason.into() }
    }

    /// The error reply, without its leading `-`.
    pub fn reply(&self) -> String {
        match self {
            SetError::Pairs => "ERR syntax error".into(),
            SetError::Unknown(name) => format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                String::from_utf8_lossy(name)
            ),
            SetError::Loading => "LOADING Holdfast is loading the dataset in memory".into(),
            SetError::Refused { argument, reason } => format!(
                "ERR CONFIG SET failed (possibly related to argument '{}') - {reason}",
                String::from_utf8_lossy(argument)
            ),
        }
    }
}

/// True when the value of this directive must not be shown in logs.
pub fn is_sensitive(name: &[u8]) -> bool {
    directives::find(name).is_some_and(|(_, id)| id.directive().sensitive)
}

impl Config {
    /// Sets every pair, or none. The caller carries out the effects and calls
    /// [`undo`](Self::undo) if one of them fails.
    pub fn set(&mut self, args: &[&[u8]], asker: Asker) -> Result<Change, SetError> {
        let (pairs, rest) = args.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(SetError::Pairs);
        }
        let targets = self.targets(pairs, asker)?;
        let mut change = Change { effects: Vec::new(), old: Vec::new() };
        for ((name, id), [_, value]) in targets.into_iter().zip(pairs) {
            if let Err(reason) = self.set_one(id, value, &mut change) {
                self.undo(change);
                return Err(SetError::refused(name.as_bytes(), reason));
            }
        }
        self.publish();
        Ok(change)
    }

    /// Takes a change back. Its effects have to be carried out again.
    pub fn undo(&mut self, change: Change) {
        for (id, value) in change.old.into_iter().rev() {
            self.values[id.index()] = value;
        }
        self.publish();
    }

    /// Finds every directive before anything is changed; the first trouble is the one reported.
    fn targets(
        &self,
        pairs: &[[&[u8]; 2]],
        asker: Asker,
    ) -> Result<Vec<(&'static str, Id)>, SetError> {
        let mut targets: Vec<(&'static str, Id)> = Vec::new();
        for [asked, _] in pairs {
            let (name, id) =
                directives::find(asked).ok_or_else(|| SetError::Unknown(asked.to_vec()))?;
            let duplicate = targets.iter().any(|(earlier, _)| *earlier == name);
            self.may_set(id, asked, duplicate, asker)?;
            targets.push((name, id));
        }
        Ok(targets)
    }

    fn may_set(&self, id: Id, asked: &[u8], duplicate: bool, asker: Asker) -> Result<(), SetError> {
        let directive = id.directive();
        let may_protected = self.settings().protected_configs.permits(asker.is_local);
        if directive.immutable {
            Err(SetError::refused(asked, "can't set immutable config"))
        } else if directive.protected && !may_protected {
            Err(SetError::refused(asked, "can't set protected config"))
        } else if asker.loading && directive.denied_while_loading {
            Err(SetError::Loading)
        } else if duplicate {
            Err(SetError::refused(asked, "duplicate parameter"))
        } else {
            Ok(())
        }
    }

    fn set_one(&mut self, id: Id, value: &[u8], change: &mut Change) -> Result<(), String> {
        let directive = id.directive();
        let args: Vec<&[u8]> = match (directive.multi_arg, value) {
            (true, b"") => Vec::new(),
            (true, _) => value.split(|byte| *byte == b' ').collect(),
            (false, _) => vec![value],
        };
        let old = self.value(id);
        let mut new = Value::parse(directive, &args, old)?;
        if let (Some(Effect::Dir), Value::Text(dir)) = (directive.effect, &mut new) {
            *dir = absolute(&self.settings.dir, dir);
        }
        if new == *old && !directive.volatile {
            return Ok(());
        }
        change.old.push((id, std::mem::replace(&mut self.values[id.index()], new)));
        if let Some(effect) = directive.effect
            && !change.effects.iter().any(|(earlier, _)| *earlier == effect)
        {
            change.effects.push((effect, directive.name));
        }
        Ok(())
    }
}

/// `dir` as seen from `base`, without `.` and `..`.
fn absolute(base: &Path, dir: &[u8]) -> Vec<u8> {
    let mut path = PathBuf::new();
    for part in base.join(OsStr::from_bytes(dir)).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path.into_os_string().into_vec()
}
