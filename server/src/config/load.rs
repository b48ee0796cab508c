//! The configuration at start: file, standard input and command line become a [`Config`], line by
//! line; a later line wins over an earlier one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::cli::Launch;
use super::directives;
use super::syntax::{self, Line};
use super::users::Users;
use super::value::{SavePoint, Value};
use super::{Config, renames, set};

/// A file that includes itself has to end somewhere; Redis would run out of stack.
const MAX_INCLUDE_DEPTH: usize = 16;
/// Patterns that match the including files themselves would multiply at every depth.
const MAX_INCLUDES: usize = 1000;
/// A file is read as a whole; a device that never ends is none.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Of a server that is told to go to the background and not where to note its number.
const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// What a configuration may touch while it is read.
pub trait Files {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>>;
    fn read_stdin(&mut self) -> io::Result<Vec<u8>>;
    /// The files that match a pattern, sorted; none is not an error.
    fn matching(&mut self, pattern: &str) -> Vec<PathBuf>;
    /// Enters a directory and gives its absolute path.
    fn enter(&mut self, dir: &Path) -> io::Result<PathBuf>;
    /// Opens a log file for appending, to find out now rather than at the first line.
    fn check_log(&mut self, path: &Path) -> io::Result<()>;
}

/// Why the server does not start. Its text is what goes to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fatal {
    /// A configuration file that cannot be read.
    Unreadable { path: PathBuf, reason: String },
    /// A line that is wrong; no line when the whole is.
    Line { place: Option<Place>, reason: String },
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub source: String,
    pub line: usize,
    pub text: Vec<u8>,
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Unreadable { path, reason } => {
                write!(f, "Fatal error, can't open config file '{}': {reason}", path.display())
            }
            Fatal::Line { place, reason } => {
                let version = env!("CARGO_PKG_VERSION");
                write!(f, "\n*** FATAL CONFIG FILE ERROR (Holdfast {version}) ***\n")?;
                if let Some(Place { source, line, text }) = place {
                    writeln!(f, "Reading the configuration file, at line {line} of {source}")?;
                    writeln!(f, ">>> '{}'", String::from_utf8_lossy(text))?;
                }
                write!(f, "{reason}")
            }
        }
    }
}

impl std::error::Error for Fatal {}

/// Reads everything that `launch` names.
pub fn load(launch: &Launch, files: &mut impl Files) -> Result<Config, Fatal> {
    let mut loader = Loader {
        config: Config::default(),
        files,
        save_seen: false,
        users: Users::default(),
        includes: 0,
    };
    loader.run(launch)?;
    let Loader { mut config, users, .. } = loader;
    config.file = launch.file.clone();
    config.publish();
    users.check(&config).map_err(whole)?;
    Ok(config)
}

struct Loader<'a, F> {
    config: Config,
    files: &'a mut F,
    /// The first `save` line replaces the default save points, those behind it add to it.
    save_seen: bool,
    users: Users,
    /// Files that `include` named so far.
    includes: usize,
}

impl<F: Files> Loader<'_, F> {
    fn run(&mut self, launch: &Launch) -> Result<(), Fatal> {
        self.enter(".".as_ref()).map_err(|error| whole(reason(&error)))?;
        self.text(&launch.defaults, "HOLDFAST_DEFAULTS", 0)?;
        if let Some(file) = &launch.file {
            self.file(file, 0)?;
        }
        if launch.stdin {
            let text = self.files.read_stdin().map_err(|error| whole(reason(&error)))?;
            self.text(&text, "standard input", 0)?;
        }
        // Redis reads the flags behind a line break, so their lines count from 2.
        let options = [b"\n", launch.options.as_slice()].concat();
        self.text(&options, "the command line", 0)?;
        self.complete();
        self.check_whole()
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<(), Fatal> {
        let text = self
            .files
            .read(path)
            .map_err(|error| Fatal::Unreadable { path: path.to_owned(), reason: reason(&error) })?;
        self.text(&text, &path.display().to_string(), depth)
    }

    fn text(&mut self, text: &[u8], source: &str, depth: usize) -> Result<(), Fatal> {
        let at = |line, text| Some(Place { source: source.to_owned(), line, text });
        for line in syntax::lines(text) {
            let line = line.map_err(|error| Fatal::Line {
                reason: error.to_string(),
                place: at(error.line, error.text),
            })?;
            self.line(&line, depth).map_err(|failure| match failure {
                Failure::Here(reason) => {
                    Fatal::Line { place: at(line.number, masked(&line)), reason }
                }
                Failure::Included(fatal) => fatal,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, depth: usize) -> Result<(), Failure> {
        let [name, args @ ..] = line.args.as_slice() else { return Ok(()) };
        if let Some((_, id)) = directives::find(name) {
            return Ok(self.directive(id, args)?);
        }
        let name = name.to_ascii_lowercase();
        match (name.as_slice(), args) {
            (name, [_]) if directives::DEPRECATED.iter().any(|old| old.as_bytes() == name) => {
                Ok(())
            }
            (b"include", [pattern]) => self.include(pattern, depth),
            (b"rename-command", [from, to]) => {
                Ok(renames::apply(&mut self.config.renames, from, to)?)
            }
            (b"user", [name, rules @ ..]) => Ok(self.users.add(name, rules)?),
            (b"loadmodule", [module, ..]) => Err(Failure::Here(format!(
                "Can't load module from {}: Holdfast does not load modules",
                String::from_utf8_lossy(module)
            ))),
            (b"sentinel", [_, ..]) => Err("sentinel directive while not in sentinel mode".into()),
            (name, []) if name.contains(&b'.') => {
                Err("Module config specified without value".into())
            }
            (name, _) if name.contains(&b'.') => {
                Err("Module Configuration detected without loadmodule directive".into())
            }
            _ => Err("Bad directive or wrong number of arguments".into()),
        }
    }

    fn directive(&mut self, id: directives::Id, args: &[Vec<u8>]) -> Result<(), String> {
        let directive = id.directive();
        let split;
        let args = match args {
            // `--save "900 1"` is one argument and means two.
            [one] if directive.multi_arg && !one.is_empty() => {
                split = syntax::split_args(one).ok_or("Unbalanced quotes in configuration line")?;
                split.as_slice()
            }
            args if !directive.multi_arg && args.len() != 1 => {
                return Err("wrong number of arguments".into());
            }
            args => args,
        };
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut value = Value::parse(directive, &args, self.config.value(id))?;
        match (&mut value, directive.name) {
            (Value::Save(points), _) => self.add_save_points(id, points, args.as_slice()),
            (Value::Text(dir), "dir") => {
                *dir = self.enter(&path(dir)).map_err(|error| reason(&error))?;
            }
            _ => {}
        }
        self.config.values[id.index()] = value;
        Ok(())
    }

    /// `save` lines add up, but `save ""` starts over.
    fn add_save_points(&mut self, id: directives::Id, points: &mut Vec<SavePoint>, args: &[&[u8]]) {
        let first = !std::mem::replace(&mut self.save_seen, true);
        if let Value::Save(old) = self.config.value(id)
            && !first
            && args != [b""]
        {
            points.splice(0..0, old.iter().copied());
        }
    }

    fn include(&mut self, pattern: &[u8], depth: usize) -> Result<(), Failure> {
        if depth == MAX_INCLUDE_DEPTH {
            return Err(Failure::Here(format!(
                "include goes deeper than {MAX_INCLUDE_DEPTH} files"
            )));
        }
        let included = if pattern.iter().any(|byte| b"*?[".contains(byte)) {
            self.files.matching(&String::from_utf8_lossy(pattern))
        } else {
            vec![path(pattern)]
        };
        self.includes += included.len();
        if self.includes > MAX_INCLUDES {
            return Err(Failure::Here(format!("more than {MAX_INCLUDES} files are included")));
        }
        included.iter().try_for_each(|path| self.file(path, depth + 1)).map_err(Failure::Included)
    }

    /// Enters a directory and gives its absolute path.
    fn enter(&mut self, dir: &Path) -> io::Result<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        let absolute = self.files.enter(dir)?.into_os_string().into_vec();
        let (_, id) = directives::find(b"dir").expect("the directive is in the table");
        self.config.values[id.index()] = Value::Text(absolute.clone());
        Ok(absolute)
    }

    /// Whoever sends the server to the background wants to find it again.
    fn complete(&mut self) {
        let ids = ["daemonize", "pidfile"].map(|name| directives::find(name.as_bytes()));
        let [Some((_, daemonize)), Some((_, pid_file))] = ids else { return };
        if *self.config.value(daemonize) == Value::Bool(true) && self.config.is_default(pid_file) {
            self.config.values[pid_file.index()] = Value::Text(DEFAULT_PID_FILE.into());
        }
    }

    /// What can only be judged when everything has been read.
    fn check_whole(&mut self) -> Result<(), Fatal> {
        let settings = super::Settings::new(&self.config.values);
        if let Some(file) = &settings.log.file {
            self.files
                .check_log(file)
                .map_err(|error| whole(format!("Can't open the log file: {}", reason(&error))))?;
        }
        let set = |name| !self.config.show(name).is_empty();
        if self.config.show("cluster-enabled") == "yes" && set("replicaof") {
            return Err(whole("replicaof directive not allowed in cluster mode".into()));
        }
        Ok(())
    }
}

/// What is wrong with a line: with itself, or with a file it includes.
enum Failure {
    Here(String),
    Included(Fatal),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Here(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Failure::Here(reason.into())
    }
}

fn whole(reason: String) -> Fatal {
    Fatal::Line { place: None, reason }
}

/// The line as an error may show it: without secrets.
fn masked(line: &Line) -> Vec<u8> {
    let name = &line.args[0];
    if set::is_sensitive(name) || name.eq_ignore_ascii_case(b"user") {
        return [name.as_slice(), b"(redacted)"].join(&b' ');
    }
    line.text.clone()
}

fn path(text: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(text))
}

/// The system's words for an error, without Rust's "(os error 2)".
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The machine's own files.
#[derive(Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        read_bounded(std::fs::File::open(path)?)
    }

    fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        read_bounded(io::stdin().lock())
    }

    fn matching(&mut self, pattern: &str) -> Vec<PathBuf> {
        let as_a_shell = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let paths = glob::glob_with(pattern, as_a_shell);
        paths.map(|paths| paths.filter_map(Result::ok).collect()).unwrap_or_default()
    }

    fn enter(&mut self, dir: &Path) -> io::Result<PathBuf> {
        std::env::set_current_dir(dir)?;
        std::env::current_dir()
    }

    fn check_log(&mut self, path: &Path) -> io::Result<()> {
        std::fs::OpenOptions::new().append(true).create(true).open(path).map(drop)
    }
}

fn read_bounded(source: impl io::Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut source.take(MAX_FILE_BYTES + 1), &mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(text)
}
