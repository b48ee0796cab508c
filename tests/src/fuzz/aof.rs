//! The log: no bytes in its files make a start panic, and what a start has loaded, cut and set in order
//! the next one finds again, as it is.

use std::io::Read;
use std::sync::Arc;

use holdfast_server::clock::Clock;
use holdfast_server::persistence::aof::check::Tool;
use holdfast_server::persistence::aof::{self, Apply, BaseFault, Fsync, Options};
use holdfast_server::persistence::load::Loader;
use holdfast_server::rdb::crc64::Crc64;
use holdfast_server::resp::Argv;

use super::world::{Memory, be_quiet, engine};
use super::{Random, mutate, restore};

const MANIFEST: &str = "/data/log/a.manifest";
const INCREMENT: &str = "/data/log/a.2.incr.aof";

/// What a start makes of a disk: the commands, or lines that say why there is none.
pub type Open = fn(&Disk) -> Result<Vec<Vec<u8>>, Vec<String>>;

/// The folder of a log.
pub struct Disk(Memory);

impl Disk {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let disk = Memory::default();
        files.iter().for_each(|(path, content)| disk.put(*path, content));
        Self(disk)
    }
}

/// Checks `bytes` as the log's increment, with the checksums that its marks say and with the right
/// ones, and as a log of old.
pub fn check_file(open: Open, bytes: &[u8]) -> Result<(), String> {
    let manifest = b"file a.2.incr.aof seq 2 type i\n";
    for increment in [bytes, &seal(bytes)] {
        check(open, &[(MANIFEST, manifest), (INCREMENT, increment)])?;
    }
    check(open, &[("/data/a", bytes)])
}

/// Checks `text` as a manifest beside the files of a log.
pub fn check_manifest(open: Open, text: &[u8]) -> Result<(), String> {
    let base = encoded(&[&["SET", "base", "1"]]);
    let first = seal(&ours(&[&["SET", "first", "1"]]));
    let second = seal(&ours(&[&["SET", "second", "1"]]));
    let files: [(&str, &[u8]); 4] = [
        (MANIFEST, text),
        ("/data/log/a.1.base.aof", &base),
        ("/data/log/a.1.incr.aof", &first),
        (INCREMENT, &second),
    ];
    check(open, &files)
}

/// The first of the files is the one that the tools are given.
fn check(open: Open, files: &[(&str, &[u8])]) -> Result<(), String> {
    let shown = || {
        let shown =
            files.iter().map(|(path, content)| format!("{path}: {}", content.escape_ascii()));
        shown.collect::<Vec<_>>().join("\n")
    };
    let disk = Disk::new(files);
    look(&disk, files[0].0);
    match open(&disk) {
        Err(lines) if lines.iter().any(|line| !line.is_empty()) => Ok(()),
        Err(_) => Err(format!("refused without a word:\n{}", shown())),
        Ok(first) => match open(&disk) {
            Ok(second) if first == second => Ok(()),
            second => Err(format!("{first:?}, and then {second:?}:\n{}", shown())),
        },
    }
}

/// `redis-check-aof` looks at it, too.
fn look(disk: &Disk, path: &str) {
    let (mut input, mut out) = (&b""[..], Vec::new());
    let mut check_rdb = |_: &std::path::Path, _: &mut dyn std::io::Write| Some(9);
    let words = ["redis-check-aof".to_owned(), path.to_owned()];
    Tool::new(&disk.0, &mut input, &mut out, &mut check_rdb).run(&words);
    assert!(!out.is_empty(), "a tool that says nothing");
}

/// The server's own start: the commands that were executed and the bases that were loaded.
pub fn holdfast(disk: &Disk) -> Result<Vec<Vec<u8>>, Vec<String>> {
    be_quiet();
    let options = Options {
        dir: "/data".into(),
        folder: "log".to_owned(),
        name: "a".to_owned(),
        fsync: Fsync::No,
        load_truncated: true,
        timestamps: false,
        keep_history: false,
        empty_base: Some(Vec::new()),
    };
    let clock = Clock::start();
    let mut engine = engine(&clock);
    engine.begin_replay(clock.now());
    let mut witness = Witness { seen: Vec::new(), loader: Loader::new(&mut engine, &clock) };
    let opened =
        aof::open(Arc::new(disk.0.clone()), &options, &mut witness).map_err(|why| why.0)?;
    opened.log.close().map_err(|error| vec![error.to_string()])?;
    Ok(witness.seen)
}

/// Executes, and remembers what.
struct Witness<'a, L> {
    seen: Vec<Vec<u8>>,
    loader: Loader<'a, L>,
}

impl<L> Apply for Witness<'_, L>
where
    for<'a> Loader<'a, L>: Apply,
{
    fn base(&mut self, file: &mut dyn Read, until: Option<u64>) -> Result<u64, BaseFault> {
        let len = self.loader.base(file, until)?;
        self.seen.push(format!("{len} bytes of RDB").into_bytes());
        Ok(len)
    }

    fn command(&mut self, argv: Argv<'_>) -> Result<(), String> {
        self.loader.command(argv)?;
        self.seen.push(argv.iter().collect::<Vec<_>>().join(&b' '));
        Ok(())
    }

    fn file_is_over(&mut self) {
        self.loader.file_is_over();
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.loader.forget();
    }
}

/// With the length and the checksum in each mark that it should have.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_mark = line
            .strip_prefix(b"#HF:")
            .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit));
        if is_mark && line.ends_with(b"\r\n") {
            let mark = format!("#HF:{} {:016x}\r\n", sealed.len(), Crc64::of(&sealed));
            sealed.extend(mark.as_bytes());
        } else {
            sealed.extend(line);
        }
    }
    sealed
}

fn encoded(commands: &[&[&str]]) -> Vec<u8> {
    commands.iter().flat_map(|words| crate::resp::encode_command(words)).collect()
}

/// An increment of ours, whose marks want sealing.
fn ours(commands: &[&[&str]]) -> Vec<u8> {
    let mut bytes = b"#HF:log 1\r\n#HF:0 0\r\n".to_vec();
    for words in commands {
        bytes.extend(b"#HF+\r\n");
        bytes.extend(crate::resp::encode_command(words));
        bytes.extend(b"#HF:0 0\r\n");
    }
    bytes
}

const LINES: [&[u8]; 14] = [
    b"#HF:log 1\r\n",
    b"#HF:0 0\r\n",
    b"#HF+\r\n",
    b"#HF:files 1\r\n",
    b"#HF:file a.2.incr.aof seq 2 type i\r\n",
    b"#HF:after 0 0000000000000000\r\n",
    b"#TS:1700000000\r\n",
    b"*1\r\n$5\r\nMULTI\r\n",
    b"*1\r\n$4\r\nEXEC\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
    b"*-1\r\n",
    b"$99999999999\r\n",
    b"\0\0\0\0",
];

/// A log of ours or of another server, changed in a few places.
pub fn generate_file(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let bytes = match random.below(3) {
        0 => seeds[random.below(seeds.len())].clone(),
        1 => ours(&[&["SET", "a", "1"], &["RPUSH", "l", "1", "2"], &["DEL", "a"]]),
        _ => {
            let payload = restore::dump(&restore::any_value(random));
            crate::resp::encode_command(&[b"RESTORE".as_slice(), b"k", b"0", &payload])
        }
    };
    let mutated = mutate(random, bytes, &LINES);
    if random.below(2) == 0 { seal(&mutated) } else { mutated }
}

const ENTRIES: [&[u8]; 9] = [
    b"file a.1.base.aof seq 1 type b\n",
    b"file a.1.incr.aof seq 1 type i\n",
    b"file a.2.incr.aof seq 2 type i\n",
    b"file a.1.incr.aof seq 1 type h\n",
    b"file \"a \\x41\" seq 9223372036854775807 type i\n",
    b"file ../x seq 1 type b\n",
    b"seq 4611686018427387904",
    b"# a comment\n",
    b"startoffset 5",
];

/// Lines in a row, changed in a few places.
pub fn generate_manifest(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    if random.below(3) == 0 {
        text.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(4) {
        text.extend(random.one_of(&ENTRIES));
    }
    mutate(random, text, &ENTRIES)
}
