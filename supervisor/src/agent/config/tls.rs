//! `[tls]`: whether the server answers over TLS, and where its certificate comes from.

use std::path::PathBuf;

use toml::de::DeValue;

use super::section::Section;
use super::value;
use crate::certs::names::{MAX_NAMES, Name};
use crate::certs::schedule::DAY_S;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) origin: Origin,
    pub(crate) port: u16,
    /// The server answers without TLS as well.
    pub(crate) plaintext: bool,
    pub(crate) auth_clients: AuthClients,
    /// That clients use, besides those the machine knows of itself.
    pub(crate) names: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Off,
    /// The machine is its own authority.
    SelfCa {
        life_s: i64,
    },
    /// Somebody else puts them here and replaces them.
    Files(Files),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: Option<PathBuf>,
}

/// In the words of redis.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthClients {
    No,
    Optional,
    Yes,
}

impl AuthClients {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Optional => "optional",
            Self::Yes => "yes",
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            origin: Origin::Off,
            port: 6380,
            plaintext: true,
            auth_clients: AuthClients::Optional,
            names: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    SelfCa,
    Files,
}

const DEFAULT_LIFE_DAYS: i64 = 14;

pub(super) fn read(mut tls: Section) -> Tls {
    let default = Tls::default();
    let mode = tls.read("mode", Mode::Off, mode);
    let life_days = tls.read("lifetime_days", DEFAULT_LIFE_DAYS, value::number(1..=398));
    let certificate = tls.read("certificate", None, file);
    let key = tls.read("key", None, file);
    let authority = tls.read("authority", None, file);
    let auth_clients = tls.read("auth_clients", default.auth_clients, auth_clients);
    if mode == Mode::Files && (certificate.is_none() || key.is_none()) {
        tls.wrong("mode", "\"files\" needs certificate and key");
    }
    if mode == Mode::Files && authority.is_none() && auth_clients != AuthClients::No {
        tls.wrong("mode", "\"files\" needs authority, unless auth_clients is \"no\"");
    }
    let origin = match (mode, certificate, key) {
        (Mode::SelfCa, ..) => Origin::SelfCa { life_s: life_days * DAY_S },
        (Mode::Files, Some(certificate), Some(key)) => {
            Origin::Files(Files { certificate, key, authority })
        }
        _ => Origin::Off,
    };
    let read = Tls {
        origin,
        port: tls.read("port", default.port, value::number(1..=u16::MAX)),
        plaintext: tls.read("plaintext", default.plaintext, flag),
        auth_clients,
        names: tls.read("names", default.names, names),
    };
    tls.finish();
    read
}

fn mode(value: &DeValue) -> Result<Mode, String> {
    match value::text(value)? {
        "off" => Ok(Mode::Off),
        "self-ca" => Ok(Mode::SelfCa),
        "files" => Ok(Mode::Files),
        other => Err(format!("must be \"off\", \"self-ca\" or \"files\", not \"{other}\"")),
    }
}

fn auth_clients(value: &DeValue) -> Result<AuthClients, String> {
    match value::text(value)? {
        "no" => Ok(AuthClients::No),
        "optional" => Ok(AuthClients::Optional),
        "yes" => Ok(AuthClients::Yes),
        other => Err(format!("must be \"no\", \"optional\" or \"yes\", not \"{other}\"")),
    }
}

fn flag(value: &DeValue) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not a {}", value.type_str()))
}

fn file(value: &DeValue) -> Result<Option<PathBuf>, String> {
    let given = value::text(value)?;
    let path = given.starts_with('/').then(|| PathBuf::from(given));
    path.map(Some).ok_or_else(|| format!("must be an absolute path, not \"{given}\""))
}

fn names(value: &DeValue) -> Result<Vec<Name>, String> {
    let wrong = || format!("must be a list of at most {MAX_NAMES} host names and addresses");
    let given = value.as_array().filter(|given| given.len() <= MAX_NAMES).ok_or_else(wrong)?;
    let name = |given: &toml::Spanned<DeValue>| {
        let given = value::text(given.get_ref()).map_err(|_| wrong())?;
        Name::parse(given).ok_or_else(|| format!("\"{given}\" is no host name and no address"))
    };
    given.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Problem};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let problems = Config::parse(text).expect_err("wrong");
        let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn each_mode_is_what_was_asked_for() {
        let tls = |text: &str| Config::parse(text).expect("valid").tls;
        assert_eq!(tls(""), Tls::default());
        let own =
            tls("[tls]\nmode = \"self-ca\"\nport = 6379\nplaintext = false\nlifetime_days = 7\n\
                       names = [\"cache.example\", \"10.0.0.7\"]\nauth_clients = \"yes\"\n");
        assert_eq!(own.origin, Origin::SelfCa { life_s: 7 * DAY_S });
        assert_eq!((own.port, own.plaintext, own.names.len()), (6379, false, 2));
        let files =
            tls("[tls]\nmode = \"files\"\ncertificate = \"/c/tls.crt\"\nkey = \"/c/tls.key\"\n\
                         auth_clients = \"no\"\n");
        let expected =
            Files { certificate: "/c/tls.crt".into(), key: "/c/tls.key".into(), authority: None };
        assert_eq!(files.origin, Origin::Files(expected));
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        check(
            "[tls]\nmode = \"acme\"\nport = 0\nplaintext = 1\nnames = [\"a b\"]\nlifetime_days = 0\n",
            &[
                "2:8: tls.mode: must be \"off\", \"self-ca\" or \"files\", not \"acme\"",
                "3:8: tls.port: must be from 1 to 65535, not 0",
                "4:13: tls.plaintext: must be true or false, not a integer",
                "5:9: tls.names: \"a b\" is no host name and no address",
                "6:17: tls.lifetime_days: must be from 1 to 398, not 0",
            ],
        );
        check(
            "[tls]\nmode = \"files\"\ncertificate = \"tls.crt\"\n",
            &[
                "2:8: tls.mode \"files\" needs certificate and key",
                "2:8: tls.mode \"files\" needs authority, unless auth_clients is \"no\"",
                "3:15: tls.certificate: must be an absolute path, not \"tls.crt\"",
            ],
        );
    }
}
