//! A cursor over one table of the file: keys are taken, and what nobody took is a mistake.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Collects mistakes and turns byte positions into lines and columns.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: RefCell<Vec<Problem>>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default() }
    }

    pub(super) fn add(&self, span: Option<Range<usize>>, message: String) {
        let start = span.map_or(0, |span| span.start.min(self.text.len()));
        let before = &self.text.as_bytes()[..start];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        self.found.borrow_mut().push(Problem { line, column, message });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    pub(super) fn sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| (problem.line, problem.column));
        found
    }
}

/// `table` is absent when the file does not have the section; then every key has its default.
pub(super) struct Section<'a> {
    table: Option<&'a DeTable<'a>>,
    /// `server.limits`; empty for the root.
    name: String,
    span: Range<usize>,
    known: Vec<&'static str>,
    problems: &'a Problems<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        Self { table: Some(table), name: String::new(), span: 0..0, known: Vec::new(), problems }
    }

    /// A key with a default.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&DeValue) -> Result<T, String>,
    ) -> T {
        let Some(value) = self.take(key) else { return default };
        parse(value.get_ref()).unwrap_or_else(|message| {
            self.problems.add(Some(value.span()), format!("{}: {message}", self.full(key)));
            default
        })
    }

    /// A key that the section cannot do without.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue) -> Result<T, String>,
    ) -> Option<T> {
        if self.take(key).is_none() {
            let message = format!("{} is missing", self.full(key));
            self.problems.add(Some(self.span.clone()), message);
        }
        self.read(key, None, |value| parse(value).map(Some))
    }

    /// The file has the key, whatever its value.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.take(key).is_some()
    }

    /// A mistake that only shows when several keys are seen together.
    pub(super) fn wrong(&self, key: &'static str, message: &str) {
        let span = self.table.and_then(|table| table.get(key)).map(Spanned::span);
        self.problems.add(span, format!("{} {message}", self.full(key)));
    }

    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let absent = Section {
            table: None,
            name: self.full(key),
            span: 0..0,
            known: Vec::new(),
            problems: self.problems,
        };
        self.optional_section(key).unwrap_or(absent)
    }

    pub(super) fn optional_section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let value = self.take(key)?;
        let Some(table) = value.get_ref().as_table() else {
            let kind = value.get_ref().type_str();
            let message = format!("{} must be a table, not a {kind}", self.full(key));
            self.problems.add(Some(value.span()), message);
            return None;
        };
        Some(Section {
            table: Some(table),
            name: self.full(key),
            span: value.span(),
            known: Vec::new(),
            problems: self.problems,
        })
    }

    /// Whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            if !self.known.contains(&key.get_ref().as_ref()) {
                let full = self.full(key.get_ref());
                let known = self.known.join(", ");
                let message = format!("unknown key {full}; known here: {known}");
                self.problems.add(Some(key.span()), message);
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table?.get(key)
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}
