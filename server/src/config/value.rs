//! The value of one directive: read from arguments, shown by `CONFIG GET`, written by
//! `CONFIG REWRITE`. Reading and writing of each kind stand next to each other.

use super::directive::{Choices, Directive, Kind, Special, Unit};
use super::{notify, syntax, units};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    /// A percentage is stored as its negative.
    Int(i128),
    /// The value of a choice, or the joined bits of several.
    Choice(i64),
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Save(Vec<SavePoint>),
    OutputLimits([OutputLimit; 3]),
    OomScores([i32; 3]),
    /// Bits of [`notify`].
    Events(notify::Class),
    Primary(Option<(Vec<u8>, u16)>),
    Percentiles(Vec<f64>),
}

/// "After `seconds`, if at least `changes` keys changed."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: i64,
    pub changes: i64,
}

/// When a client that does not read its replies is cut off. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_seconds: i64,
}

/// The order of [`Value::OutputLimits`].
pub const CLIENT_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

pub(super) const OUTPUT_LIMITS: [OutputLimit; 3] = [
    OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
    OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
    OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
];

const WRONG_ARITY: &str = "wrong number of arguments";
/// Redis' own bound; an address costs a listening socket.
const MAX_ADDRESSES: usize = 16;

impl Value {
    pub(super) fn default_of(directive: &Directive) -> Value {
        match directive.kind {
            Kind::Bool { default } => Value::Bool(default),
            Kind::Int { default, .. } => Value::Int(default),
            Kind::Choice { default, .. } => Value::Choice(default),
            Kind::Text { default, .. } => Value::Text(default.as_bytes().to_vec()),
            Kind::Special { default, .. } => default(),
        }
    }

    /// Reads the arguments of a directive. `old` is what it had before: some directives change
    /// a part of it only.
    pub(super) fn parse(
        directive: &Directive,
        args: &[&[u8]],
        old: &Value,
    ) -> Result<Value, String> {
        let value = match directive.kind {
            Kind::Choice { choices, .. } => parse_choice(choices, args, directive.multi_arg)?,
            Kind::Special { special, .. } => parse_special(special, args, old)?,
            Kind::Bool { .. } => parse_bool(single(args)?)?,
            Kind::Int { min, max, unit, .. } => parse_int(single(args)?, min, max, unit)?,
            Kind::Text { .. } => Value::Text(single(args)?.to_vec()),
        };
        match directive.rule {
            Some(rule) => rule(value).map_err(str::to_owned),
            None => Ok(value),
        }
    }

    /// As `CONFIG GET` replies it.
    pub(super) fn show(&self, directive: &Directive) -> Vec<u8> {
        match (self, directive.kind) {
            (Value::Bool(value), _) => yes_no(*value).into(),
            (Value::Int(value), Kind::Int { unit, .. }) => show_int(*value, unit).into_bytes(),
            (Value::Int(value), _) => value.to_string().into_bytes(),
            (Value::Choice(value), Kind::Choice { choices, .. }) => {
                show_choice(choices, *value, directive.multi_arg).into_bytes()
            }
            (Value::Choice(value), _) => value.to_string().into_bytes(),
            (Value::Text(text), _) => text.clone(),
            (Value::List(list), _) => list.join(&b' '),
            (Value::Save(points), _) => join(points.iter().flat_map(|p| [p.seconds, p.changes])),
            (Value::OutputLimits(limits), _) => show_limits(limits).into_bytes(),
            (Value::OomScores(scores), _) => join(scores),
            (Value::Events(flags), _) => notify::to_text(*flags).into_bytes(),
            (Value::Primary(None), _) => Vec::new(),
            (Value::Primary(Some((host, port))), _) => {
                [host.as_slice(), port.to_string().as_bytes()].join(&b' ')
            }
            (Value::Percentiles(list), _) => join(list.iter().copied().map(show_percentile)),
        }
    }

    /// The line `CONFIG REWRITE` writes, without the name; `None` when the directive must not
    /// be in the file at all to get this value again.
    pub(super) fn rewrite(&self, directive: &Directive) -> Option<Vec<u8>> {
        match (self, directive.kind) {
            (Value::Int(value), Kind::Int { unit, .. }) if *value >= 0 && unit.is_memory() => {
                let bytes = u64::try_from(*value).expect("a memory value fits its range");
                Some(units::format_memory(bytes).into_bytes())
            }
            (Value::Text(text), Kind::Text { empty_is_unset: true, .. }) if text.is_empty() => None,
            (Value::Primary(None), _) => None,
            (Value::Text(_) | Value::Events(_), _) => {
                let mut quoted = Vec::new();
                syntax::quote(&mut quoted, &self.show(directive));
                Some(quoted)
            }
            _ => {
                let shown = self.show(directive);
                Some(if shown.is_empty() { b"\"\"".to_vec() } else { shown })
            }
        }
    }
}

impl Unit {
    fn is_memory(self) -> bool {
        matches!(self, Unit::Memory | Unit::MemoryOrPercent | Unit::MemoryOrNegative)
    }
}

fn single<'a>(args: &[&'a [u8]]) -> Result<&'a [u8], String> {
    match args {
        [arg] => Ok(arg),
        _ => Err(WRONG_ARITY.into()),
    }
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<u8> {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ").into_bytes()
}

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn parse_bool(arg: &[u8]) -> Result<Value, String> {
    if arg.eq_ignore_ascii_case(b"yes") {
        Ok(Value::Bool(true))
    } else if arg.eq_ignore_ascii_case(b"no") {
        Ok(Value::Bool(false))
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn parse_int(arg: &[u8], min: i128, max: i128, unit: Unit) -> Result<Value, String> {
    let memory = || units::memory(arg).map(i128::from);
    let parsed = match unit {
        Unit::Plain => {
            units::integer(arg).map(i128::from).ok_or("argument couldn't be parsed into an integer")
        }
        Unit::Octal => units::octal(arg)
            .map(i128::from)
            .ok_or("argument couldn't be parsed as an octal number"),
        Unit::Memory => memory().ok_or("argument must be a memory value"),
        Unit::MemoryOrNegative => memory()
            .or_else(|| units::integer(arg).map(i128::from))
            .ok_or("argument must be a memory value"),
        Unit::MemoryOrPercent => memory()
            .or_else(|| units::percent(arg).map(|percent| -i128::from(percent)))
            .ok_or("argument must be a memory or percent value"),
    };
    let value = parsed?;
    if (min..=max).contains(&value) {
        return Ok(Value::Int(value));
    }
    Err(match unit {
        Unit::MemoryOrPercent if value < 0 => {
            format!("percentage argument must be less or equal to {}", -min)
        }
        Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
        _ => format!("argument must be between {min} and {max} inclusive"),
    })
}

fn show_int(value: i128, unit: Unit) -> String {
    match unit {
        Unit::MemoryOrPercent if value < 0 => format!("{}%", -value),
        Unit::Octal => format!("{value:o}"),
        _ => value.to_string(),
    }
}

fn parse_choice(choices: Choices, args: &[&[u8]], several: bool) -> Result<Value, String> {
    let one =
        |arg: &&[u8]| choices.iter().find(|(name, _)| arg.eq_ignore_ascii_case(name.as_bytes()));
    let fits = if several { !args.is_empty() } else { args.len() == 1 };
    let bits = args.iter().try_fold(0, |bits, arg| one(arg).map(|(_, value)| bits | value));
    bits.filter(|_| fits).map(Value::Choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("argument(s) must be one of the following: {}", names.join(", "))
    })
}

fn show_choice(choices: Choices, value: i64, several: bool) -> String {
    if let Some((name, _)) = choices.iter().find(|(_, choice)| *choice == value) {
        return (*name).into();
    }
    let set = |(_, bits): &&(&str, i64)| several && *bits != 0 && value & bits == *bits;
    let names: Vec<_> = choices.iter().filter(set).map(|(name, _)| *name).collect();
    names.join(" ")
}

fn parse_special(special: Special, args: &[&[u8]], old: &Value) -> Result<Value, String> {
    match special {
        Special::Save => parse_save(args),
        Special::ClientOutputBufferLimit => parse_limits(args, old),
        Special::OomScoreAdjValues => parse_oom_scores(args),
        Special::NotifyKeyspaceEvents => notify::parse(single(args)?)
            .map(Value::Events)
            .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
        Special::Addresses if args.len() > MAX_ADDRESSES => {
            Err("Too many bind addresses specified.".into())
        }
        Special::Addresses => Ok(Value::List(without_single_empty(args).map(Vec::from).collect())),
        Special::ReplicaOf => parse_primary(args),
        Special::LatencyPercentiles => parse_percentiles(args),
        Special::Dir => match single(args)? {
            b"" => Err("dir can't be empty".into()),
            dir => Ok(Value::Text(dir.to_vec())),
        },
    }
}

/// `""` alone means no arguments.
fn without_single_empty<'a>(args: &[&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    let none = matches!(args, [b""]);
    args.iter().copied().filter(move |_| !none)
}

fn parse_save(args: &[&[u8]]) -> Result<Value, String> {
    let numbers: Option<Vec<i64>> = without_single_empty(args).map(units::loose_integer).collect();
    let invalid = || "Invalid save parameters".to_owned();
    let numbers = numbers.filter(|numbers| numbers.len() % 2 == 0).ok_or_else(invalid)?;
    let point = |pair: &[i64]| SavePoint { seconds: pair[0], changes: pair[1] };
    let points: Vec<_> = numbers.chunks_exact(2).map(point).collect();
    let valid = |point: &SavePoint| {
        point.seconds >= 1 && (0..=i64::from(i32::MAX)).contains(&point.changes)
    };
    if points.iter().all(valid) { Ok(Value::Save(points)) } else { Err(invalid()) }
}

fn parse_limits(args: &[&[u8]], old: &Value) -> Result<Value, String> {
    let Value::OutputLimits(mut limits) = *old else {
        unreachable!("the default of client-output-buffer-limit is a set of limits");
    };
    let (groups, rest) = args.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for [class, hard, soft, seconds] in groups {
        let class = match class.to_ascii_lowercase().as_slice() {
            b"normal" => 0,
            b"slave" | b"replica" => 1,
            b"pubsub" => 2,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let limit = || {
            Some(OutputLimit {
                hard_bytes: units::memory(hard)?,
                soft_bytes: units::memory(soft)?,
                soft_seconds: units::loose_integer(seconds)
                    .filter(|seconds| (0..=i64::from(i32::MAX)).contains(seconds))?,
            })
        };
        limits[class] = limit()
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(Value::OutputLimits(limits))
}

fn show_limits(limits: &[OutputLimit; 3]) -> String {
    let show = |(class, limit): (&str, &OutputLimit)| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    };
    CLIENT_CLASSES.into_iter().zip(limits).map(show).collect::<Vec<_>>().join(" ")
}

fn parse_oom_scores(args: &[&[u8]]) -> Result<Value, String> {
    let args: [&[u8]; 3] = args.try_into().map_err(|_| WRONG_ARITY.to_owned())?;
    let mut scores = [0; 3];
    for (score, arg) in scores.iter_mut().zip(args) {
        *score = units::loose_integer(arg)
            .and_then(|value| i32::try_from(value).ok())
            .filter(|value| (-2000..=2000).contains(value))
            .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    }
    Ok(Value::OomScores(scores))
}

fn parse_primary(args: &[&[u8]]) -> Result<Value, String> {
    let [host, port] = args else { return Err(WRONG_ARITY.into()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Value::Primary(None));
    }
    let port = units::loose_integer(port).and_then(|port| u16::try_from(port).ok());
    Ok(Value::Primary(Some((host.to_vec(), port.ok_or("Invalid primary port")?))))
}

/// Six digits behind the point, without zeros at the end.
fn show_percentile(percentile: f64) -> String {
    format!("{percentile:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn parse_percentiles(args: &[&[u8]]) -> Result<Value, String> {
    let mut list = Vec::new();
    for arg in without_single_empty(args) {
        let percentile = std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok());
        let percentile = percentile
            .filter(|value| !value.is_nan())
            .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&percentile) {
            return Err("latency-tracking-info-percentiles parameters should sit between \
                        [0.0,100.0]"
                .into());
        }
        list.push(percentile);
    }
    Ok(Value::Percentiles(list))
}
