//! Listpacks against vectors, against known bytes, and against corrupted ones.

use proptest::prelude::*;

use super::{Corrupt, Cursor, Item, Listpack, RDB_HEADER, UNKNOWN};

fn texts(listpack: &Listpack) -> Vec<Vec<u8>> {
    listpack.iter().map(Item::to_vec).collect()
}

fn rdb(listpack: &Listpack) -> Vec<u8> {
    let mut bytes = Vec::new();
    listpack.write_to(&mut bytes);
    assert_eq!(bytes.len(), listpack.len_bytes());
    bytes
}

/// A listpack of one element: its entry's bytes up to `limit`.
fn entry_of(element: &[u8]) -> Vec<u8> {
    let mut listpack = Listpack::new();
    listpack.push_back(element);
    let bytes = rdb(&listpack);
    assert_eq!(bytes[..4], (bytes.len() as u32).to_le_bytes());
    assert_eq!((&bytes[4..RDB_HEADER], bytes.last()), (&[1, 0][..], Some(&0xff)));
    assert_eq!(Listpack::encoded_len(element), bytes.len() - RDB_HEADER - 1);
    bytes[RDB_HEADER..bytes.len() - 1].to_vec()
}

#[test]
fn integers_take_the_narrowest_encoding() {
    for (text, expected) in [
        ("0", &[0, 1][..]),
        ("127", &[0x7f, 1]),
        ("128", &[0xc0, 0x80, 2]),
        ("4095", &[0xcf, 0xff, 2]),
        ("-1", &[0xdf, 0xff, 2]),
        ("-4096", &[0xd0, 0, 2]),
        ("4096", &[0xf1, 0, 0x10, 3]),
        ("-4097", &[0xf1, 0xff, 0xef, 3]),
        ("32767", &[0xf1, 0xff, 0x7f, 3]),
        ("32768", &[0xf2, 0, 0x80, 0, 4]),
        ("-8388608", &[0xf2, 0, 0, 0x80, 4]),
        ("8388608", &[0xf3, 0, 0, 0x80, 0, 5]),
        ("-2147483648", &[0xf3, 0, 0, 0, 0x80, 5]),
        ("2147483648", &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
        ("-9223372036854775808", &[0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9]),
    ] {
        assert_eq!(entry_of(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn other_texts_are_strings() {
    for text in ["", "hello", "007", "+1", "-0", "1.5", "9223372036854775808"] {
        let mut expected = vec![0x80 | text.len() as u8];
        expected.extend(text.as_bytes());
        expected.push(text.len() as u8 + 1);
        assert_eq!(entry_of(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn lengths_take_as_many_bytes_as_they_need() {
    for (len, head, backlen) in [
        (63, &[0xbf][..], &[64][..]),
        (64, &[0xe0, 64], &[66]),
        (125, &[0xe0, 125], &[127]),
        (126, &[0xe0, 126], &[1, 0x80]),
        (4095, &[0xef, 0xff], &[0x20, 0x81]),
        (4096, &[0xf0, 0, 0x10, 0, 0], &[0x20, 0x85]),
        (16_378, &[0xf0, 0xfa, 0x3f, 0, 0], &[0x7f, 0xff]),
        (16_379, &[0xf0, 0xfb, 0x3f, 0, 0], &[1, 0x80, 0x80]),
        (2_097_146, &[0xf0, 0xfa, 0xff, 0x1f, 0], &[0x7f, 0xff, 0xff]),
        (2_097_147, &[0xf0, 0xfb, 0xff, 0x1f, 0], &[1, 0x80, 0x80, 0x80]),
        (268_435_451, &[0xf0, 0xfb, 0xff, 0xff, 0xf], &[1, 0x80, 0x80, 0x80, 0x80]),
    ] {
        let entry = entry_of(&vec![b'x'; len]);
        assert_eq!(&entry[..head.len()], head, "{len}");
        assert_eq!(&entry[head.len() + len..], backlen, "{len}");
    }
}

#[test]
fn an_element_of_every_length_is_read_from_both_ends() {
    let mut listpack = Listpack::new();
    let lengths = [0, 1, 63, 64, 4095, 4096, 16_379, 2_097_147];
    lengths.iter().for_each(|&len| listpack.push_back(&vec![b'y'; len]));
    let len_of = |item: Item<'_>| match item {
        Item::Bytes(bytes) => bytes.len(),
        Item::Int(value) => panic!("{value} is no string"),
    };
    assert!(listpack.iter().map(len_of).eq(lengths));
    assert!(listpack.iter().rev().map(len_of).eq(lengths.into_iter().rev()));
    assert_eq!(Listpack::from_bytes(&rdb(&listpack)).as_ref(), Ok(&listpack));
}

#[test]
fn an_empty_listpack_owns_nothing() {
    let mut listpack = Listpack::new();
    assert_eq!((&rdb(&listpack)[..], listpack.memory_bytes()), (&[7, 0, 0, 0, 0, 0, 0xff][..], 0));
    assert_eq!((listpack.first(), listpack.last(), listpack.get(0)), (None, None, None));
    listpack.push_front(b"a");
    let first = listpack.first().expect("one element");
    assert_eq!(listpack.remove(first), None);
    assert_eq!((listpack.len_bytes(), listpack.memory_bytes()), (7, 0));
    assert_eq!(size_of::<Listpack>(), 8);
}

#[test]
fn the_count_is_known_again_once_it_fits() {
    let limit = usize::from(UNKNOWN);
    let mut listpack: Listpack = (0..limit + 1).map(|_| "1").collect();
    assert_eq!(rdb(&listpack)[4..RDB_HEADER], [0xff, 0xff]);
    assert_eq!(listpack.len(), limit + 1);
    assert_eq!(listpack.get(-1), listpack.last());
    assert_eq!(listpack.get(limit as isize), listpack.last());
    let first = listpack.first().expect("not empty");
    listpack.remove_range(first, 3);
    assert_eq!(rdb(&listpack)[4..RDB_HEADER], (UNKNOWN - 2).to_le_bytes());
    assert_eq!(Listpack::from_bytes(&rdb(&listpack)).map(|copy| copy.len()), Ok(limit - 2));
}

#[test]
fn the_header_is_as_long_as_it_must_be() {
    // What a short header cannot say: 4,096 elements, and 2^19 bytes.
    for (element, most, bytes_each) in [(&b"1"[..], 4095, 2), (&[b'x'; 8000], 65, 8007)] {
        let mut listpack: Listpack = (0..most).map(|_| element).collect();
        assert_eq!(listpack.as_block().as_slice().len(), 4 + most * bytes_each);
        let whole = texts(&listpack);
        let at = listpack.insert_before(listpack.last().expect("not empty"), element);
        assert_eq!(listpack.as_block().as_slice().len(), 8 + (most + 1) * bytes_each);
        assert_eq!((listpack.len(), listpack.item(at).to_vec()), (most + 1, element.to_vec()));
        assert_eq!(listpack.next(at), listpack.last());
        assert_eq!(texts(&listpack).len(), most + 1);
        listpack.push_front(b"front");
        assert_eq!(listpack.first().map(|at| listpack.item(at)), Some(Item::Bytes(b"front")));
        assert_eq!(Listpack::from_bytes(&rdb(&listpack)).as_ref(), Ok(&listpack));
        let first = listpack.first().expect("not empty");
        assert_eq!(listpack.remove_range(first, 2), listpack.first());
        assert_eq!(listpack.as_block().as_slice().len(), 4 + most * bytes_each);
        assert_eq!(texts(&listpack), whole);
        listpack.push_back(b"");
        let first = listpack.first().expect("not empty");
        assert_eq!(listpack.remove_range(first, most + 1), None);
        assert_eq!((listpack.len(), listpack.memory_bytes()), (0, 0));
    }
}

#[test]
fn an_unknown_count_from_outside_is_counted() {
    let listpack = Listpack::from_bytes(&[9, 0, 0, 0, 0xff, 0xff, 5, 1, 0xff]);
    assert_eq!(rdb(&listpack.expect("well-formed")), [9, 0, 0, 0, 1, 0, 5, 1, 0xff]);
}

#[test]
fn what_is_not_a_listpack_is_refused() {
    for bytes in [
        &[][..],
        &[7, 0, 0, 0, 0, 0],
        // No end; an end that is not one; a total that is not the length.
        &[6, 0, 0, 0, 0, 0],
        &[7, 0, 0, 0, 0, 0, 0],
        &[8, 0, 0, 0, 0, 0, 0xff],
        &[7, 0, 0, 0, 0, 0, 0xff, 0xff],
        // Counts that are wrong.
        &[7, 0, 0, 0, 1, 0, 0xff],
        &[9, 0, 0, 0, 0, 0, 5, 1, 0xff],
        // Backlens that are wrong, too long, missing.
        &[9, 0, 0, 0, 1, 0, 5, 2, 0xff],
        &[10, 0, 0, 0, 1, 0, 5, 0, 0x81, 0xff],
        &[8, 0, 0, 0, 1, 0, 5, 0xff],
        // A string longer than what is left; integers cut short; unknown encodings; an early end.
        &[10, 0, 0, 0, 1, 0, 0x85, b'a', 2, 0xff],
        &[12, 0, 0, 0, 1, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[9, 0, 0, 0, 1, 0, 0xf4, 1, 0xff],
        &[9, 0, 0, 0, 1, 0, 0xf5, 1, 0xff],
        &[9, 0, 0, 0, 1, 0, 0xff, 1, 0xff],
    ] {
        assert_eq!(Listpack::from_bytes(bytes), Err(Corrupt), "{bytes:x?}");
    }
}

#[test]
fn integers_that_others_keep_as_strings_are_the_same_text() {
    let bytes = [11, 0, 0, 0, 1, 0, 0x82, b'1', b'2', 3, 0xff];
    let listpack = Listpack::from_bytes(&bytes).expect("well-formed");
    let first = listpack.first().expect("one element");
    assert_eq!(listpack.find(b"12", first, 1), Some(first));
    assert_eq!(listpack, ["12"].into_iter().collect());
    assert_eq!(listpack.item(first).as_int(), Some(12));
}

/// Elements of all encodings but the longest, many of them alike.
fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[abc]{0,2}".prop_map(String::into_bytes),
        (-10i64..200).prop_map(|int| int.to_string().into_bytes()),
        any::<i16>().prop_map(|int| int.to_string().into_bytes()),
        any::<i32>().prop_map(|int| int.to_string().into_bytes()),
        any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..150),
        (4000usize..4200).prop_map(|len| vec![b'z'; len]),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize),
    RemoveRange(usize, usize),
    Split(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = any::<usize>;
    prop_oneof![
        4 => element().prop_map(Step::PushBack),
        4 => element().prop_map(Step::PushFront),
        2 => (place(), element()).prop_map(|(at, element)| Step::InsertBefore(at, element)),
        2 => (place(), element()).prop_map(|(at, element)| Step::InsertAfter(at, element)),
        2 => (place(), element()).prop_map(|(at, element)| Step::Replace(at, element)),
        2 => place().prop_map(Step::Remove),
        1 => (place(), 0usize..5).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        1 => place().prop_map(Step::Split),
    ]
}

fn cursor_at(listpack: &Listpack, index: usize) -> Cursor {
    listpack.get(index as isize).expect("the index is in range")
}

fn apply(step: Step, listpack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let len = model.len();
    let place = |at: usize| at.checked_rem(len);
    match step {
        Step::PushBack(element) => {
            listpack.push_back(&element);
            model.push(element);
        }
        Step::PushFront(element) => {
            listpack.push_front(&element);
            model.insert(0, element);
        }
        Step::InsertBefore(at, element) => {
            let Some(at) = place(at) else { return };
            let new = listpack.insert_before(cursor_at(listpack, at), &element);
            assert_eq!(listpack.item(new), element[..]);
            model.insert(at, element);
        }
        Step::InsertAfter(at, element) => {
            let Some(at) = place(at) else { return };
            let new = listpack.insert_after(cursor_at(listpack, at), &element);
            assert_eq!(new, cursor_at(listpack, at + 1));
            model.insert(at + 1, element);
        }
        Step::Replace(at, element) => {
            let Some(at) = place(at) else { return };
            listpack.replace(cursor_at(listpack, at), &element);
            model[at] = element;
        }
        Step::Remove(at) => {
            let Some(at) = place(at) else { return };
            let next = listpack.remove(cursor_at(listpack, at));
            assert_eq!(next, listpack.get(at as isize));
            model.remove(at);
        }
        Step::RemoveRange(at, count) => {
            let Some(at) = place(at) else { return };
            listpack.remove_range(cursor_at(listpack, at), count);
            model.drain(at..len.min(at + count));
        }
        Step::Split(at) => {
            let Some(at) = place(at) else { return };
            let tail = listpack.split_off(cursor_at(listpack, at));
            assert_eq!((listpack.len(), tail.len()), (at, len - at));
            assert_eq!(texts(&tail), model[at..]);
            listpack.append(&tail);
        }
    }
}

proptest! {
    #[test]
    fn a_listpack_does_what_a_vector_does(steps in prop::collection::vec(step(), 0..40)) {
        let (mut listpack, mut model) = (Listpack::new(), Vec::new());
        for step in steps {
            apply(step, &mut listpack, &mut model);
            prop_assert_eq!(&texts(&listpack), &model);
        }
        prop_assert_eq!(listpack.len(), model.len());
        let backwards: Vec<_> = listpack.iter().rev().map(Item::to_vec).collect();
        prop_assert!(backwards.iter().eq(model.iter().rev()));
        let anew: Listpack = model.iter().collect();
        prop_assert_eq!(rdb(&listpack), rdb(&anew));
        prop_assert_eq!(listpack.memory_bytes(), anew.memory_bytes());
        prop_assert_eq!(Listpack::from_bytes(&rdb(&listpack)), Ok(listpack));
    }

    #[test]
    fn places_are_found_by_index_and_by_text(
        model in prop::collection::vec(element(), 1..20),
        step in 1usize..4,
    ) {
        let listpack: Listpack = model.iter().collect();
        let places: Vec<_> = listpack.entries().map(|(cursor, _)| cursor).collect();
        let len = model.len() as isize;
        for index in -len - 1..=len {
            let expected = if index < 0 { index + len } else { index };
            let expected = usize::try_from(expected).ok().and_then(|at| places.get(at).copied());
            prop_assert_eq!(listpack.get(index), expected, "{}", index);
        }
        for (at, element) in model.iter().enumerate() {
            let from = at.saturating_sub(4);
            let looked_at = || (from..model.len()).step_by(step);
            let expected = looked_at().find(|&nth| model[nth] == *element).map(|nth| places[nth]);
            prop_assert_eq!(listpack.find(element, places[from], step), expected);
        }
        prop_assert_eq!(listpack.find(b"not in any", places[0], 1), None);
        for pair in places.windows(2) {
            prop_assert_eq!(listpack.next(pair[0]), Some(pair[1]));
            prop_assert_eq!(listpack.prev(pair[1]), Some(pair[0]));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        model in prop::collection::vec(element(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 0usize..3,
    ) {
        let mut bytes = rdb(&model.iter().collect::<Listpack>());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        if let Ok(listpack) = Listpack::from_bytes(&bytes) {
            let forwards = texts(&listpack);
            let mut backwards: Vec<_> = listpack.iter().rev().map(Item::to_vec).collect();
            backwards.reverse();
            prop_assert_eq!(forwards, backwards);
        }
    }
}
