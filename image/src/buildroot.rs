//! Checks of buildroot/, our BR2_EXTERNAL tree, without Buildroot at hand.
//!
//! Kconfig and make are silent about a name that leads nowhere: a symbol that no Config.in has is
//! dropped from a defconfig, a path is missed an hour into the build. So every name is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binaries::FLAGS;
use crate::kernel::{fragments, source};
use crate::paths;
use crate::process::output;

/// Our package, below buildroot/.
const MAKEFILE: &str = "package/holdfast/holdfast.mk";

const OURS: &str = "$(BR2_EXTERNAL_HOLDFAST_PATH)/";

/// Symbols of Buildroot's own that we use, as its release has them.
const FOREIGN: &str = "symbols";

/// Everything that can be known without a Buildroot tree.
pub fn check() -> Result<()> {
    let root = paths::workspace().join("buildroot");
    let mut wrong = check_tree(&root)?;
    let makefile = read(&root.join(MAKEFILE))?;
    wrong.extend(check_version(&makefile));
    wrong.extend(check_flags(&makefile));
    wrong.extend(check_fragments(&root)?);
    if !wrong.is_empty() {
        bail!("buildroot/ is wrong:\n    {}", wrong.join("\n    "));
    }
    let build = tempfile::tempdir().context("cannot make a scratch directory")?;
    source::configure(&source::for_kconfig()?, build.path())
}

/// Has Buildroot's own make read each of our defconfigs, and looks whether all of it arrived.
pub fn check_with(buildroot: &Path) -> Result<()> {
    let root = paths::workspace().join("buildroot");
    for defconfig in list(&root.join("configs"))? {
        let out = tempfile::tempdir().context("cannot make a scratch directory")?;
        let mut make = Command::new("make");
        make.arg("-C").arg(buildroot).arg(format!("O={}", out.path().display()));
        make.arg(format!("BR2_EXTERNAL={}", root.display()));
        output(make.arg(defconfig.file_name().unwrap_or_default()))?;
        let config = read(&out.path().join(".config"))?;
        let got: BTreeSet<&str> = config.lines().collect();
        let text = read(&defconfig)?;
        let lost: Vec<&str> = text.lines().filter(|line| !got.contains(line)).collect();
        if !lost.is_empty() {
            bail!("{}: Buildroot dropped\n    {}", defconfig.display(), lost.join("\n    "));
        }
    }
    Ok(())
}

/// What is wrong with the tree at `root`, a sentence each.
fn check_tree(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for name in ["external.desc", "Config.in", "external.mk"] {
        if !root.join(name).is_file() {
            wrong.push(format!("{name} is missing: Buildroot wants it in every external tree"));
        }
    }
    let files = text_files(root)?;
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (path, text) in &files {
        if path.ends_with(FOREIGN) {
            known.extend(text.lines().filter(|l| !l.starts_with('#')));
        }
        known.extend(text.lines().filter_map(|l| l.strip_prefix("config ")));
    }
    for (path, text) in &files {
        let name = path.strip_prefix(root).unwrap_or(path).display();
        for named in paths_in(text) {
            if !root.join(named).exists() {
                wrong.push(format!("{name}: {named} does not exist"));
            }
        }
        for symbol in symbols_in(text) {
            if !known.contains(symbol) {
                wrong.push(format!(
                    "{name}: {symbol} is in none of our Config.in nor in buildroot/{FOREIGN}"
                ));
            }
        }
    }
    Ok(wrong)
}

/// The package says the version a second time; make has no other way to know it.
fn check_version(makefile: &str) -> Option<String> {
    let ours = concat!("HOLDFAST_VERSION = ", env!("CARGO_PKG_VERSION"));
    let is_there = makefile.lines().any(|l| l == ours);
    (!is_there).then(|| format!("{MAKEFILE}: there is no line `{ours}`"))
}

/// The same programs as `cargo image`'s are compiled and linked in the same way.
fn check_flags(makefile: &str) -> Option<String> {
    let theirs = variable(makefile, "HOLDFAST_RUSTFLAGS");
    let is_same = theirs.iter().copied().eq(FLAGS.split_whitespace());
    (!is_same).then(|| format!("{MAKEFILE}: HOLDFAST_RUSTFLAGS are not `{FLAGS}`"))
}

/// The words that a makefile sets a variable to, over all its lines; none if it does not.
fn variable<'m>(makefile: &'m str, name: &str) -> Vec<&'m str> {
    let is_start = |line: &&str| line.split_whitespace().take(2).eq([name, "="]);
    let mut lines = makefile.lines().skip_while(|line| !is_start(line));
    let mut words = Vec::new();
    for line in lines.by_ref() {
        let more = line.strip_suffix('\\');
        words.extend(more.unwrap_or(line).split_whitespace());
        if more.is_none() {
            break;
        }
    }
    words.into_iter().skip(2).collect()
}

/// Each defconfig names all our kernel fragments: the same kernel as `cargo image kernel`.
fn check_fragments(root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for defconfig in list(&root.join("configs"))? {
        let text = read(&defconfig)?;
        for fragment in fragments::files()? {
            let name = fragment.file_name().unwrap_or_default().display().to_string();
            if !paths_in(&text).any(|p| p == format!("../image/kernel/{name}")) {
                wrong.push(format!("{}: {name} is not among the fragments", defconfig.display()));
            }
        }
    }
    Ok(wrong)
}

/// What follows our path variable, where it is a plain path.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | ')' | '$');
    let after = |spelling: &'static str| text.split(spelling).skip(1);
    let named = after(OURS).chain(after("$BR2_EXTERNAL_HOLDFAST_PATH/"));
    named.map(move |rest| rest.split(ends).next().unwrap_or_default()).filter(|p| !p.contains('*'))
}

/// Every BR2_… word, except the variables that Buildroot makes for an external tree.
fn symbols_in(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|l| !l.starts_with("# ") || l.ends_with(" is not set"));
    let words = code.flat_map(|l| l.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|w| w.starts_with("BR2_") && !w.starts_with("BR2_EXTERNAL"))
}

fn text_files(dir: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for path in list(dir)? {
        if path.is_dir() {
            files.extend(text_files(&path)?);
        } else if path.extension().is_none_or(|e| e != "txt") {
            files.insert(path.clone(), read(&path)?);
        }
    }
    Ok(files)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot list {}", dir.display());
    let entries = fs::read_dir(dir).with_context(context)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(context)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small tree with one defconfig.
    fn wrong_with(defconfig: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("external.desc", "name: HOLDFAST\n");
        put("external.mk", "");
        put("Config.in", "config BR2_PACKAGE_OURS\n");
        put("symbols", "# theirs\nBR2_x86_64\n");
        put("configs/a_defconfig", defconfig);
        check_tree(root.path()).unwrap()
    }

    #[test]
    fn a_sound_tree_has_nothing_wrong() {
        let text =
            "BR2_x86_64=y\nBR2_PACKAGE_OURS=y\nX=\"$(BR2_EXTERNAL_HOLDFAST_PATH)/Config.in\"\n";
        assert_eq!(wrong_with(text), Vec::<String>::new());
    }

    #[test]
    fn unknown_symbols_are_named_even_where_they_are_switched_off() {
        let wrong = wrong_with("BR2_x86_46=y\n# BR2_PACKAGE_THEIRS is not set\n");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("configs/a_defconfig: BR2_x86_46"), "{wrong:?}");
    }

    #[test]
    fn paths_that_lead_nowhere_are_named() {
        let wrong = wrong_with("X=\"$(BR2_EXTERNAL_HOLDFAST_PATH)/board/none.sh\"\n");
        assert_eq!(wrong, ["configs/a_defconfig: board/none.sh does not exist"]);
    }

    #[test]
    fn a_makefile_with_other_flags_is_told_from_one_with_ours() {
        let with =
            |flags: &str| check_flags(&format!("A = b\nHOLDFAST_RUSTFLAGS = \\\n{flags}\nC = d\n"));
        let (first, rest) = FLAGS.split_once(" -C").unwrap();
        assert_eq!(with(&format!("\t{first} \\\n\t-C{rest}")), None);
        for other in [first, rest, &format!("{FLAGS} -g"), ""] {
            assert!(with(other).is_some(), "{other}");
        }
        assert!(check_flags("").is_some());
    }

    #[test]
    fn a_tree_without_its_mandatory_files_is_wrong() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(check_tree(empty.path()).unwrap().len(), 3);
    }
}
