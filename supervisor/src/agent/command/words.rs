//! A cursor over the words of the command line.

pub(super) struct Words {
    words: std::vec::IntoIter<String>,
    /// The option whose value is read next, for the message when there is none.
    given: String,
}

impl Words {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words: words.into_iter(), given: String::new() }
    }

    pub(super) fn next(&mut self) -> Option<String> {
        let word = self.words.next()?;
        self.given.clone_from(&word);
        Some(word)
    }

    pub(super) fn value<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let option = self.given.clone();
        let value = self.words.next().ok_or_else(|| format!("{option} needs a value"))?;
        value.parse().map_err(|_| format!("{option} {value} is not valid"))
    }

    pub(super) fn rest(self) -> Vec<String> {
        self.words.collect()
    }

    pub(super) fn finish(mut self) -> Result<(), String> {
        self.next().map_or(Ok(()), |word| Err(unknown(&word)))
    }
}

pub(super) fn unknown(word: &str) -> String {
    format!("unknown option {word}")
}

/// What is no option: at most one of those.
pub(super) fn only(place: &mut Option<String>, word: &str) -> Result<(), String> {
    if word.starts_with('-') || place.is_some() {
        return Err(unknown(word));
    }
    *place = Some(word.to_owned());
    Ok(())
}
