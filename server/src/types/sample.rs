//! Choosing by chance.

/// A number below `limit`, made of one drawn evenly from all.
#[inline]
pub fn below(drawn: u64, limit: usize) -> usize {
    ((u128::from(drawn) * limit as u128) >> 64) as usize
}

/// `count` of `len` items in their order, each subset as likely as any other; all, if there are no
/// more. (Knuth's algorithm S.)
pub fn sample<I: Iterator>(
    items: I,
    len: usize,
    count: usize,
    mut draw: impl FnMut() -> u64,
) -> impl Iterator<Item = I::Item> {
    let mut left = len;
    let mut wanted = count.min(len);
    items.filter(move |_| {
        let chosen = below(draw(), left.max(1)) < wanted;
        left = left.saturating_sub(1);
        wanted -= usize::from(chosen);
        chosen
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

    #[test]
    fn every_item_is_chosen_as_often() {
        const ROUNDS: usize = 30_000;
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut chosen = [0usize; 10];
        for _ in 0..ROUNDS {
            let sample: Vec<usize> = sample(0..10, 10, 3, || rng.next_u64()).collect();
            assert_eq!(sample.len(), 3);
            assert!(sample.is_sorted());
            sample.into_iter().for_each(|item| chosen[item] += 1);
        }
        // Nine thousand each, give or take six standard deviations.
        assert!(chosen.iter().all(|count| (8_520..9_480).contains(count)), "{chosen:?}");
    }

    #[test]
    fn more_than_there_are_is_all() {
        for count in [5, 6, usize::MAX] {
            assert_eq!(sample(0..5, 5, count, || u64::MAX).count(), 5);
        }
        assert_eq!(sample(0..5, 5, 0, || 0).count(), 0);
    }
}
