//! Listpacks and intsets: no bytes make the readers panic, and what they accept is what a simple
//! reader finds there, from either end.

use holdfast_server::types::intset::Intset;
use holdfast_server::types::listpack::{Item, Listpack};

use super::{Random, mutate};

/// The elements of a listpack or intset as text; `None` if the bytes are none.
pub type Read = fn(&[u8]) -> Option<Vec<Vec<u8>>>;

/// Checks what `read` says of `bytes` against what `simple` says; what is wrong with it otherwise.
pub fn check(read: Read, simple: Read, bytes: &[u8]) -> Result<(), String> {
    let (found, expected) = (read(bytes), simple(bytes));
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?} is read from {bytes:x?}, which holds {expected:?}"))
}

/// The server's listpack; nothing if it reads otherwise from behind, or changes when copied.
pub fn listpack(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let listpack = Listpack::from_bytes(bytes).ok()?;
    let elements: Vec<_> = listpack.iter().map(Item::to_vec).collect();
    let backwards = listpack.iter().rev().map(Item::to_vec);
    let same = backwards.eq(elements.iter().rev().cloned())
        && listpack.len() == elements.len()
        && elements.iter().collect::<Listpack>() == listpack;
    same.then_some(elements)
}

/// The server's intset; nothing if a member is not found in it.
pub fn intset(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let set = Intset::from_bytes(bytes).ok()?;
    let found = set.iter().all(|value| set.contains(value)) && set.iter().len() == set.len();
    found.then(|| set.iter().map(|value| value.to_string().into_bytes()).collect())
}

/// A listpack read the slow way, off its description.
pub fn simple_listpack(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, mut rest) = bytes.split_at_checked(6)?;
    if little_endian(&head[..4]) != bytes.len() as i128 {
        return None;
    }
    let mut elements = Vec::new();
    while rest != [0xff] {
        let (element, len) = simple_element(rest)?;
        let mut backlen = vec![(len & 0x7f) as u8];
        while len >> (7 * backlen.len()) > 0 {
            backlen.push((len >> (7 * backlen.len())) as u8 & 0x7f);
        }
        let last = backlen.len() - 1;
        backlen[..last].iter_mut().for_each(|byte| *byte |= 0x80);
        backlen.reverse();
        rest = rest.get(len..)?.strip_prefix(&backlen[..])?;
        elements.push(element);
    }
    let count = little_endian(&head[4..]) as usize;
    (count == 0xffff || count == elements.len()).then_some(elements)
}

fn simple_element(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let first = *rest.first()?;
    let bits = |count: usize| {
        let value = little_endian(rest.get(1..1 + count / 8)?);
        let sign = 1 << (count - 1);
        Some((((value ^ sign) - sign).to_string().into_bytes(), 1 + count / 8))
    };
    let text = |head: usize, len: usize| Some((rest.get(head..head + len)?.to_vec(), head + len));
    let low = || rest.get(1).map(|byte| usize::from(*byte));
    let high = |mask: u8| usize::from(first & mask) << 8;
    match first {
        0..0x80 => Some((first.to_string().into_bytes(), 1)),
        0x80..0xc0 => text(1, usize::from(first - 0x80)),
        0xc0..0xe0 => {
            let value = (high(0x1f) | low()?) as i64;
            let value = if value >= 0x1000 { value - 0x2000 } else { value };
            Some((value.to_string().into_bytes(), 2))
        }
        0xe0..0xf0 => text(2, high(0xf) | low()?),
        0xf0 => text(5, little_endian(rest.get(1..5)?) as usize),
        0xf1 => bits(16),
        0xf2 => bits(24),
        0xf3 => bits(32),
        0xf4 => bits(64),
        _ => None,
    }
}

/// An intset read the slow way.
pub fn simple_intset(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, body) = bytes.split_at_checked(8)?;
    let width = little_endian(&head[..4]) as usize;
    if ![2, 4, 8].contains(&width) || body.is_empty() || body.len() % width != 0 {
        return None;
    }
    let sign = 1 << (8 * width - 1);
    let values: Vec<_> =
        body.chunks(width).map(|slot| (little_endian(slot) ^ sign) - sign).collect();
    let sorted = values.windows(2).all(|pair| pair[0] < pair[1]);
    let counted = little_endian(&head[4..]) == values.len() as i128;
    (sorted && counted).then(|| values.iter().map(|v| v.to_string().into_bytes()).collect())
}

fn little_endian(bytes: &[u8]) -> i128 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | i128::from(*byte))
}

const PIECES: [&[u8]; 12] = [
    b"\xff",
    b"\x05\x01",
    b"\x81a\x02",
    b"\xc0\x80\x02",
    b"\xe0\x01a\x03",
    b"\xf0\0\0\0\0\x05",
    b"\xf0\xff\xff\xff\xff",
    b"\xf1\0\0\x03",
    b"\xf2\0\0\0\x04",
    b"\xf4\0\0\0\0\0\0\0\0\x09",
    b"\x80",
    b"\0\0",
];

/// A listpack of a few elements, or a seed, changed in a few places; mostly its header knows.
pub fn generate_listpack(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match random.below(3) {
        0 if !seeds.is_empty() => seeds[random.below(seeds.len())].clone(),
        _ => {
            let elements = (0..random.below(6)).map(|_| any_element(random));
            let mut bytes = Vec::new();
            elements.collect::<Listpack>().write_to(&mut bytes);
            bytes
        }
    };
    bytes = mutate(random, bytes, &PIECES);
    if bytes.len() >= 6 && random.below(4) != 0 {
        let total = (bytes.len() as u32).to_le_bytes();
        bytes[..4].copy_from_slice(&total);
        if random.below(2) == 0 {
            bytes[4..6].fill(0xff);
        }
    }
    bytes
}

fn any_element(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => (random.number() as i64 >> random.below(64)).to_string().into_bytes(),
        1 => vec![b'x'; random.below(140)],
        _ => vec![b'y'; random.below(5)],
    }
}

/// An intset of a few integers, or a seed, changed in a few places.
pub fn generate_intset(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let bytes = match random.below(3) {
        0 if !seeds.is_empty() => seeds[random.below(seeds.len())].clone(),
        _ => {
            let bits = random.below(64);
            let values = (0..random.below(6)).map(|_| random.number() as i64 >> bits);
            values.collect::<Intset>().as_bytes().to_vec()
        }
    };
    mutate(random, bytes, &PIECES)
}
