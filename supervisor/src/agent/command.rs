//! The command line: `run` for init, the rest for people, scripts and health checks.
//!
//! One list, [`VERBS`]: what is understood, the overview and each verb's own help are read from it.
//! The program has three names, `holdfast`, `holdfastctl` and `holdfast-agent`, and is the same.

mod ask;
mod backup;
mod certs;
mod check;
mod config;
mod doctor;
mod healthcheck;
mod help;
mod logs;
mod machine;
mod service;
mod status;
mod update;
mod verify;
mod words;

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

use crate::run;
use words::Words;

/// EX_USAGE and EX_CONFIG of sysexits.h.
const EXIT_USAGE: u8 = 64;
const EXIT_CONFIG: u8 = 78;
/// Nobody to ask, or nobody there any more.
const EXIT_NOBODY: u8 = 2;

/// What the command comes to; a usage mistake is a message.
type Outcome = Result<ExitCode, String>;

struct Verb {
    name: &'static str,
    /// For the overview.
    says: &'static str,
    help: &'static str,
    run: fn(Words) -> Outcome,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "status",
        says: "what runs, since when, and what is amiss",
        help: help::STATUS,
        run: status::main,
    },
    Verb {
        name: "doctor",
        says: "checks everything a person would check",
        help: help::DOCTOR,
        run: doctor::main,
    },
    Verb {
        name: "start",
        says: "starts a service and waits until it is ready",
        help: help::START,
        run: service::start,
    },
    Verb {
        name: "stop",
        says: "stops a service and waits until it is down",
        help: help::STOP,
        run: service::stop,
    },
    Verb {
        name: "restart",
        says: "ends a service and waits until it is back",
        help: help::RESTART,
        run: service::restart,
    },
    Verb {
        name: "logs",
        says: "shows what services and init have written",
        help: help::LOGS,
        run: logs::main,
    },
    Verb {
        name: "reload",
        says: "reads holdfast.toml again",
        help: help::RELOAD,
        run: service::reload,
    },
    Verb {
        name: "backup",
        says: "makes a verified backup, or lists them",
        help: help::BACKUP,
        run: backup::backup,
    },
    Verb {
        name: "verify",
        says: "checks a backup, or any RDB file",
        help: help::VERIFY,
        run: verify::main,
    },
    Verb {
        name: "restore",
        says: "puts a backup in the place of the data",
        help: help::RESTORE,
        run: backup::restore,
    },
    Verb {
        name: "update",
        says: "another version of a machine, tried once",
        help: help::UPDATE,
        run: update::main,
    },
    Verb {
        name: "certs",
        says: "tells about certificates, or judges them",
        help: help::CERTS,
        run: certs::main,
    },
    Verb {
        name: "config",
        says: "shows or replaces a machine's holdfast.toml",
        help: help::CONFIG,
        run: config::main,
    },
    Verb {
        name: "check",
        says: "reports every mistake in a holdfast.toml",
        help: help::CHECK,
        run: check::main,
    },
    Verb {
        name: "healthcheck",
        says: "asks the server itself, without the agent",
        help: help::HEALTHCHECK,
        run: healthcheck::main,
    },
    Verb {
        name: "reboot",
        says: "stops everything in order and reboots",
        help: help::REBOOT,
        run: machine::reboot,
    },
    Verb {
        name: "poweroff",
        says: "stops everything in order and powers off",
        help: help::POWEROFF,
        run: machine::poweroff,
    },
    Verb {
        name: "factory-reset",
        says: "begins anew with an empty /data",
        help: help::FACTORY_RESET,
        run: machine::factory_reset,
    },
    Verb {
        name: "run",
        says: "for holdfast-init to start",
        help: help::RUN,
        run: |words| words.finish().map(|()| run::run()),
    },
];

/// The words of the command line; the first is the name that it was called by.
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> ExitCode {
    let path = words.next().unwrap_or_default();
    let name = path.rsplit('/').next().filter(|name| !name.is_empty());
    let name = PROGRAM.get_or_init(|| name.unwrap_or("holdfast").to_owned());
    dispatch(words.collect()).unwrap_or_else(|message| {
        eprintln!("{name}: {message}; see {name} --help");
        ExitCode::from(EXIT_USAGE)
    })
}

static PROGRAM: OnceLock<String> = OnceLock::new();

/// As messages and help call it.
fn program() -> &'static str {
    PROGRAM.get().map_or("holdfast", String::as_str)
}

fn dispatch(mut words: Vec<String>) -> Outcome {
    if words.is_empty() {
        return Err("a command is missing".to_owned());
    }
    let first = words.remove(0);
    match first.as_str() {
        "--help" | "-h" | "help" => {
            return match words.first() {
                Some(name) => verb(name).map(|verb| print(&help::of(verb))),
                None => Ok(print(&help::overview())),
            };
        }
        "--version" | "-V" => {
            return Ok(print(&format!("{} {}\n", program(), env!("CARGO_PKG_VERSION"))));
        }
        _ => {}
    }
    let verb = verb(&first)?;
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(print(&help::of(verb)));
    }
    (verb.run)(Words::new(words))
}

fn verb(name: &str) -> Result<&'static Verb, String> {
    let found = VERBS.iter().find(|verb| verb.name == name);
    found.ok_or_else(|| format!("unknown command {name}"))
}

/// A reader that went away is no error of ours.
pub(crate) fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{}: {message}", program());
    ExitCode::FAILURE
}
