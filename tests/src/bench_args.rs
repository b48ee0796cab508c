//! What a bench is asked for: words that choose among its rows or servers, and `--scale N`, which
//! divides its sizes.

use crate::binaries::Flavour;

#[derive(Debug)]
pub struct BenchArgs {
    words: Vec<String>,
    /// 1 where nothing else is asked for.
    pub scale: usize,
}

impl BenchArgs {
    /// Of this process. Panics where `--scale` has no number behind it.
    pub fn read() -> Self {
        // Cargo says `--bench` itself.
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        let mut read = Self { words: Vec::new(), scale: 1 };
        while let Some(arg) = args.next() {
            if arg == "--scale" {
                let number = args.next().and_then(|text| text.parse().ok());
                read.scale = number.expect("--scale N");
            } else {
                read.words.push(arg);
            }
        }
        read
    }

    /// Whether a row of this name is to be measured: no word was said, or one that is part of it.
    pub fn chooses(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// The servers that were named, `holdfast` or `valkey`; both, if none or both were.
    pub fn flavours(&self) -> Vec<Flavour> {
        let both = [("holdfast", Flavour::Holdfast), ("valkey", Flavour::OptimisedValkey)];
        let is_named = |name: &str| self.words.iter().any(|word| word == name);
        let named = both.iter().filter(|(name, _)| is_named(name)).count();
        let is_wanted = |name: &str| named == 0 || is_named(name);
        both.into_iter().filter(|(name, _)| is_wanted(name)).map(|(_, flavour)| flavour).collect()
    }
}
