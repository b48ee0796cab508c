//! What the table of directives is made of: one plain `const` value per directive, with the few
//! words it is declared in.

use super::value::Value;

/// One configuration directive, declared once in `directives/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Directive {
    pub(crate) name: &'static str,
    /// The other name it answers to: Redis' where the first is Valkey's, or an older spelling.
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
    /// Set in the file or on the command line only.
    pub(crate) immutable: bool,
    /// Takes several arguments on a line.
    pub(crate) multi_arg: bool,
    /// Its value is a secret: masked in logs and in the slow log.
    pub(crate) sensitive: bool,
    /// `CONFIG SET` needs `enable-protected-configs`.
    pub(crate) protected: bool,
    /// No `CONFIG SET` while the data set is loading.
    pub(crate) denied_while_loading: bool,
    /// `CONFIG GET` shows it when asked by its full name only.
    pub(crate) hidden: bool,
    /// Names something that may change by itself (a file), so that setting the same value again is a
    /// change.
    pub(crate) volatile: bool,
    /// A last check on a value of the right kind, which may also bring it into range.
    pub(crate) rule: Option<Rule>,
    /// What the server has to do when the value changes at run time.
    pub(crate) effect: Option<Effect>,
    pub(crate) force: Force,
}

/// The value to store, or the reason why not.
pub(crate) type Rule = fn(Value) -> Result<Value, &'static str>;

/// How far a directive acts in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    Now,
    /// Accepted, stored and shown; what it asks for is not built. A value other than the
    /// default is named in one warning at start.
    NotYet,
    /// Tunes a part that Holdfast does not have and that nobody misses (huge pages of forked
    /// children, hash table resizing): accepted without a word.
    Moot,
}

/// Something outside the configuration that follows a changed directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Open the listeners that `port`, `tls-port` and `bind` ask for, close the others.
    Listen,
    /// The same, after TLS is there to be spoken.
    ListenTls,
    /// Build TLS anew from its directives and the files they name.
    Tls,
    /// Make room for this many clients (file descriptors).
    MaxClients,
    /// Enter the directory.
    Dir,
    /// The logger's level or format.
    Log,
    /// Begin the append-only file, or end it.
    AppendOnly,
    /// How the append-only file is written.
    LogWriting,
    /// How soon the kernel kills the process when memory runs out.
    OomScore,
    /// What `ps` shows.
    Title,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bool { default: bool },
    Int { min: i128, max: i128, default: i128, unit: Unit },
    Choice { choices: Choices, default: i64 },
    Text { default: &'static str, empty_is_unset: bool },
    Special { special: Special, default: fn() -> Value },
}

/// Names and values, in the order error texts list them. A choice of several at once joins bits.
pub(crate) type Choices = &'static [(&'static str, i64)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Plain,
    /// Bytes, with units.
    Memory,
    /// Bytes, or a percentage, which is stored negative.
    MemoryOrPercent,
    /// Bytes, or a negative number with a meaning of its own.
    MemoryOrNegative,
    Octal,
}

/// Directives with a grammar of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Save,
    ClientOutputBufferLimit,
    OomScoreAdjValues,
    NotifyKeyspaceEvents,
    /// `bind`, whose default is written by leaving it out.
    Addresses,
    ReplicaOf,
    LatencyPercentiles,
    Dir,
}

pub(super) const INT_MAX: i128 = i32::MAX as i128;
pub(super) const INT_MIN: i128 = i32::MIN as i128;
pub(super) const LONG_MAX: i128 = i64::MAX as i128;
pub(super) const UINT_MAX: i128 = u32::MAX as i128;
pub(super) const ULONG_MAX: i128 = u64::MAX as i128;
pub(super) const KB: i128 = 1 << 10;
pub(super) const MB: i128 = 1 << 20;

const fn directive(name: &'static str, kind: Kind) -> Directive {
    Directive {
        name,
        alias: None,
        kind,
        immutable: false,
        multi_arg: false,
        sensitive: false,
        protected: false,
        denied_while_loading: false,
        hidden: false,
        volatile: false,
        rule: None,
        effect: None,
        force: Force::Now,
    }
}

pub(super) const fn boolean(name: &'static str, default: bool) -> Directive {
    directive(name, Kind::Bool { default })
}

pub(super) const fn int(name: &'static str, min: i128, max: i128, default: i128) -> Directive {
    directive(name, Kind::Int { min, max, default, unit: Unit::Plain })
}

pub(super) const fn memory(name: &'static str, min: i128, max: i128, default: i128) -> Directive {
    directive(name, Kind::Int { min, max, default, unit: Unit::Memory })
}

pub(super) const fn choice(name: &'static str, choices: Choices, default: i64) -> Directive {
    directive(name, Kind::Choice { choices, default })
}

/// A text that may be empty.
pub(super) const fn text(name: &'static str, default: &'static str) -> Directive {
    directive(name, Kind::Text { default, empty_is_unset: false })
}

/// A text that is unset when empty: `CONFIG REWRITE` then leaves its line out.
pub(super) const fn optional(name: &'static str) -> Directive {
    directive(name, Kind::Text { default: "", empty_is_unset: true })
}

pub(super) const fn special(
    name: &'static str,
    special: Special,
    default: fn() -> Value,
) -> Directive {
    directive(name, Kind::Special { special, default })
}

impl Directive {
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    pub(super) const fn multi_arg(mut self) -> Self {
        self.multi_arg = true;
        self
    }

    pub(super) const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    pub(super) const fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    pub(super) const fn denied_while_loading(mut self) -> Self {
        self.denied_while_loading = true;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    pub(super) const fn rule(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    pub(super) const fn effect(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    pub(super) const fn unit(mut self, unit: Unit) -> Self {
        if let Kind::Int { min, max, default, .. } = self.kind {
            self.kind = Kind::Int { min, max, default, unit };
        }
        self
    }

    pub(super) const fn not_yet(mut self) -> Self {
        self.force = Force::NotYet;
        self
    }

    pub(super) const fn moot(mut self) -> Self {
        self.force = Force::Moot;
        self
    }
}
