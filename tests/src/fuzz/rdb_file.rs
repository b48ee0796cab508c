//! Whole RDB files: no bytes make the reader panic or take more memory than they warrant, and what it
//! accepts is a sound volume, which is written and read again as the same.

use agent_library::fuzz::backup;
use holdfast_server::clock::Now;
use holdfast_server::keyspace::Keyspace;
use holdfast_server::rdb::Writer;
use holdfast_server::rdb::crc64::Crc64;
use holdfast_server::rdb::file::{
    Access, Batch, FileReader, Head, Item, Options, Step, write_check, write_database, write_end,
    write_entry, write_head,
};

use super::{Random, mutate, restore};

const NOW: Now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 0 };
const DATABASES: usize = 4;

/// What a file holds; `None` if it is not one, or not whole.
pub type Load = fn(&[u8]) -> Option<Keyspace>;

/// What is wrong with what `load` makes of `bytes`.
pub fn check(load: Load, bytes: &[u8]) -> Result<(), String> {
    let _ = backup(bytes);
    let Some(keyspace) = load(bytes) else { return Ok(()) };
    let again = written(&keyspace);
    // What the agent makes of a file before it is restored.
    let counted = backup(&again);
    if counted != Ok(keyspace.len() as u64) {
        return Err(format!("{} keys are a backup of {counted:?}: {again:x?}", keyspace.len()));
    }
    match load(&again) {
        Some(back) if content(&back) == content(&keyspace) => Ok(()),
        back => Err(format!(
            "{bytes:x?} is {:?}, written as {again:x?}, which is {:?}",
            content(&keyspace),
            back.map(|back| content(&back))
        )),
    }
}

/// The server's reader; checksums are not looked at, or none would be right.
pub fn holdfast(bytes: &[u8]) -> Option<Keyspace> {
    let mut keyspace = Keyspace::new(DATABASES, &[5; 16]);
    let mut file = bytes;
    let mut reader = FileReader::new(&mut file, options(bytes.len()));
    let mut batch = Batch::default();
    loop {
        let step = reader.fill(&mut batch).ok()?;
        batch.apply(&mut keyspace, false, |_: Access| None, |_: Item<'_>| {}).ok()?;
        // Room is made for the keys that are announced.
        let room: usize = keyspace.iter().map(|(_, db)| db.table_bytes()).sum();
        assert!(room <= 16 * (bytes.len() + 4096), "room for {room} bytes of {}", bytes.len());
        if let Step::End(_) = step {
            return Some(keyspace);
        }
    }
}

fn options(len: usize) -> Options {
    Options {
        limits: restore::limits(),
        now: NOW,
        databases: DATABASES,
        keeps_due: true,
        checks: false,
        any_version: true,
        len: len as u64,
        until: None,
    }
}

/// Keys with their values and expiries, in order.
fn content(keyspace: &Keyspace) -> Vec<String> {
    let mut content = Vec::new();
    for (index, db) in keyspace.iter() {
        content.extend(db.iter().map(|entry| {
            let key = entry.key().escape_ascii();
            format!("{index} {key} {:?} {:?}", entry.expire_at(), restore::dump(&entry.to_value()))
        }));
    }
    content.sort();
    content
}

pub(super) fn written(keyspace: &Keyspace) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true, NOW);
    let has_field_times = keyspace.iter().any(|(_, db)| db.volatile_within_len() > 0);
    write_head(&mut writer, &Head { has_field_times, ..Head::default() });
    for (index, db) in keyspace.iter() {
        write_database(&mut writer, index, db.len(), db.volatile_len());
        db.iter().for_each(|entry| write_entry(&mut writer, entry, None));
        let checksum = Crc64::of(writer.sink());
        write_check(writer.sink(), checksum);
    }
    write_end(&mut writer);
    let mut bytes = writer.into_sink();
    bytes.extend(Crc64::of(&bytes).to_le_bytes());
    bytes
}

/// A file of some keys, or a seed, changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let bytes = match random.below(3) {
        0 if !seeds.is_empty() => seeds[random.below(seeds.len())].clone(),
        _ => {
            let mut keyspace = Keyspace::new(DATABASES, &[5; 16]);
            for nth in 0..random.below(5) {
                let due = (random.below(3) == 0).then(|| NOW.ms() + random.below(1000) as i64);
                let (key, value) = (format!("k{nth}"), restore::any_value(random));
                keyspace.db_mut(random.below(DATABASES)).set(key.as_bytes(), value, due);
            }
            written(&keyspace)
        }
    };
    mutate(random, bytes, &PIECES)
}

/// Opcodes and lengths.
const PIECES: [&[u8]; 12] = [
    b"\xff",
    b"\xfe\x01",
    b"\xfb\x80\x7f\xff\xff\xff\0",
    b"\xfc\0\0\0\0\0\0\0\x80",
    b"\xfa\x01a\x01b",
    b"\xf8\x05",
    b"\xf9\xff",
    b"\xf4\x01\x02\x03",
    b"\0\x01a\x01b",
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xc3\x02\x05\0a",
    b"\xf5\x01x",
];
