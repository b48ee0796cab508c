//! `proc-title-template`: text with `{variables}`; `{{` is a brace.

use super::Config;
use super::settings::Bind;

impl Config {
    /// The process's title, where `set-proc-title` asks for one: `called` is the name that it was called by.
    pub fn proc_title(&self, called: &str) -> Option<String> {
        let template = self.show("proc-title-template");
        let wanted = self.show("set-proc-title") == "yes";
        let title = wanted.then(|| expand(template.as_bytes(), |name| self.variable(name, called)));
        title.flatten()
    }

    fn variable(&self, name: &str, called: &str) -> Option<String> {
        let settings = self.settings();
        let (port, tls_port) = (settings.port, settings.tls.port);
        let unix_socket = settings.unix_socket.as_ref().map(|path| path.display().to_string());
        Some(match name {
            "title" => called.to_owned(),
            "listen-addr" if port == 0 && tls_port == 0 => {
                format!("unixsocket:{}", unix_socket.unwrap_or_default())
            }
            "listen-addr" => {
                let host = settings.bind.first().map_or("*".into(), Bind::to_string);
                format!("{host}:{}", if port == 0 { tls_port } else { port })
            }
            "server-mode" => String::new(),
            "port" => port.to_string(),
            "tls-port" => tls_port.to_string(),
            "unixsocket" => unix_socket.unwrap_or_default(),
            "config-file" => self.file().map_or("-".into(), |path| path.display().to_string()),
            _ => return None,
        })
    }
}

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
    use std::ffi::OsString;

    use super::*;
    use crate::config::cli::{self, Invocation};
    use crate::config::load;

    /// The title of a server called `server` with these flags.
    fn title(flags: &[&str]) -> Option<String> {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        let Invocation::Run(launch) = cli::parse(&flags) else { panic!("these start a server") };
        let config = load::load(&launch, &mut load::SystemFiles).expect("these are valid");
        config.proc_title("server")
    }

    #[test]
    fn a_title_says_where_the_server_listens() {
        let all = "{config-file} {port} {tls-port} {unixsocket}";
        for (flags, expected) in [
            (&[][..], "server *:6379"),
            (&["--bind", "127.0.0.1 -::1", "--port", "7"], "server 127.0.0.1:7"),
            (&["--bind", "-::1"], "server -::1:6379"),
            (&["--bind", ""], "server *:6379"),
            (&["--port", "0", "--unixsocket", "/a b"], "server unixsocket:/a b"),
            (&["--proc-title-template", all, "--unixsocket", "/s"], "- 6379 0 /s"),
            (&["--proc-title-template", "{server-mode} x "], "x"),
        ] {
            assert_eq!(title(flags).as_deref(), Some(expected), "{flags:?}");
        }
        assert_eq!(title(&["--set-proc-title", "no"]), None);
    }

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
