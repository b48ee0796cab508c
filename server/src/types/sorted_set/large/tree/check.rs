//! What must always hold of the tree; for tests.

use super::{FANOUT, NONE, Tree};

impl Tree {
    /// What must always hold; for tests.
    pub(in crate::types::sorted_set::large) fn check(&self) {
        let mut chain = Vec::new();
        let end = (f64::INFINITY, &[0xff; 64][..]);
        let len =
            self.check_node(self.root, self.height, (f64::NEG_INFINITY, b""), end, &mut chain);
        assert_eq!(len, self.len);
        assert_eq!(self.leaves[chain[0]].previous, NONE);
        for pair in chain.windows(2) {
            assert_eq!(self.leaves[pair[0]].next, pair[1]);
            assert_eq!(self.leaves[pair[1]].previous, pair[0]);
            assert!(self.run(pair[0]).len() > 0 && self.run(pair[1]).len() > 0, "no leaf is empty");
        }
        assert_eq!(self.leaves[chain[chain.len() - 1]].next, NONE);
        let allocated = chain.iter().map(|&leaf| self.run(leaf).capacity()).sum::<usize>();
        assert_eq!(allocated, self.run_bytes);
    }

    fn check_node(
        &self,
        node: u32,
        height: usize,
        from: (f64, &[u8]),
        to: (f64, &[u8]),
        chain: &mut Vec<u32>,
    ) -> usize {
        if height == 0 {
            chain.push(node);
            let run = self.run(node);
            for at in 0..run.len() {
                assert!(!is_before(run.pair(at), from) && is_before(run.pair(at), to));
                assert!(at == 0 || is_before(run.pair(at - 1), run.pair(at)), "in order");
            }
            return run.len();
        }
        let inner = &self.inners[node];
        assert!((1..=FANOUT).contains(&inner.children.len()));
        assert_eq!(inner.separators.len(), inner.children.len());
        let mut total = 0;
        for (at, &child) in inner.children.iter().enumerate() {
            let from = if at == 0 { from } else { inner.separators.pair(at) };
            let last = at + 1 == inner.children.len();
            let to = if last { to } else { inner.separators.pair(at + 1) };
            let count = self.check_node(child, height - 1, from, to, chain);
            assert_eq!(count, inner.counts[at]);
            total += count;
        }
        total
    }
}

fn is_before(a: (f64, &[u8]), b: (f64, &[u8])) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}
