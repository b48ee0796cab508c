//! `CONFIG GET`.

use std::collections::BTreeMap;

use super::{Config, directives};
use crate::glob;

/// Lower-case name, to the name as it is shown and the value.
type Found = BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>;

impl Config {
    /// Names and values that the patterns ask for, sorted by name. A name without wildcards is
    /// answered as it was asked for, and finds hidden directives too; aliases count as names.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Found::new();
        for pattern in patterns {
            if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                self.get_matching(pattern, &mut found);
            } else if let Some((name, id)) = directives::find(pattern) {
                let show = || (pattern.to_vec(), self.value(id).show(id.directive()));
                found.entry(name.into()).or_insert_with(show);
            }
        }
        found.into_values().collect()
    }

    fn get_matching(&self, pattern: &[u8], found: &mut Found) {
        for id in directives::all().filter(|id| !id.directive().hidden) {
            let directive = id.directive();
            for name in [Some(directive.name), directive.alias].into_iter().flatten() {
                if glob::matches(pattern, name.as_bytes(), true) {
                    let show = || (name.into(), self.value(id).show(directive));
                    found.entry(name.into()).or_insert_with(show);
                }
            }
        }
    }
}
