//! `CONFIG GET`.

use std::collections::BTreeMap;

use super::{Config, directives};
use crate::glob;

impl Config {
    /// Names and values that the patterns ask for, sorted by name. A name without wildcards is
    /// answered as it was asked for, and finds hidden directives too; aliases count as names.
    pub fn get(&self, patterns: &[&[u8]]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut found = BTreeMap::new();
        for pattern in patterns {
            if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                self.get_matching(pattern, &mut found);
            } else if let Some((_, id)) = directives::find(pattern) {
                found.insert(pattern.to_vec(), self.value(id).show(id.directive()));
            }
        }
        found
    }

    fn get_matching(&self, pattern: &[u8], found: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        for id in directives::all().filter(|id| !id.directive().hidden) {
            let directive = id.directive();
            for name in [Some(directive.name), directive.alias].into_iter().flatten() {
                if glob::matches(pattern, name.as_bytes(), true) {
                    found.insert(name.into(), self.value(id).show(directive));
                }
            }
        }
    }
}
