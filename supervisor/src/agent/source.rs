//! Which holdfast.toml counts, and what became of it.
//!
//! On a machine the one on the data partition, where it is there, stands for the image's as a whole.
//! A container has no such place: there a file is mounted over the image's. When the one that counts
//! has mistakes, what runs stays; a start takes the last that was good, else the image's, else what is
//! compiled in.

use std::path::Path;

use holdfast_supervisor::paths;

use crate::config::{Config, Problem};
use crate::last_good;

/// What became of holdfast.toml.
#[derive(Debug)]
pub(crate) struct FileState {
    /// Of the one that counts.
    pub(crate) path: &'static str,
    pub(crate) present: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) source: Source,
}

/// Where what runs is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The file that counts.
    File,
    /// That file as it was before its mistakes.
    LastGood,
    /// The image's, as the site's has mistakes.
    Image,
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::LastGood => "last-good",
            Self::Image => "image",
        }
    }
}

impl Default for FileState {
    fn default() -> Self {
        Self { path: paths::CONFIG, present: false, problems: Vec::new(), source: Source::File }
    }
}

/// The file that counts, and what it says.
pub(crate) fn read(on_metal: bool) -> (&'static str, Result<Option<Config>, Vec<Problem>>) {
    let site = on_metal.then(|| Config::load(Path::new(paths::SITE_CONFIG)));
    match site {
        None | Some(Ok(None)) => (paths::CONFIG, Config::load(Path::new(paths::CONFIG))),
        Some(read) => (paths::SITE_CONFIG, read),
    }
}

/// What a start takes instead of a file with mistakes; nothing leaves init's own plan.
pub(crate) fn substitute(path: &'static str) -> Option<(Source, Config)> {
    let last = last_good::load().map(|config| (Source::LastGood, config));
    let image = || {
        let config = Config::load(Path::new(paths::CONFIG)).ok().flatten();
        config.map(|config| (Source::Image, config))
    };
    last.or_else(|| (path != paths::CONFIG).then(image).flatten())
}
