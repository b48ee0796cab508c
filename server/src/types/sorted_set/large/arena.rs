//! Nodes under stable numbers, in pages that never move: growth copies no nodes, and a page whose
//! nodes are all gone is freed.

use std::ops::{Index, IndexMut};

/// Nodes to a page.
const PAGE: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Arena<T> {
    pages: Vec<Page<T>>,
    /// Pages with room; a page that filled up again is dropped from here when it is met.
    open: Vec<u32>,
    len: usize,
    /// Places that pages have allocated, used or not.
    room: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    nodes: Vec<T>,
    /// Places in `nodes` that are free.
    vacant: Vec<u8>,
    listed: bool,
}

impl<T> Page<T> {
    fn is_full(&self) -> bool {
        self.nodes.len() == PAGE && self.vacant.is_empty()
    }
}

impl<T: Default> Arena<T> {
    pub(super) fn new() -> Self {
        Self { pages: Vec::new(), open: Vec::new(), len: 0, room: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps a node and returns its number.
    pub(super) fn insert(&mut self, node: T) -> u32 {
        let number = self.open_page();
        let page = &mut self.pages[number as usize];
        let place = match page.vacant.pop() {
            Some(place) => {
                page.nodes[usize::from(place)] = node;
                u32::from(place)
            }
            None => {
                self.room -= page.nodes.capacity();
                page.nodes.push(node);
                self.room += page.nodes.capacity();
                page.nodes.len() as u32 - 1
            }
        };
        self.len += 1;
        number * PAGE as u32 + place
    }

    pub(super) fn remove(&mut self, number: u32) -> T {
        let (page_number, place) = split(number);
        let page = &mut self.pages[page_number];
        let node = std::mem::take(&mut page.nodes[place]);
        page.vacant.push(place as u8);
        self.len -= 1;
        if page.vacant.len() == page.nodes.len() {
            self.room -= page.nodes.capacity();
            page.nodes = Vec::new();
            page.vacant = Vec::new();
        }
        if !page.listed {
            page.listed = true;
            self.open.push(page_number as u32);
        }
        node
    }

    /// The node of a number, or what is left of one that was there.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (page, place) = split(number);
        self.pages.get(page)?.nodes.get(place)
    }

    /// All numbers are below.
    pub(super) fn end(&self) -> usize {
        self.pages.len() * PAGE
    }

    fn open_page(&mut self) -> u32 {
        while let Some(&number) = self.open.last() {
            let page = &mut self.pages[number as usize];
            if !page.is_full() {
                return number;
            }
            page.listed = false;
            self.open.pop();
        }
        // The first page grows from nothing, for trees of a few nodes.
        let room = if self.pages.is_empty() { 0 } else { PAGE };
        let page = Page { nodes: Vec::with_capacity(room), vacant: Vec::new(), listed: true };
        self.room += page.nodes.capacity();
        self.pages.push(page);
        let number = self.pages.len() as u32 - 1;
        self.open.push(number);
        number
    }

    /// Bytes of the pages themselves, not of what their nodes own.
    pub(super) fn used_bytes(&self) -> usize {
        self.room * size_of::<T>() + self.pages.capacity() * size_of::<Page<T>>()
    }
}

fn split(number: u32) -> (usize, usize) {
    (number as usize / PAGE, number as usize % PAGE)
}

impl<T> Index<u32> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: u32) -> &T {
        let (page, place) = split(number);
        &self.pages[page].nodes[place]
    }
}

impl<T> IndexMut<u32> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut T {
        let (page, place) = split(number);
        &mut self.pages[page].nodes[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_are_used_again() {
        let mut arena = Arena::new();
        let numbers: Vec<u32> = (0..1000u64).map(|n| arena.insert(n)).collect();
        for &number in numbers.iter().filter(|&&number| number % 3 == 0) {
            assert_eq!(arena.remove(number), u64::from(number));
        }
        let again: Vec<u32> = (0..334u64).map(|n| arena.insert(n + 5000)).collect();
        assert!(again.iter().all(|number| numbers.contains(number)), "no new place was needed");
        for &number in numbers.iter().filter(|&&number| number % 3 != 0) {
            assert_eq!(arena[number], u64::from(number));
        }
        for number in numbers {
            arena.remove(number);
        }
        assert!(arena.pages.iter().all(|page| page.nodes.capacity() == 0), "pages are freed");
        arena.insert(1);
    }
}
