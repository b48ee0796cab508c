//! Kernel configuration fragments: what they ask for, and what the kernel made of it.
//!
//! Kconfig drops what it cannot have (a missing dependency, a symbol that is gone) without a
//! word, so every asked line is compared with the result.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// The value of a symbol: `y`, `64`, `"text"`, or nothing for `# … is not set`.
type Value = Option<String>;

/// One line of a fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    pub symbol: String,
    pub value: Value,
}

/// All our fragments, sorted by name.
pub fn files() -> Result<Vec<PathBuf>> {
    let dir = paths::workspace().join("image/kernel");
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry.context("cannot list the fragments")?.path();
        if path.extension().is_some_and(|e| e == "fragment") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one fragment. A line that is neither blank, comment nor setting is an error, and so is a
/// symbol given twice.
pub fn read(path: &Path) -> Result<Vec<Ask>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the fragment {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Ask>> {
    let mut asks: Vec<Ask> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some((symbol, value)) = setting(line) else {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            bail!("line {number}: neither a comment nor CONFIG_…=…: {line}");
        };
        if asks.iter().any(|a| a.symbol == symbol) {
            bail!("line {number}: {symbol} is given twice");
        }
        asks.push(Ask { symbol, value });
    }
    Ok(asks)
}

fn setting(line: &str) -> Option<(String, Value)> {
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        let symbol = rest.strip_suffix(" is not set")?;
        return Some((format!("CONFIG_{symbol}"), None));
    }
    let (symbol, value) = line.split_once('=')?;
    let value = Some(value.to_owned()).filter(|v| v != "n");
    symbol.starts_with("CONFIG_").then(|| (symbol.to_owned(), value))
}

/// The symbols that `config` (a finished .config) has otherwise than asked, each as a sentence.
pub fn lost(asks: &[Ask], config: &str) -> Vec<String> {
    let got: BTreeMap<String, Value> = config.lines().filter_map(setting).collect();
    let show = |value: &Value| value.clone().unwrap_or_else(|| "not set".to_owned());
    let mut lost = Vec::new();
    for ask in asks {
        let got = got.get(&ask.symbol).cloned().flatten();
        if got != ask.value {
            lost.push(format!("{}: asked {}, got {}", ask.symbol, show(&ask.value), show(&got)));
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_comments_and_blank_lines_are_told_apart() {
        let asks = parse("# why\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=n\n").unwrap();
        let values: Vec<_> = asks.iter().map(|a| (a.symbol.as_str(), a.value.as_deref())).collect();
        assert_eq!(values, [("CONFIG_A", Some("y")), ("CONFIG_B", None), ("CONFIG_C", None)]);
    }

    #[test]
    fn a_typing_error_is_named_by_its_line() {
        let error = parse("CONFIG_A=y\nCONFG_B=y\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(parse("CONFIG_A=y\n# CONFIG_A is not set\n").is_err());
    }

    #[test]
    fn what_kconfig_dropped_or_changed_is_found() {
        let asks = parse("CONFIG_A=y\nCONFIG_B=64\n# CONFIG_C is not set\nCONFIG_D=y\n").unwrap();
        let lost = lost(&asks, "CONFIG_A=y\nCONFIG_B=1\nCONFIG_C=y\n# CONFIG_D is not set\n");
        assert_eq!(
            lost,
            [
                "CONFIG_B: asked 64, got 1",
                "CONFIG_C: asked not set, got y",
                "CONFIG_D: asked y, got not set"
            ]
        );
    }

    #[test]
    fn our_own_fragments_do_not_contradict_each_other() {
        let mut seen: BTreeMap<String, (PathBuf, Value)> = BTreeMap::new();
        for file in files().unwrap() {
            for ask in read(&file).unwrap() {
                let here = (file.clone(), ask.value.clone());
                if let Some((other, _)) = seen.insert(ask.symbol.clone(), here) {
                    panic!("{} is in {} and in {}", ask.symbol, other.display(), file.display());
                }
            }
        }
        assert!(seen.contains_key("CONFIG_EXT4_FS"));
    }
}
