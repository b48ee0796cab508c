//! Commands and errors, however their bytes arrive.

use super::*;

const LIMITS: Limits = Limits { max_bulk_len: 512 * 1024 * 1024, authenticated: true };

/// Decodes as a connection does, `chunk` bytes arriving at a time.
fn decode(input: &[u8], chunk: usize, limits: Limits) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let (mut decoder, mut batch, mut buffer) = (Decoder::default(), Batch::default(), vec![]);
    let mut commands = Vec::new();
    for piece in input.chunks(chunk.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, result) = decoder.decode(&buffer, limits, &mut batch);
            for index in 0..batch.len() {
                commands.push(batch.command(&buffer, index).iter().map(<[u8]>::to_vec).collect());
            }
            if let Err(ProtocolError(text)) = result {
                return (commands, Some(text));
            }
            buffer.drain(..consumed);
            if consumed == 0 {
                break;
            }
        }
    }
    (commands, None)
}

/// However the bytes are split, the commands and the error are the same.
fn check(input: &[u8], expected: &[&[&str]], error: Option<&str>) {
    let expected: Vec<Vec<Vec<u8>>> = expected
        .iter()
        .map(|args| args.iter().map(|arg| arg.as_bytes().to_vec()).collect())
        .collect();
    for chunk in [1, 2, 3, 7, input.len()] {
        let (commands, got) = decode(input, chunk, LIMITS);
        let shown = String::from_utf8_lossy(input);
        assert_eq!(commands, expected, "{shown:?} by {chunk}");
        assert_eq!(got.as_deref(), error, "{shown:?} by {chunk}");
    }
}

#[test]
fn commands_are_the_same_however_their_bytes_arrive() {
    check(b"*1\r\n$4\r\nPING\r\n", &[&["PING"]], None);
    check(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n", &[&["GET", "k"], &["PING"]], None);
    check(b"PING\r\n\r\nSET a 'b c'\n", &[&["PING"], &["SET", "a", "b c"]], None);
    check(b"*0\r\n*-1\r\n*1\r\n$0\r\n\r\n", &[&[""]], None);
    check(b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nb", &[], None);
    check(b"*1\r\n$4\r\na\r\nb\r\n", &[&["a\r\nb"]], None);
}

#[test]
fn broken_requests_are_told_apart() {
    check(b"*a\r\n", &[], Some("invalid multibulk length"));
    check(b"*2147483648\r\n", &[], Some("invalid multibulk length"));
    check(b"*1\r\n:4\r\n", &[], Some("expected '$', got ':'"));
    check(b"*1\r\n\r\n", &[], Some("expected '$', got ' '"));
    check(b"*1\r\n$-1\r\n", &[], Some("invalid bulk length"));
    check(b"*1\r\n$536870913\r\n", &[], Some("invalid bulk length"));
    check(b"*1\r\n$1x\r\n", &[], Some("invalid bulk length"));
    check(b"*1\rx", &[], Some("invalid CRLF in request"));
    check(b"*1\r\n$1\r\nabc", &[], Some("invalid CRLF in request"));
    check(b"PING\r\nSET \"a\r\n", &[&["PING"]], Some("unbalanced quotes in request"));
    check(&[b'a'; MAX_LINE + 1], &[], Some("too big inline request"));
}

#[test]
fn endless_headers_end() {
    let mut input = b"*1\r\n$".to_vec();
    input.resize(MAX_LINE + 16, b'1');
    check(&input, &[], Some("too big bulk count string"));
    check(&[b'*'; MAX_LINE + 16], &[], Some("too big mbulk count string"));
}

#[test]
fn strangers_may_not_send_much() {
    let limits = Limits { authenticated: false, ..LIMITS };
    for (input, expected) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        assert_eq!(decode(input, 64, limits).1.as_deref(), Some(expected));
    }
    assert_eq!(decode(b"*10\r\n$16384\r\n", 64, limits).1, None);
}

#[test]
fn a_long_argument_is_announced_to_the_reader() {
    let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
    let input = b"*1\r\n$1000\r\nabc";
    assert_eq!(decoder.decode(input, LIMITS, &mut batch).0, 0);
    assert_eq!(decoder.missing(input.len()), 1000 + 2 - 3);
}
