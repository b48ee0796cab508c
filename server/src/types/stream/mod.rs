//! The stream. Minimal until its room is furnished.

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    items: Box<[Vec<u8>]>,
}

#[allow(clippy::len_without_is_empty)]
impl Stream {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    pub fn memory_bytes(&self) -> usize {
        self.items.iter().map(Vec::capacity).sum()
    }

    pub fn free_effort(&self) -> usize {
        self.items.len()
    }
}
