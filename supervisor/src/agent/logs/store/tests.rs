use super::*;

const SMALL: Keep = Keep { files: 3, file_bytes: 400 };

struct Scratch {
    folder: Folder,
    _dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let folder =
            Folder { boot: "one".to_owned(), ..Folder::new(dir.path().join("logs"), SMALL) };
        Self { folder, _dir: dir }
    }

    /// As a new agent begins, maybe in a new boot.
    fn anew(&mut self, boot: &str) {
        self.folder.streams.clear();
        self.folder.boot = boot.to_owned();
    }

    fn write(&mut self, at: u64, text: &str) {
        let piece = Piece { name: "server".to_owned(), at, text: text.as_bytes().to_vec() };
        self.folder.try_write(&piece).expect("written");
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.path.join(name)).ok()
    }

    /// The log without the times in its headers.
    fn log(&self) -> Vec<String> {
        let text = self.read("server.log").expect("a log");
        let lines = text.lines().map(|line| match line.strip_prefix(HEADER) {
            Some(header) => format!("--- {}", header.split_once(' ').expect("a time").1),
            None => line.to_owned(),
        });
        lines.collect()
    }
}

#[test]
fn the_stream_is_kept_as_it_was_and_gaps_are_told() {
    let mut scratch = Scratch::new();
    scratch.write(0, "a\n");
    scratch.write(2, "b\n");
    scratch.write(10, "c\n");
    let gap = "--- boot one at 10, 6 bytes were dropped before";
    assert_eq!(scratch.log(), ["--- boot one at 0", "a", "b", gap, "c"]);
}

#[test]
fn a_new_agent_goes_on_where_the_old_one_ended() {
    let mut scratch = Scratch::new();
    scratch.write(0, "a\nb\n");
    scratch.anew("one");
    scratch.write(0, "a\nb\nc\n");
    assert_eq!(scratch.log(), ["--- boot one at 0", "a", "b", "--- boot one at 4", "c"]);
    scratch.anew("two");
    scratch.write(0, "d\n");
    assert_eq!(scratch.log()[5..], ["--- boot two at 0", "d"]);
}

#[test]
fn long_files_are_cut_off_and_the_newest_few_kept() {
    let mut scratch = Scratch::new();
    for number in 0..40_u64 {
        scratch.write(number * 100, &format!("{number:099}\n"));
    }
    let last = |name| scratch.read(name).and_then(|text| text.lines().last()?.parse::<u64>().ok());
    assert_eq!(last("server.log"), Some(39));
    let older = last("server.log.1").expect("an older file");
    let oldest = last("server.log.2").expect("an older one");
    assert!(oldest < older && older < 39, "{oldest} {older}");
    assert_eq!(scratch.read("server.log.3"), None);
    for name in ["server.log", "server.log.1", "server.log.2"] {
        let text = scratch.read(name).expect("kept");
        assert!(text.starts_with(HEADER) && text.len() as u64 <= SMALL.file_bytes + 100, "{name}");
    }
}

#[test]
fn a_flood_is_cut_and_the_cut_is_told() {
    let mut scratch = Scratch::new();
    scratch.folder.keep = Keep { file_bytes: 8 << 20, ..SMALL };
    let text = "x".repeat(1023) + "\n";
    for number in 0..2_000 {
        scratch.write(number * 1024, &text);
    }
    let stream = scratch.folder.streams.get_mut("server").expect("a stream");
    assert!(stream.len <= BYTES_PER_MINUTE + 1024, "{} bytes were written", stream.len);
    stream.minute.0 -= MINUTE;
    scratch.write(2_000 * 1024, "after\n");
    let log = scratch.log();
    let dropped = (2_000 - 1_024) * 1024;
    let gap = format!("--- boot one at 2048000, {dropped} bytes were dropped before");
    assert_eq!(log[log.len() - 2..], [gap.as_str(), "after"]);
}

#[test]
fn a_file_that_is_not_ours_is_appended_to() {
    assert_eq!(position_after(b"", "one"), None);
    assert_eq!(position_after(b"--- nonsense\n\xff\xfe", "one"), None);
    assert_eq!(position_after(b"--- t boot one at 7\nab", "one"), Some(9));
    assert_eq!(position_after(b"--- t boot two at 7\nab", "one"), None);
    assert_eq!(
        position_after(b"--- t boot one at 9, 2 bytes were dropped before\na", "one"),
        Some(10)
    );
}
