//! A syntax line as a tree of arguments, which COMMAND DOCS tells clients for their hints.
//!
//! ```text
//! sequence     = item …
//! item         = word | TOKEN [value] | "[" alternatives "]" | "<" alternatives ">"
//! alternatives = sequence { "|" sequence }
//! ```
//! A value's type follows from its name; where one name stands for two types, `name:type` says which.
//! `x [x ...]` is x once or more; `[x ...]` any number of x.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Argument {
    pub(in crate::commands) name: String,
    pub(in crate::commands) kind: Kind,
    pub(in crate::commands) token: Option<String>,
    pub(in crate::commands) optional: bool,
    pub(in crate::commands) multiple: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Kind {
    /// A single argument; the word is COMMAND DOCS' type.
    Value(&'static str),
    PureToken,
    OneOf(Vec<Argument>),
    Block(Vec<Argument>),
}

pub(in crate::commands) fn parse(syntax: &str) -> Vec<Argument> {
    let spaced = ['[', ']', '<', '>', '|']
        .iter()
        .fold(syntax.to_owned(), |text, bracket| text.replace(*bracket, &format!(" {bracket} ")));
    let mut words = spaced.split_whitespace().peekable();
    sequence(&mut words)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn sequence(words: &mut Words<'_>) -> Vec<Argument> {
    let mut items: Vec<Argument> = Vec::new();
    while let Some(&word) = words.peek() {
        match word {
            "]" | ">" | "|" => break,
            "..." => {
                words.next();
                items.iter_mut().for_each(|item| item.multiple = true);
            }
            "[" => optional(words, &mut items),
            "<" => {
                words.next();
                items.push(alternatives(words));
            }
            _ => items.push(word_item(words)),
        }
    }
    items
}

/// `[ … ]`, which may be the repetition of what stands right before it.
fn optional(words: &mut Words<'_>, items: &mut Vec<Argument>) {
    words.next();
    let mut inner = alternatives(words);
    let repeated = match &inner.kind {
        Kind::Block(parts) if parts.iter().all(|part| part.multiple) => parts.len(),
        _ if inner.multiple => 1,
        _ => 0,
    };
    let names = |arguments: &[Argument]| -> Vec<String> {
        arguments.iter().map(|argument| argument.name.clone()).collect()
    };
    if repeated > 0 && items.len() >= repeated {
        let before = items.len() - repeated;
        let same = match &inner.kind {
            Kind::Block(parts) => names(parts) == names(&items[before..]),
            _ => items[before].name == inner.name,
        };
        if same {
            let mut parts = items.split_off(before);
            items.push(match parts.len() {
                1 => Argument { multiple: true, ..parts.remove(0) },
                _ => block(parts, true),
            });
            return;
        }
    }
    if let Kind::Block(parts) = &mut inner.kind
        && repeated > 0
    {
        parts.iter_mut().for_each(|part| part.multiple = false);
        inner.multiple = true;
    }
    inner.optional = true;
    items.push(inner);
}

fn block(parts: Vec<Argument>, multiple: bool) -> Argument {
    let name = parts.first().map_or("data".into(), |_| "data".to_owned());
    Argument { name, kind: Kind::Block(parts), token: None, optional: false, multiple }
}

/// What stands between brackets, up to and with the closing one.
fn alternatives(words: &mut Words<'_>) -> Argument {
    let mut choices = Vec::new();
    loop {
        let mut items = sequence(words);
        choices.push(match items.len() {
            1 => items.remove(0),
            _ => block(items, false),
        });
        if words.next() != Some("|") {
            break;
        }
    }
    if choices.len() == 1 {
        return choices.remove(0);
    }
    let name = match choices.as_slice() {
        [Argument { kind: Kind::PureToken, .. }, ..] => "condition",
        [Argument { token: Some(token), .. }, ..] if token == "EX" => "expiration",
        _ => "option",
    };
    Argument {
        name: name.into(),
        kind: Kind::OneOf(choices),
        token: None,
        optional: false,
        multiple: false,
    }
}

/// An argument that is there and empty: MIGRATE's key beside KEYS.
const EMPTY: &str = "\"\"";

fn is_token(word: &str) -> bool {
    /// Signs that stand for themselves: XADD's `MAXLEN ~ 100 *`.
    const SIGNS: [&str; 5] = ["=", "~", "*", "$", EMPTY];
    if SIGNS.contains(&word) {
        return true;
    }
    word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        && word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// A word, or a token with the value behind it.
fn word_item(words: &mut Words<'_>) -> Argument {
    let word = words.next().unwrap_or_default();
    if !is_token(word) {
        return value(word, None);
    }
    match words.peek() {
        Some(&next) if !is_token(next) && !matches!(next, "[" | "]" | "<" | ">" | "|" | "...") => {
            words.next();
            value(next, Some(word.to_owned()))
        }
        _ => Argument {
            name: if word == EMPTY { "empty-string".into() } else { word.to_ascii_lowercase() },
            kind: Kind::PureToken,
            token: Some(word.to_owned()),
            optional: false,
            multiple: false,
        },
    }
}

fn value(word: &str, token: Option<String>) -> Argument {
    let (name, kind) = match word.split_once(':') {
        Some((name, "integer")) => (name, "integer"),
        Some((name, "double")) => (name, "double"),
        Some((name, "string")) => (name, "string"),
        _ => (word, type_of(word)),
    };
    Argument {
        name: name.to_owned(),
        kind: Kind::Value(kind),
        token,
        optional: false,
        multiple: false,
    }
}

/// The type that a name stands for, as Redis' documentation uses it.
fn type_of(name: &str) -> &'static str {
    match name {
        "key" | "newkey" | "source" | "destination" | "destkey" | "sourcekey" | "key1" | "key2" => {
            "key"
        }
        "pattern" => "pattern",
        "longitude" | "latitude" | "radius" | "width" | "height" => "double",
        "unix-time-seconds" | "unix-time-milliseconds" | "timestamp" => "unix-time",
        "seconds" | "milliseconds" | "count" | "cursor" | "db" | "index" | "index1" | "index2"
        | "start" | "end" | "offset" | "numkeys" | "decrement" | "client-id" | "timeout"
        | "protover" | "destination-db" | "len" | "maxage" | "idle" | "db-id" | "samples" => {
            "integer"
        }
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in a short form: `name:type`, `?` optional, `+` multiple, `TOKEN=`.
    fn shown(arguments: &[Argument]) -> String {
        let one = |argument: &Argument| {
            let token = argument.token.as_ref().map_or(String::new(), |token| format!("{token}="));
            let kind = match &argument.kind {
                Kind::Value(kind) => format!("{}:{kind}", argument.name),
                Kind::PureToken => "token".into(),
                Kind::OneOf(choices) => format!("({})", shown(choices).replace(' ', "|")),
                Kind::Block(parts) => format!("{{{}}}", shown(parts).replace(' ', ",")),
            };
            let optional = if argument.optional { "?" } else { "" };
            let multiple = if argument.multiple { "+" } else { "" };
            format!("{token}{kind}{optional}{multiple}")
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn syntax_lines_become_trees() {
        for (syntax, expected) in [
            ("", ""),
            ("key", "key:key"),
            ("key [key ...]", "key:key+"),
            ("[message]", "message:string?"),
            ("[command-name [command-name ...]]", "command-name:string?+"),
            ("key value [key value ...]", "{key:key,value:string}+"),
            ("command [arg ...]", "command:string arg:string?+"),
            (
                "cursor [MATCH pattern] [COUNT count]",
                "cursor:integer MATCH=pattern:pattern? COUNT=count:integer?",
            ),
            (
                "key value [NX | XX] [GET] [EX seconds | KEEPTTL]",
                "key:key value:string (NX=token|XX=token)? GET=token? (EX=seconds:integer|KEEPTTL=token)?",
            ),
            ("key increment:double", "key:key increment:double"),
            ("<ON | OFF>", "(ON=token|OFF=token)"),
        ] {
            assert_eq!(shown(&parse(syntax)), expected, "{syntax}");
        }
    }
}
