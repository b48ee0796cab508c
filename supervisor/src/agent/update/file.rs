//! Reading an update from end to end.

use std::io::{self, ErrorKind, Read};

use holdfast_supervisor::update::{HEADER_BYTES, Header, Sum};
use sha2::{Digest, Sha256};

/// Read, written and summed at once.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Reads a header, then gives the body's bytes in order: where each piece begins, and the piece, which
/// is as large as [`CHUNK_BYTES`] but for the last.
pub(super) fn read(
    input: &mut impl Read,
    mut piece: impl FnMut(&Header, u64, &[u8]) -> Result<(), String>,
) -> Result<Header, String> {
    let header = header(input)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < header.body_bytes {
        let left = usize::try_from(header.body_bytes - at).unwrap_or(usize::MAX);
        let now = &mut chunk[..left.min(CHUNK_BYTES)];
        let read = fill(input, now)?;
        if read < now.len() {
            let (have, all) = (at + read as u64, header.body_bytes);
            return Err(format!("the update is cut off: {have} bytes of {all}"));
        }
        piece(&header, at, now)?;
        at += read as u64;
    }
    if fill(input, &mut [0])? > 0 {
        return Err("the update goes on behind its end: it is damaged".to_owned());
    }
    Ok(header)
}

fn header(input: &mut impl Read) -> Result<Header, String> {
    let mut bytes = [0; HEADER_BYTES];
    let read = fill(input, &mut bytes)?;
    if read < HEADER_BYTES {
        return Err(format!("this is no update: it has {read} bytes"));
    }
    let is_sum = |said: &[u8], sum: &[u8]| Sha256::digest(said).as_slice() == sum;
    Header::parse(&bytes, is_sum).map_err(|refusal| refusal.to_string())
}

/// As [`read`], and that the body is what the header says.
pub(super) fn check(
    input: &mut impl Read,
    mut first: impl FnMut(&Header) -> Result<(), String>,
) -> Result<Header, String> {
    let mut sum = Sha256::new();
    let header = read(input, |header, at, piece| {
        if at == 0 {
            first(header)?;
        }
        sum.update(piece);
        Ok(())
    })?;
    let sum: Sum = sum.finalize().into();
    if sum != header.sum {
        return Err("the update is damaged: its body has another checksum".to_owned());
    }
    Ok(header)
}

/// As much as there is, up to the whole of `buffer`.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(told(&error)),
        }
    }
    Ok(filled)
}

fn told(error: &io::Error) -> String {
    format!("the update cannot be read: {error}")
}

/// As people copy it.
pub(super) fn hexadecimal(sum: &Sum) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use holdfast_supervisor::update::{BOARD, SUM_AT};
    use proptest::prelude::*;

    use super::*;

    /// A whole update, as the image tool writes it.
    pub(in crate::update) fn update(body: &[u8]) -> Vec<u8> {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"HFUPDATE\x01\0\0\0");
        put(16, &(body.len() as u64).to_le_bytes());
        put(24, &(1u64 << 20).to_le_bytes());
        put(32, &Sha256::digest(body));
        put(64, BOARD.as_bytes());
        put(96, b"9.8.7");
        let sum = Sha256::digest(&header[..SUM_AT]);
        header[SUM_AT..].copy_from_slice(&sum);
        [&header[..], body].concat()
    }

    fn judge(mut file: &[u8]) -> Result<Header, String> {
        check(&mut file, |_| Ok(()))
    }

    #[test]
    fn a_whole_one_is_read_and_every_damage_is_found() {
        let whole = update(&vec![7; CHUNK_BYTES + 5000]);
        assert_eq!(judge(&whole).expect("whole").version, "9.8.7");
        for at in [0, 9, 17, 30, 40, 70, 100, 300, 490, 512, 600, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(judge(&damaged).is_err(), "at {at}");
        }
        for (cut, said) in [(0, "0 bytes"), (511, "511 bytes"), (512, "cut off: 0 bytes")] {
            let error = judge(&whole[..cut]).expect_err("cut off");
            assert!(error.contains(said), "{error}");
        }
        let cut = judge(&whole[..whole.len() - 1]).expect_err("cut off");
        assert_eq!(cut, "the update is cut off: 267143 bytes of 267144");
        let longer = judge(&[&whole[..], b"x"].concat()).expect_err("longer");
        assert!(longer.contains("goes on behind its end"), "{longer}");
    }

    #[test]
    fn an_id_is_shown_in_hexadecimal() {
        assert!(hexadecimal(&[0xa5; 32]).starts_with("a5a5"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
            prop_assert!(judge(&bytes).is_err());
        }
    }
}
