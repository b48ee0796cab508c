//! SCAN's promise: what is there from beginning to end is returned, exactly once, while the table
//! grows and shrinks under the cursor.

use std::collections::HashMap;

use holdfast_tests::client::Client;
use holdfast_tests::resp::{Value, encode_command};
use holdfast_tests::server::Server;

/// Keys that stay for the whole scan.
const STAYING: usize = 2_000;

#[track_caller]
fn scan_step(client: &mut Client, cursor: &str, count: usize) -> (String, Vec<Vec<u8>>) {
    let reply = client.run(&format!("SCAN {cursor} COUNT {count}"));
    let Value::Array(parts) = &reply else { panic!("SCAN answered {:?}", reply.lines()) };
    let [next, Value::Array(keys)] = parts.as_slice() else { panic!("{:?}", reply.lines()) };
    let cursor = String::from_utf8(next.bytes().expect("a cursor").to_vec()).expect("digits");
    (cursor, keys.iter().map(|key| key.bytes().expect("a key").to_vec()).collect())
}

fn write_all(client: &mut Client, commands: impl Iterator<Item = Vec<String>>) {
    let mut count = 0;
    let mut bytes = Vec::new();
    for command in commands {
        bytes.extend(encode_command(&command));
        count += 1;
    }
    client.write_raw(&bytes).expect("the batch can be sent");
    for _ in 0..count {
        let reply = client.read().expect("a reply for each");
        assert!(reply.error_text().is_none(), "{:?}", reply.lines());
    }
}

fn set(prefix: &'static str, from: usize, to: usize) -> impl Iterator<Item = Vec<String>> {
    (from..to).map(move |n| vec!["SET".to_owned(), format!("{prefix}:{n}"), "v".to_owned()])
}

/// Scans to the end, calling `disturb` between steps; how often each staying key came.
fn scan_all(server: &Server, count: usize, mut disturb: impl FnMut(&mut Client, usize)) {
    let mut client = server.client();
    let mut other = server.client();
    write_all(&mut client, set("stay", 0, STAYING));
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    let (mut cursor, mut step) = ("0".to_owned(), 0);
    loop {
        let (next, keys) = scan_step(&mut client, &cursor, count);
        for key in keys {
            *seen.entry(key).or_default() += 1;
        }
        if next == "0" {
            break;
        }
        cursor = next;
        disturb(&mut other, step);
        step += 1;
        assert!(step < 100_000, "SCAN does not end");
    }
    for n in 0..STAYING {
        let key = format!("stay:{n}").into_bytes();
        assert_eq!(seen.get(&key), Some(&1), "stay:{n} with COUNT {count}");
    }
}

#[test]
fn every_key_comes_once_from_a_still_table() {
    for count in [1, 10, 1000, 100_000] {
        scan_all(&Server::start(&[]), count, |_, _| {});
    }
}

#[test]
fn every_staying_key_comes_once_while_the_table_grows() {
    scan_all(&Server::start(&[]), 10, |other, step| {
        if step < 200 {
            write_all(other, set("new", step * 250, (step + 1) * 250));
        }
    });
}

#[test]
fn every_staying_key_comes_once_while_the_table_shrinks() {
    let server = Server::start(&[]);
    let mut client = server.client();
    write_all(&mut client, set("old", 0, 50_000));
    scan_all(&server, 100, |other, step| {
        let from = step * 500;
        let delete = (from..from + 500).map(|n| vec!["DEL".to_owned(), format!("old:{n}")]);
        write_all(other, delete.take(if from < 50_000 { 500 } else { 0 }));
    });
}

#[test]
fn every_staying_key_comes_once_while_others_expire() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let volatile = (0..20_000).map(|n| {
        let key = format!("brief:{n}");
        ["SET", &key, "v", "PX", "30"].map(str::to_owned).to_vec()
    });
    write_all(&mut client, volatile);
    scan_all(&server, 50, |_, _| {});
}
