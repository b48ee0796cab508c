//! Zipmap: small hashes of Redis up to 2.4.
//!
//! ```text
//!   count   field length   field   value length   unused (u8)   value   unused bytes   …   end
//!   u8                                                                                     0xff
//! ```
//!
//! A length is one byte, or 254 and an u32 for 254 and more. The count is 254 where it does not fit.

use crate::types::listpack::{Corrupt, Listpack};

const LONG: u8 = 254;
const END: u8 = 255;

/// The same fields and values in turn.
pub(in crate::rdb) fn to_listpack(bytes: &[u8]) -> Result<Listpack, Corrupt> {
    let (&said, mut rest) = bytes.split_first().ok_or(Corrupt)?;
    let mut listpack = Listpack::new();
    let mut count = 0usize;
    while rest != [END] {
        let (field, value) = pair(&mut rest).ok_or(Corrupt)?;
        for text in [field, value] {
            if !listpack.fits(text.len() + 16) {
                return Err(Corrupt);
            }
            listpack.push_back(text);
        }
        count += 1;
    }
    if said == LONG || usize::from(said) == count { Ok(listpack) } else { Err(Corrupt) }
}

fn pair<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let field_len = length(rest)?;
    let field = take(rest, field_len)?;
    let value_len = length(rest)?;
    let unused = usize::from(take(rest, 1)?[0]);
    let value = take(rest, value_len)?;
    take(rest, unused)?;
    Some((field, value))
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    match take(rest, 1)?[0] {
        LONG => {
            let long = u32::from_le_bytes(*take(rest, 4)?.first_chunk()?);
            (long >= u32::from(LONG)).then_some(long as usize)
        }
        END => None,
        short => Some(short.into()),
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let listpack = to_listpack(bytes).ok()?;
        Some(listpack.iter().map(|item| item.to_vec()).collect())
    }

    #[test]
    fn pairs_are_read_and_room_is_skipped() {
        let bytes = b"\x02\x03foo\x03\0bar\x05hello\x05\x02world??\xff";
        assert_eq!(texts(bytes), Some(["foo", "bar", "hello", "world"].map(Vec::from).to_vec()));
        let long = [&b"\x01\x01f\xfe\x2c\x01\0\0\0"[..], &[b'v'; 300], b"\xff"].concat();
        assert_eq!(texts(&long), Some(vec![b"f".to_vec(), vec![b'v'; 300]]));
        assert_eq!(texts(b"\0\xff"), Some(vec![]));
    }

    #[test]
    fn what_is_not_a_zipmap_is_refused() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x02\x01a\x01\0b\xff",
            b"\x01\x01a\x01\0b",
            b"\x01\x01a\x01\0b\xff\xff",
            b"\x01\x01a\xff\0b\xff",
            b"\x01\x01a\x01\x09b\xff",
            // A length that is longer written than it needs to be.
            b"\x01\xfe\x01\0\0\0a\x01\0b\xff",
            b"\x01\xfe\xff\xff\xff\xffa\x01\0b\xff",
        ] {
            assert_eq!(to_listpack(bytes).err(), Some(Corrupt), "{bytes:?}");
        }
    }
}
