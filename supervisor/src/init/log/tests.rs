use super::*;

/// A stream whose console is a pipe that the test reads.
fn logs() -> (Logs, OwnedFd, OwnedFd) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let logs = Logs { out: Outlet::Own(writer), ..Logs::open(&epoll, 2, 32) };
    for end in [&reader, &logs.out.as_fd().try_clone_to_owned().expect("a descriptor")] {
        rustix::io::ioctl_fionbio(end, true).expect("a pipe");
    }
    (logs, epoll, reader)
}

fn write(logs: &Logs, text: &[u8]) {
    rustix::io::write(logs.writer(1).expect("a stream"), text).expect("room in the pipe");
}

fn read(reader: &OwnedFd) -> String {
    let mut buffer = vec![0; 1 << 20];
    let len = rustix::io::read(reader, &mut buffer[..]).unwrap_or(0);
    String::from_utf8(buffer[..len].to_vec()).expect("text")
}

#[test]
fn what_a_service_writes_is_passed_on_and_pushed() {
    let (mut logs, epoll, reader) = logs();
    write(&logs, b"one\ntwo\nthr");
    logs.receive(1, &epoll, 32, 0);
    logs.relay(&epoll, 3, 0);
    assert_eq!(read(&reader), "one\ntwo\n");
    let mut pushed = Vec::<_, 16>::new();
    let more = logs.push(|message| {
        let ToAgent::Log { slot, at, text } = message else { return false };
        if *slot == 1 {
            let text = String::from_utf8(text.to_vec()).expect("text");
            pushed.push((*at, text)).expect("few messages");
        }
        true
    });
    assert!(!more);
    assert_eq!(pushed, [(0, "one\ntwo\nthr".to_owned())]);
    logs.finish(0);
    assert_eq!(read(&reader), "thr");
}

#[test]
fn lines_that_found_no_room_are_counted_and_said() {
    let (mut logs, epoll, reader) = logs();
    let line = [&[b'x'; 99][..], b"\n"].concat();
    let total = 3000;
    for _ in 0..total {
        write(&logs, &line);
        logs.tick(&epoll, 32, u64::MAX);
        logs.receive(1, &epoll, 32, 0);
        logs.relay(&epoll, 3, 0);
    }
    assert!(logs.dropped(1) > 0, "the pipe took everything");
    let mut seen = read(&reader);
    logs.finish(1_000);
    seen += &read(&reader);
    let (mut lines, mut said) = (0, 0);
    for line in seen.lines() {
        let notice = line.strip_prefix("holdfast-init: ");
        match notice.and_then(|text| text.strip_suffix(" lines were dropped here")) {
            Some(count) => said += count.parse::<u64>().expect("a number"),
            None => lines += 1,
        }
    }
    assert_eq!((said, lines + said), (logs.dropped(1), total));
}

/// A terminal takes what it has room for, were it the half of a line or of a notice.
#[test]
fn on_a_terminal_each_line_is_whole_or_counted() {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let reader = openpt(flags).expect("a terminal");
    unlockpt(&reader).expect("its other end");
    let terminal = ioctl_tiocgptpeer(&reader, flags).expect("its other end");
    let (mut logs, epoll, _pipe) = logs();
    logs.out = Outlet::Own(terminal);
    for end in [&reader, &logs.out.as_fd().try_clone_to_owned().expect("a descriptor")] {
        rustix::io::ioctl_fionbio(end, true).expect("a terminal");
    }
    let (total, mut text) = (6_000, vec![]);
    let mut take = |len: usize| {
        let mut buffer = vec![0; len];
        let len = rustix::io::read(&reader, &mut buffer[..]).unwrap_or(0);
        text.extend_from_slice(&buffer[..len]);
        text.ends_with(b"end\r\n")
    };
    for number in 0..total {
        write(&logs, format!("{number:0>98}\n").as_bytes());
        logs.tick(&epoll, 32, u64::MAX);
        logs.receive(1, &epoll, 32, 0);
        logs.relay(&epoll, 3, 0);
        // Held up for a while, then slower than what comes.
        if number > total / 2 {
            take(number % 97);
        }
    }
    write(&logs, b"end\n");
    let until = now_ms() + 10_000;
    while !take(4096) && now_ms() < until {
        logs.tick(&epoll, 32, u64::MAX);
        logs.receive(1, &epoll, 32, 0);
        logs.relay(&epoll, 3, 0);
    }
    let text = String::from_utf8(text).expect("text");
    let (mut whole, mut said) = (0, 0);
    for line in text.lines() {
        let notice = line.strip_prefix("holdfast-init: ");
        match notice.and_then(|text| text.strip_suffix(" lines were dropped here")) {
            Some(count) => said += count.parse::<u64>().expect("a number"),
            // One that was cut short is dropped.
            None => whole += u64::from(line.len() == 98),
        }
    }
    assert!(said > 0, "the terminal took everything");
    assert_eq!((said, whole + said), (logs.dropped(1), total as u64));
}

#[test]
fn a_flood_is_held_up_by_its_own_pipe() {
    let (mut logs, epoll, _reader) = logs();
    let mut written = 0;
    let piece = [b'\n'; 4096];
    while logs.deadline().is_none() {
        write(&logs, &piece);
        written += piece.len();
        logs.receive(1, &epoll, 32, 1_000);
        assert!(written <= BYTES_PER_PERIOD, "the flood is read without end");
    }
    assert_eq!(logs.deadline(), Some(1_000 + PERIOD_MS));
    write(&logs, &piece);
    logs.receive(1, &epoll, 32, 1_001);
    let left_alone = logs.streams[1].ring.written();
    assert_eq!(left_alone, written as u64);
    logs.tick(&epoll, 32, 1_000 + PERIOD_MS);
    logs.receive(1, &epoll, 32, 1_000 + PERIOD_MS);
    assert_eq!(logs.streams[1].ring.written(), left_alone + 4096);
}

#[test]
fn a_new_agent_is_told_what_is_still_here() {
    let (mut logs, epoll, _reader) = logs();
    write(&logs, b"line\n");
    logs.receive(1, &epoll, 32, 0);
    let mut seen = 0;
    for _ in 0..2 {
        logs.begin_anew();
        logs.push(|message| {
            seen += u32::from(matches!(message, ToAgent::Log { slot: 1, at: 0, .. }));
            true
        });
    }
    assert_eq!(seen, 2);
}
