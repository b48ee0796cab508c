//! Programs from Debian's source packages: fetched once, built once, kept outside the checkout.
//!
//! The packages live in sid, which few machines have among their sources. So apt is given a
//! configuration of its own under the cache directory: the archive this machine already uses, with
//! sid's sources; its index is verified by the machine's own keyring. Nothing in /etc/apt changes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::commands::run;
use crate::paths;
use crate::progress::say;

/// A source package, and how its programs are made.
pub struct SourcePackage {
    pub name: &'static str,
    /// The release line that our goals and lists name. sid moves on.
    pub release_line: &'static str,
    /// A file that an unpacked tree has.
    pub landmark: &'static str,
    /// What is to be in `src/` of a built tree.
    pub programs: &'static [&'static str],
    /// Debian packages that building takes beside a C compiler and make.
    pub needs: &'static [&'static str],
    /// The directory that it is built in: one for each way to build it.
    pub built: &'static str,
    /// What make is told beside `-j2`.
    pub make: &'static [&'static str],
}

impl SourcePackage {
    /// The unpacked source tree, fetched on first use.
    pub fn source(&self) -> Result<PathBuf, String> {
        let home = self.home()?;
        let _lock = lock(&home)?;
        self.fetched_source(&home)
    }

    /// The directory of the programs, built on first use.
    pub fn programs(&self) -> Result<PathBuf, String> {
        let home = self.home()?;
        let _lock = lock(&home)?;
        let source = self.fetched_source(&home)?;
        let built = home.join(self.built);
        let directory = built.join("src");
        if self.programs.iter().all(|program| directory.join(program).exists()) {
            return Ok(directory);
        }
        say(format!("building {} from Debian's source (some minutes)", self.name));
        let tools = ["gcc", "libc6-dev", "make", "pkg-config"];
        crate::packages::ensure(&[&tools, self.needs].concat())?;
        // A copy: suites run in the clean tree.
        let _ = fs::remove_dir_all(&built);
        run(Command::new("cp").arg("-r").arg(&source).arg(&built))?;
        let mut make = Command::new("make");
        make.arg("-C").arg(&built).arg("-j2").args(self.make);
        run(make.stdin(Stdio::null()))?;
        Ok(directory)
    }

    fn home(&self) -> Result<PathBuf, String> {
        paths::cache(self.name)
    }

    fn fetched_source(&self, home: &Path) -> Result<PathBuf, String> {
        let unpacked = home.join("source");
        if unpacked.join(self.landmark).exists() {
            return Ok(unpacked);
        }
        let package = download(home, self.name)?;
        let description = self.description_file(&package)?;
        let _ = fs::remove_dir_all(&unpacked);
        run(Command::new("dpkg-source").arg("-x").arg(&description).arg(&unpacked))?;
        Ok(unpacked)
    }

    /// The .dsc that apt has downloaded; its name tells the version.
    fn description_file(&self, package: &Path) -> Result<PathBuf, String> {
        let Self { name, release_line, .. } = self;
        let dsc = file_ending(package, ".dsc")?;
        let file_name = dsc.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !file_name.starts_with(&format!("{name}_{release_line}")) {
            say(format!("Debian has moved on to {file_name}; we speak of {release_line}*"));
        }
        Ok(dsc)
    }
}

/// Downloads the files of a package's newest source, into a directory below `home`. What is in
/// [`download_directory`] is whole and verified, even when this has failed for another file.
pub fn download(home: &Path, name: &str) -> Result<PathBuf, String> {
    say(format!("fetching Debian's source package of {name}"));
    crate::packages::ensure(&["dpkg-dev", "xz-utils"])?;
    let directory = download_directory(home);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let apt = PrivateApt::create(&home.join("apt"))?;
    apt.run("update", &[], &directory)?;
    apt.run("source", &["--download-only", name], &directory)?;
    Ok(directory)
}

pub fn download_directory(home: &Path) -> PathBuf {
    home.join("package")
}

/// The downloaded file whose name ends so.
pub fn file_ending(directory: &Path, ending: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut found = entries.flatten().map(|entry| entry.path());
    let wanted = found.find(|path| path.to_string_lossy().ends_with(ending));
    wanted.ok_or_else(|| format!("apt has downloaded no {ending} into {}", directory.display()))
}

/// One process fetches and builds; the others wait for it.
pub fn lock(home: &Path) -> Result<File, String> {
    let path = home.join("lock");
    let file = File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    file.lock().map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(file)
}

/// An apt configuration that shares nothing with the machine's but archive, proxy and keyring.
struct PrivateApt {
    configuration: PathBuf,
}

impl PrivateApt {
    fn create(home: &Path) -> Result<Self, String> {
        let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        for directory in ["lists/partial", "cache/archives/partial"] {
            let directory = home.join(directory);
            fs::create_dir_all(&directory).map_err(|e| at(&directory, e))?;
        }
        let sources = home.join("sources.list");
        let line = format!("deb-src {} sid main\n", debian_archive()?);
        fs::write(&sources, line).map_err(|e| at(&sources, e))?;
        let configuration = home.join("apt.conf");
        let shown = home.display();
        let text = format!(
            "Dir::Etc::SourceList \"{shown}/sources.list\";\n\
             Dir::Etc::SourceParts \"/dev/null\";\n\
             Dir::State::Lists \"{shown}/lists\";\n\
             Dir::Cache \"{shown}/cache\";\n\
             APT::Sandbox::User \"\";\n"
        );
        fs::write(&configuration, text).map_err(|e| at(&configuration, e))?;
        Ok(Self { configuration })
    }

    fn run(&self, verb: &str, arguments: &[&str], directory: &Path) -> Result<String, String> {
        let mut apt = Command::new("apt-get");
        apt.arg("--quiet").arg(verb).args(arguments).current_dir(directory);
        run(apt.env("APT_CONFIG", &self.configuration).stdin(Stdio::null()))
    }
}

/// The address of the Debian archive among this machine's own sources.
fn debian_archive() -> Result<String, String> {
    if let Some(archive) = listed_archive()? {
        return Ok(archive);
    }
    // A machine whose package lists were never fetched does not know yet what its sources are.
    say("fetching Debian's package lists");
    run(Command::new("apt-get").args(["--quiet", "update"]).stdin(Stdio::null()))?;
    listed_archive()?.ok_or_else(|| "no Debian archive among apt's sources".to_owned())
}

fn listed_archive() -> Result<Option<String>, String> {
    let mut list = Command::new("apt-get");
    let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
    list.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let targets = run(&mut list)?;
    let archive = targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|"));
    Ok(archive.map(str::to_owned))
}
