//! Both encodings against each other and against plain registers, and against Redis' own numbers.

use proptest::prelude::*;

use super::*;

fn registers_of(log: &HyperLogLog) -> Registers {
    let mut registers = [0; REGISTERS];
    log.view().merge_into(&mut registers).expect("made here");
    registers
}

fn added(count: u64, sparse_max_bytes: usize) -> HyperLogLog {
    let mut log = HyperLogLog::new(sparse_max_bytes);
    for element in 0..count {
        log.add(element.to_string().as_bytes()).expect("made here");
    }
    log
}

/// `PFADD hll 0 1 2 …` and `PFCOUNT hll` on Valkey 9.1.
#[test]
fn estimates_are_those_of_valkey() {
    for (elements, expected) in [
        (1, 1),
        (10, 10),
        (100, 100),
        (1000, 1001),
        (2000, 2007),
        (10_000, 9987),
        (100_000, 99_565),
    ] {
        assert_eq!(added(elements, 3000).view().count(), Ok(expected), "{elements}");
    }
}

/// `PFADD hll a b c foo bar` and `GET hll` on Valkey 9.1.
#[test]
fn bytes_are_those_of_valkey() {
    let mut log = HyperLogLog::new(3000);
    for element in ["a", "b", "c", "foo", "bar"] {
        log.add(element.as_bytes()).expect("made here");
    }
    let expected: [&[u8]; 2] =
        [b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80", b"\\\xb3\x90D>\x80F!\x80J\x8e\x84K\xfb\x80BZ"];
    assert_eq!(log.into_bytes(), expected.concat());
}

#[test]
fn encodings_agree() {
    for count in [0, 1, 10, 500, 3000, 20_000] {
        let (sparse, dense) = (added(count, 1 << 20), added(count, 0));
        assert_eq!(registers_of(&sparse), registers_of(&dense));
        assert_eq!(sparse.view().count(), dense.view().count());
        assert_eq!(sparse.view().encoding(), Encoding::Sparse);
        let mut made_dense = sparse.clone();
        assert_eq!(made_dense.make_dense(), Ok(true));
        assert_eq!(registers_of(&made_dense), registers_of(&sparse));
    }
}

#[test]
fn a_sparse_one_becomes_dense_in_time() {
    let log = added(5000, 3000);
    assert_eq!(log.view().encoding(), Encoding::Dense);
    let longest = (0..1500).map(|count| added(count, 300));
    let sparse = longest.filter(|log| log.view().encoding() == Encoding::Sparse);
    assert!(sparse.map(|log| log.into_bytes().len()).max() <= Some(300));
}

#[test]
fn what_was_counted_is_remembered_until_something_is_added() {
    let mut log = added(10, 3000);
    assert_eq!(log.view().cached_count(), None);
    cache_count(&mut log.bytes, 10);
    assert_eq!(log.view().cached_count(), Some(10));
    assert_eq!(log.add(b"3"), Ok(false));
    assert_eq!(log.view().cached_count(), Some(10));
    assert_eq!(log.add(b"new"), Ok(true));
    assert_eq!(log.view().cached_count(), None);
}

#[test]
fn other_strings_are_none() {
    let sparse = added(3, 3000).into_bytes();
    assert!(View::new(&sparse).is_some());
    assert!(View::new(&sparse[..15]).is_none());
    let with = |at: usize, byte: u8| {
        let mut bytes = sparse.clone();
        bytes[at] = byte;
        View::new(&bytes).is_some()
    };
    assert!(!with(0, b'h'));
    assert!(!with(4, 2));
    assert!(!with(4, 0), "a dense one has its length");
}

proptest! {
    #[test]
    fn registers_rise_as_plain_ones_do(raises in prop::collection::vec((0..REGISTERS, 1u8..52), 1..300)) {
        let mut logs = [HyperLogLog::new(1 << 20), HyperLogLog::new(100), HyperLogLog::new(0)];
        let mut plain = [0u8; REGISTERS];
        for (index, value) in raises {
            // Neighbours meet in one run.
            let index = index % 200;
            let rises = plain[index] < value;
            plain[index] = plain[index].max(value);
            for log in &mut logs {
                prop_assert_eq!(log.raise(index, value), Ok(rises));
            }
        }
        for log in &logs {
            prop_assert_eq!(&registers_of(log), &plain);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..60), index in 0..REGISTERS) {
        let mut log = HyperLogLog::new(3000);
        log.bytes.truncate(HEADER);
        log.bytes.extend_from_slice(&body);
        let _ = log.view().count();
        let _ = log.view().merge_into(&mut [0; REGISTERS]);
        let _ = log.clone().make_dense();
        let _ = log.raise(index, 7);
        let _ = log.raise(index, 50);
    }
}
