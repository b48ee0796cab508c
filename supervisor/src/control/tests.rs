//! Requests that are read, and those that are not.

use proptest::prelude::*;

use super::*;

const ID: &str = "5555555555555555555555555555555555555555555555555555555555555555";

fn logs(service: Option<&'static str>, count: u16, follow: bool) -> Request<'static> {
    Request::Logs { service, count, follow }
}

#[test]
fn requests_are_whole_lines_of_known_words() {
    let stop = |service, seconds| Request::Control {
        order: Order::Stop,
        service,
        wait: Duration::from_secs(seconds),
    };
    let cases: &[(&[u8], Request)] = &[
        (b"status", Request::Status { json: false }),
        (b" status  json\r", Request::Status { json: true }),
        (b"stop server", stop("server", 60)),
        (b"stop server 3600", stop("server", 3600)),
        (b"logs", logs(None, LOG_LINES, false)),
        (b"logs server 7 follow", logs(Some("server"), 7, true)),
        (b"logs follow", logs(None, LOG_LINES, true)),
        (b"logs 0", logs(None, 0, false)),
        (b"restore /data/two  words.rdb ", Request::Restore { path: "/data/two  words.rdb" }),
        (b"verify /data/x.rdb", Request::Verify { path: "/data/x.rdb" }),
        (b"config", Request::Config),
        (b"config put 65536", Request::ConfigPut { bytes: MAX_CONFIG_BYTES }),
        (b"config reset", Request::ConfigReset),
        (b"certs renew now", Request::Certs { words: "renew now" }),
        (b"certs", Request::Certs { words: "" }),
        (b"update /data/x y.update", Request::Update { path: "/data/x y.update" }),
        (
            b"update key image 5555555555555555555555555555555555555555555555555555555555555555",
            Request::UpdateFromKey { key: "image", id: ID },
        ),
        (b"factory-reset yes", Request::FactoryReset),
        (b"signal server STOP", Request::Signal { service: "server", signal: "STOP" }),
    ];
    for (line, expected) in cases {
        assert_eq!(Request::parse(line), Some(*expected), "{}", line.escape_ascii());
    }
}

#[test]
fn whatever_else_is_none() {
    let long = [b"restore /".as_slice(), &[b'x'; MAX_REQUEST_BYTES]].concat();
    let lines: &[&[u8]] = &[
        b"",
        b" ",
        b"statu",
        b"STATUS",
        b"status xml",
        b"status json now",
        b"signal server",
        b"start",
        b"start server -1",
        b"start server 3601",
        b"start server 5 now",
        b"stop server 99999999999999999999",
        b"update",
        b"update x",
        b"update key image",
        b"update key image 5555",
        b"logs 10001",
        b"logs 7 server",
        b"logs a b",
        b"logs follow follow",
        b"restore",
        b"restore relative.rdb",
        b"verify relative.rdb",
        b"config put",
        b"config put 65537",
        b"config reset now",
        b"config edit",
        b"restore /a\0b",
        b"stop ser\x0bver",
        b"verify /data/\x1b[2J.rdb",
        b"factory-reset",
        b"factory-reset no",
        b"reboot now",
        b"backup now",
        b"\xff",
        &long,
    ];
    for line in lines {
        assert_eq!(Request::parse(line), None, "{}", line.escape_ascii());
    }
}

#[test]
fn answer_lines_travel() {
    for line in [Line::Text("on its way"), Line::Done(""), Line::Failed("it is gone")] {
        let sent = line.to_string();
        assert_eq!(Line::parse(sent.trim_end_matches('\n')), Some(line));
    }
    assert_eq!(Line::Failed("two\nlines").to_string(), " two\n-lines\n");
    for odd in ["", "x", "é"] {
        assert_eq!(Line::parse(odd), None);
    }
}

proptest! {
    #[test]
    fn random_requests_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Request::parse(&bytes);
        let _ = Line::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn requests_of_known_words_never_panic(line in "(status|start|logs|restore|certs)( [a-z/0-9]{0,9}){0,4}") {
        if let Some(Request::Control { wait, .. }) = Request::parse(line.as_bytes()) {
            prop_assert!(wait <= MAX_WAIT);
        }
    }
}
