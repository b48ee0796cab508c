//! `holdfast-agent certs check`: judges files before they are put in place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::fault::Fault;
use super::names::Name;
use super::{bundle::Facts, set, wall_clock};
use crate::command::print;
use crate::utc::Utc;

const USAGE: &str =
    "usage: certs check DIRECTORY | --cert FILE --key FILE [--ca FILE] [--name NAME]...";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    certificate: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
    names: Vec<Name>,
}

/// `Err`: the words are not understood. Exit status 1: the files are not good.
pub(crate) fn main(words: Vec<String>) -> Result<ExitCode, String> {
    let options = Options::parse(words)?;
    let read = set::read(&options.certificate, &options.key, options.authority.as_deref());
    let judged = read.and_then(|bundle| bundle.check(&options.names, Some(wall_clock())));
    Ok(match judged {
        Ok(facts) => print(&praise(&options.certificate, &facts)),
        Err(faults) => {
            faults.iter().map(Fault::to_string).for_each(|fault| eprintln!("{fault}"));
            ExitCode::FAILURE
        }
    })
}

fn praise(file: &Path, facts: &Facts) -> String {
    let names: Vec<String> = facts.names.iter().map(Name::to_string).collect();
    let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
    format!("{}: good until {} for {names}\n", file.display(), Utc(facts.not_after))
}

impl Options {
    fn parse(words: Vec<String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--cert" => options.certificate = value()?.into(),
                "--key" => options.key = value()?.into(),
                "--ca" => options.authority = Some(value()?.into()),
                "--name" => {
                    let name = value()?;
                    let parsed = Name::parse(&name);
                    options
                        .names
                        .push(parsed.ok_or_else(|| format!("--name {name} is not valid"))?);
                }
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}"));
                }
                folder => options.take_from(Path::new(folder)),
            }
        }
        let complete =
            [&options.certificate, &options.key].iter().all(|path| !path.as_os_str().is_empty());
        if complete { Ok(options) } else { Err(USAGE.to_owned()) }
    }

    /// Named as the machine names its own.
    fn take_from(&mut self, folder: &Path) {
        let authority = folder.join(set::AUTHORITY);
        self.certificate = folder.join(set::CERTIFICATE);
        self.key = folder.join(set::KEY);
        self.authority = authority.exists().then_some(authority);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(|word| word.to_string()).collect())
    }

    #[test]
    fn files_are_named_one_by_one_or_by_their_directory() {
        let one =
            parse(&["--cert", "a", "--key", "b", "--ca", "c", "--name", "x.y"]).expect("whole");
        assert_eq!(
            (one.certificate, one.key, one.authority),
            ("a".into(), "b".into(), Some("c".into()))
        );
        assert_eq!(one.names, [Name::Dns("x.y".into())]);
        let folder = parse(&["/d"]).expect("whole");
        assert_eq!((folder.certificate, folder.authority), ("/d/server.crt".into(), None));
    }

    #[test]
    fn what_is_not_whole_is_said() {
        assert_eq!(parse(&[]), Err(USAGE.into()));
        assert_eq!(parse(&["--cert", "a"]), Err(USAGE.into()));
        assert_eq!(parse(&["--cert"]), Err("--cert needs a value".into()));
        assert_eq!(parse(&["--name", "a b"]), Err("--name a b is not valid".into()));
        assert_eq!(parse(&["--what"]), Err("unknown option --what".into()));
    }
}
