//! Bounded cursors over fixed layouts: little-endian numbers and NUL-padded text.
//!
//! A [`Reader`] never indexes: a short or odd input is [`Malformed`], whatever its bytes. A
//! [`Writer`] never overruns: what does not fit is remembered and the whole message is refused.

use heapless::{String, Vec};

/// The input is not what its layout says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("too short"))
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A field of `N` bytes: UTF-8, then NULs up to its end.
    pub fn text<const N: usize>(&mut self) -> Result<String<N>, Malformed> {
        let field = self.take(N)?;
        let len = field.iter().position(|&byte| byte == 0).unwrap_or(N);
        let (text, padding) = field.split_at(len);
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Malformed("text goes on after its end"));
        }
        let text = core::str::from_utf8(text).map_err(|_| Malformed("text is not UTF-8"))?;
        String::try_from(text).map_err(|_| Malformed("text too long"))
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("too long")) }
    }
}

/// One byte that is 0 or 1.
pub fn flag(reader: &mut Reader) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("a flag that is neither 0 nor 1")),
    }
}

#[derive(Debug, Default)]
pub struct Writer<const N: usize> {
    bytes: Vec<u8, N>,
    overrun: bool,
}

impl<const N: usize> Writer<N> {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), overrun: false }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.overrun |= self.bytes.extend_from_slice(bytes).is_err();
    }

    pub fn u8(&mut self, value: u8) {
        self.put(&value.to_le_bytes());
    }

    pub fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    pub fn text<const M: usize>(&mut self, text: &String<M>) {
        self.put(text.as_bytes());
        for _ in text.len()..M {
            self.u8(0);
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished message, or nothing when it did not fit into `N` bytes.
    pub fn finish(self) -> Option<Vec<u8, N>> {
        (!self.overrun).then_some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_must_be_padded_with_nuls_only() {
        assert_eq!(Reader::new(b"ab\0\0").text::<4>().as_deref(), Ok("ab"));
        assert_eq!(Reader::new(b"abcd").text::<4>().as_deref(), Ok("abcd"));
        assert_eq!(Reader::new(b"ab\0c").text::<4>(), Err(Malformed("text goes on after its end")));
        assert_eq!(Reader::new(b"\xff\0\0\0").text::<4>(), Err(Malformed("text is not UTF-8")));
        assert_eq!(Reader::new(b"abc").text::<4>(), Err(Malformed("too short")));
    }

    #[test]
    fn a_message_that_does_not_fit_is_refused_whole() {
        let mut writer = Writer::<3>::new();
        writer.u16(1);
        writer.u16(2);
        assert!(writer.finish().is_none());
    }

    #[test]
    fn trailing_bytes_are_malformed() {
        let mut reader = Reader::new(&[1, 2]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.finish(), Err(Malformed("too long")));
    }
}
