//! What the log says about the configuration at start: what it asks for and this version does not
//! do, and what is most likely not meant.

use super::directive::Force;
use super::value::Value;
use super::{Config, directives};

impl Config {
    /// One line of the log each.
    pub fn warnings(&self) -> Vec<String> {
        [self.not_in_force(), self.placeholders()].into_iter().flatten().collect()
    }

    /// Directives set to something that this version does not do, by name.
    pub fn not_yet_in_force(&self) -> Vec<&'static str> {
        directives::all()
            .filter(|id| id.directive().force == Force::NotYet && !self.is_default(*id))
            .map(|id| id.directive().name)
            .collect()
    }

    fn not_in_force(&self) -> Option<String> {
        let names = self.not_yet_in_force();
        (!names.is_empty()).then(|| {
            format!(
                "WARNING: accepted, but not yet in force in this version: {}.",
                names.join(", ")
            )
        })
    }

    /// Redis does not expand variables, so a password of this shape is in every copy of the file.
    fn placeholders(&self) -> Option<String> {
        let is_placeholder = |id: &directives::Id| {
            let is_one = |text: &[u8]| text.starts_with(b"${") && text.ends_with(b"}");
            id.directive().sensitive && matches!(self.value(*id), Value::Text(text) if is_one(text))
        };
        let names: Vec<_> =
            directives::all().filter(is_placeholder).map(|id| id.directive().name).collect();
        (!names.is_empty()).then(|| {
            format!(
                "WARNING: {} is set to the text of a variable, like ${{NAME}}. A configuration \
                 file does not expand variables: this text itself is the password. Pass the \
                 password as a flag instead.",
                names.join(", ")
            )
        })
    }
}
