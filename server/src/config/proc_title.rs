//! `proc-title-template`: text with `{variables}`; `{{` is a brace.

/// The names a template may use.
pub(super) const VARIABLES: [&str; 7] =
    ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

/// Fills in a template; `None` for an open brace that does not close or an unknown name.
pub(super) fn expand(template: &[u8], value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut rest = std::str::from_utf8(template).ok()?;
    let mut title = String::new();
    while let Some((text, tail)) = rest.split_once('{') {
        title.push_str(text);
        if let Some(tail) = tail.strip_prefix('{') {
            title.push('{');
            rest = tail;
            continue;
        }
        let (name, tail) = tail.split_once('}')?;
        title.push_str(&value(name)?);
        rest = tail;
    }
    title.push_str(rest);
    Some(title.trim_matches(' ').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let value = |name: &str| (name == "title").then(|| "server".to_owned());
        let check = |template: &str, expected: Option<&str>| {
            assert_eq!(expand(template.as_bytes(), value).as_deref(), expected, "{template}");
        };
        check("plain", Some("plain"));
        check("{title}", Some("server"));
        check(" {title} on {title} ", Some("server on server"));
        check("{{title}}", Some("{title}}"));
        check("{titel}", None);
        check("{title", None);
        check("{", None);
    }
}
