//! `user` lines, until access control lists are built: the default user with all rights, as
//! `CONFIG REWRITE` of a real Redis writes it, and nothing else. A rule that cannot be enforced
//! ends the start; ignoring it would open the server.

use sha2::{Digest, Sha256};

use super::Config;

/// What the `user` lines of a configuration said.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// SHA-256 of the default user's passwords, in hex as written.
    hashes: Vec<Vec<u8>>,
    no_pass: bool,
    declared: bool,
}

/// Rules that give the default user what it has anyway.
const GRANTS: [&str; 10] = [
    "on",
    "~*",
    "allkeys",
    "&*",
    "allchannels",
    "+@all",
    "allcommands",
    "sanitize-payload",
    "skip-sanitize-payload",
    "alldbs",
];

impl Users {
    pub(super) fn add(&mut self, name: &[u8], rules: &[Vec<u8>]) -> Result<(), String> {
        if name != b"default" {
            return Err(unsupported("other users than 'default'"));
        }
        self.declared = true;
        rules.iter().try_for_each(|rule| self.rule(rule))
    }

    fn rule(&mut self, rule: &[u8]) -> Result<(), String> {
        match rule {
            b"nopass" => {
                self.no_pass = true;
                self.hashes.clear();
            }
            [b'#', hash @ ..] => {
                self.no_pass = false;
                self.hashes.push(hash.to_ascii_lowercase());
            }
            rule if GRANTS.iter().any(|grant| rule.eq_ignore_ascii_case(grant.as_bytes())) => {}
            rule => {
                let rule = String::from_utf8_lossy(rule);
                let rule = if rule.starts_with('>') { "a clear-text password" } else { &rule };
                return Err(unsupported(&format!("the rule '{rule}'")));
            }
        }
        Ok(())
    }

    /// The default user's password has to be the one of `requirepass`.
    pub(super) fn check(&self, config: &Config) -> Result<(), String> {
        let password = &config.settings().require_pass;
        let hash = Sha256::digest(password);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let same = match (password.is_empty(), self.hashes.as_slice()) {
            (true, hashes) => hashes.is_empty(),
            (false, [only]) => *only == hash.as_bytes(),
            (false, hashes) => hashes.is_empty() && !self.no_pass,
        };
        if !self.declared || same {
            return Ok(());
        }
        Err(unsupported("a password of user 'default' that is not the one of 'requirepass'"))
    }
}

fn unsupported(what: &str) -> String {
    format!(
        "Access control lists are not built yet, so {what} cannot be enforced; Holdfast does not \
         start without a protection that its configuration asks for. Use 'requirepass'."
    )
}
