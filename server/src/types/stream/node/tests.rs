//! A node against a model, which keeps entries in a vector, and its listpack against one that is put
//! together an element at a time.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::*;
use crate::types::listpack::Listpack;

type Words = Vec<Vec<u8>>;

struct ModelEntry {
    id: StreamId,
    words: Words,
    deleted: bool,
}

struct Run {
    rng: Pcg64Mcg,
    master: StreamId,
    node: Node,
    model: Vec<ModelEntry>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let master = StreamId::new(any_part(&mut rng) >> 1, any_part(&mut rng) >> 1);
        let words = any_words(&mut rng);
        let node = Node::new(slices(&words));
        Self { rng, master, node, model: vec![ModelEntry { id: master, words, deleted: false }] }
    }

    fn push(&mut self) {
        let last = self.model.last().expect("the first entry stays").id;
        let behind = match self.rng.next_u64() % 2 {
            0 => last.seq.checked_add(any_part(&mut self.rng)).map(|seq| StreamId { seq, ..last }),
            _ => last.ms.checked_add(any_part(&mut self.rng)).map(|ms| StreamId { ms, ..last }),
        };
        let id = behind.and_then(StreamId::next).unwrap_or(last);
        let words = match self.rng.next_u64() % 4 {
            0 => any_words(&mut self.rng),
            _ => self.model[0].words.clone(),
        };
        self.node.push(self.master, id, slices(&words));
        self.model.push(ModelEntry { id, words, deleted: false });
    }

    fn kill(&mut self) {
        let (first, last) = (self.some_id(), self.some_id());
        let most = self.rng.next_u64() % 4;
        let doomed = self.model.iter_mut().filter(|it| !it.deleted);
        let doomed = doomed.filter(|it| (first..=last).contains(&it.id)).take(most as usize);
        let expected = doomed.map(|it| it.deleted = true).count() as u64;
        assert_eq!(self.node.kill(self.master, first..=last, most), expected);
    }

    fn some_id(&mut self) -> StreamId {
        let id = self.model[self.rng.next_u64() as usize % self.model.len()].id;
        match self.rng.next_u64() % 3 {
            0 => id.next().unwrap_or(id),
            1 => id.previous().unwrap_or(id),
            _ => id,
        }
    }

    fn check(&mut self) {
        let deleted = self.model.iter().filter(|it| it.deleted).count() as u64;
        assert_eq!(
            (self.node.live(), self.node.dead()),
            (self.model.len() as u64 - deleted, deleted)
        );
        let all: Vec<_> =
            self.model.iter().map(|it| (it.id, it.words.clone(), it.deleted)).collect();
        assert_eq!(self.node.forward(self.master).map(shown).collect::<Vec<_>>(), all);
        let mut back: Vec<_> = self.node.backward(self.master).map(shown).collect();
        back.reverse();
        assert_eq!(back, all);
        let first = self.some_id();
        let there = |(id, _, deleted): &&(StreamId, Words, bool)| *id >= first && !*deleted;
        let from = self.node.forward_from(self.master, first).map(shown);
        let from: Vec<_> = from.filter(|it| there(&it)).collect();
        assert_eq!(from, all.iter().filter(there).cloned().collect::<Vec<_>>());
        let mut bytes = Vec::new();
        self.node.write_listpack(self.master, &mut bytes);
        assert_eq!(bytes, self.model_listpack());
        assert_eq!(Node::from_listpack(self.master, &bytes).as_ref(), Ok(&self.node));
        assert!(self.node.len_bytes() <= bytes.len() + 4, "no longer than its listpack");
    }

    /// What `rdb` draws.
    fn model_listpack(&self) -> Vec<u8> {
        let names: Vec<_> = self.model[0].words.iter().step_by(2).collect();
        let dead = self.model.iter().filter(|it| it.deleted).count();
        let mut list = Listpack::new();
        list.push_back_int((self.model.len() - dead) as i64);
        list.push_back_int(dead as i64);
        list.push_back_int(names.len() as i64);
        names.iter().for_each(|name| list.push_back(name));
        list.push_back_int(0);
        for ModelEntry { id, words, deleted } in &self.model {
            let same = words.iter().step_by(2).eq(names.iter().copied());
            let before = list.len();
            list.push_back_int(i64::from(*deleted) | if same { 2 } else { 0 });
            list.push_back_int(id.ms.wrapping_sub(self.master.ms) as i64);
            list.push_back_int(id.seq.wrapping_sub(self.master.seq) as i64);
            if same {
                words.iter().skip(1).step_by(2).for_each(|value| list.push_back(value));
            } else {
                list.push_back_int(words.len() as i64 / 2);
                words.iter().for_each(|word| list.push_back(word));
            }
            list.push_back_int((list.len() - before) as i64);
        }
        let mut bytes = Vec::new();
        list.write_to(&mut bytes);
        bytes
    }
}

fn shown(entry: Entry<'_>) -> (StreamId, Words, bool) {
    let words = entry.fields.flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
    (entry.id, words.collect(), entry.deleted)
}

fn slices(words: &Words) -> impl Iterator<Item = &[u8]> + Clone {
    words.iter().map(Vec::as_slice)
}

/// Part of an id, of any width.
fn any_part(rng: &mut Pcg64Mcg) -> u64 {
    let bits = rng.next_u64() % 63;
    match rng.next_u64() % 3 {
        0 => rng.next_u64() >> (63 - bits),
        _ => 0,
    }
}

fn any_words(rng: &mut Pcg64Mcg) -> Words {
    let pairs = 1 + rng.next_u64() % 3;
    (0..2 * pairs)
        .map(|_| match rng.next_u64() % 4 {
            0 => (rng.next_u64() as i64 >> (rng.next_u64() % 64)).to_string().into_bytes(),
            1 => vec![b'x'; (rng.next_u64() % 300) as usize],
            2 => b"0012".to_vec(),
            _ => vec![b'a' + (rng.next_u64() % 3) as u8],
        })
        .collect()
}

#[test]
fn a_node_does_what_the_model_does() {
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..120 {
            match run.rng.next_u64() % 4 {
                0 => run.kill(),
                _ => run.push(),
            }
            run.check();
        }
    }
}

#[test]
fn an_entry_takes_a_byte_of_flags_those_that_its_id_needs_and_the_way_back() {
    let words = [&b"a"[..], b"wxyz", b"b", b"12"];
    let mut node = Node::new(words.into_iter());
    let front = FRONT + 1 + 2 + 2;
    let values = 5 + 1;
    assert_eq!(node.len_bytes(), front + 1 + values + 1);
    for (id, bytes) in [
        (StreamId::new(1000, 8), 1),
        (StreamId::new(1001, 0), 1),
        (StreamId::new(1001, 1), 2),
        (StreamId::new(1300, 0), 2),
        (StreamId::new(u64::MAX, u64::MAX), 16),
    ] {
        let before = node.len_bytes();
        node.push(StreamId::new(1000, 7), id, words.into_iter());
        assert_eq!(node.len_bytes() - before, 1 + bytes + values + 1, "{id}");
    }
}

/// Who loads a node is told by its listpack alone; a number of elements that are not there takes no memory.
#[test]
fn what_is_no_node_is_refused() {
    let list = |ints: &[i64]| {
        let mut list = Listpack::new();
        ints.iter().for_each(|int| list.push_back_int(*int));
        let mut bytes = Vec::new();
        list.write_to(&mut bytes);
        Node::from_listpack(StreamId::new(5, 5), &bytes).map(|node| node.live())
    };
    assert_eq!(list(&[0, 0, 0, 0]), Ok(0));
    assert_eq!(list(&[1, 0, 0, 0, 2, -9, -9, 3]), Ok(1));
    assert_eq!(list(&[1, 1, 1, 7, 0, 2, 0, 0, 1, 4, 1, 0, 0, 1, 6, 6, 6]), Ok(1));
    for refused in [
        &[][..],
        &[0, 0, 0],
        &[0, 0, 0, 1],
        &[0, 0, i64::MAX, 0],
        &[0, 0, -1, 0],
        &[1, 0, 0, 0],
        &[1, 0, 0, 0, 2, 0, 0],
        &[1, 0, 0, 0, 2, 0, 0, 4],
        &[0, 1, 0, 0, 2, 0, 0, 3],
        &[1, 0, 0, 0, 0, 0, 0, i64::MAX, 3],
        &[1, 0, 0, 0, 0, 0, 0, -1, 2],
    ] {
        assert_eq!(list(refused), Err(Corrupt), "{refused:?}");
    }
}
