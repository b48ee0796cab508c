use super::*;
use crate::keyspace::heap::Heap;
use crate::types::string::StrRef;

/// Builds an entry, and checks that all of it reads back.
fn check(key: &[u8], expire_at: Option<i64>, value: StrRef<'_>) {
    let mut heap = Heap::new();
    let content = || match value {
        StrRef::Int(int) => Content::Int(int),
        StrRef::Bytes(bytes) => Content::bytes(bytes),
    };
    let verify = |owned: &OwnedEntry, expire_at| {
        let entry = owned.entry();
        assert_eq!(entry.key(), key);
        assert_eq!(entry.expire_at(), expire_at);
        assert_eq!(entry.value().as_str(), Some(value));
        assert_eq!(entry.access(), 0xabcdef);
    };
    let made = OwnedEntry::new(&mut heap, 0, key, expire_at, content(), false);
    made.entry().set_access(0xabcdef);
    verify(&made, expire_at);
    let rewritten = made.rewrite(&mut heap, None, Content::Int(5), false);
    let back = rewritten.rewrite(&mut heap, expire_at, content(), false);
    verify(&back, expire_at);
    let mut entry = back;
    for other in [None, Some(1), Some(i64::MAX), Some(-1), None, Some((1 << 48) - 1)] {
        entry = entry.set_expire(&mut heap, other);
        verify(&entry, other);
    }
    drop(entry.destroy(&mut heap));
    assert_eq!(heap.used_bytes(), 0);
}

#[test]
fn every_shape_reads_back_as_written() {
    for key_len in [0, 1, 15, 127, 128, 255, 256, 1000, 70_000] {
        let key = vec![b'k'; key_len];
        for expire_at in [None, Some(0), Some(1 << 40), Some(1 << 48), Some(i64::MIN)] {
            for int in [0, -1, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MIN] {
                check(&key, expire_at, StrRef::Int(int));
            }
            for len in [0, 1, 127, 128, 300, INLINE_MAX, INLINE_MAX + 1, 5000] {
                check(&key, expire_at, StrRef::Bytes(&vec![b'v'; len]));
            }
        }
    }
}

#[test]
fn an_entry_is_as_small_as_the_design_says() {
    let mut heap = Heap::new();
    let key = b"key:00000000001";
    let text = Content::Inline(b"abcdefgh");
    let entry = OwnedEntry::new(&mut heap, 0, key, None, text, false);
    assert_eq!(heap.used_bytes(), 32);
    let entry = entry.set_expire(&mut heap, Some(1_800_000_000_000));
    assert_eq!(heap.used_bytes(), 40);
    entry.destroy(&mut heap);
    let value = [7; 64];
    let key = b"key:000000000001";
    let entry = OwnedEntry::new(&mut heap, 0, key, None, Content::Inline(&value), false);
    assert_eq!(heap.used_bytes(), 88);
    entry.destroy(&mut heap);
}
