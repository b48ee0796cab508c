//! The machine's console: who is at it may ask what root may ask over the local socket.
//!
//! Off unless `[console]` of holdfast.toml or `holdfast.console=on` of the kernel command line says
//! otherwise: a screen with a keyboard may stand where anybody passes. The kernel edits and echoes the
//! line and gives it whole; init has opened the terminal, and it is our standard output.

mod tty;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::cmdline;
use holdfast_supervisor::console::{self, END_OF_FILE, Typed};
use holdfast_supervisor::control::{Line, MAX_CONFIG_BYTES, Request};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;

use crate::control::config;
use crate::run::{Shared, kernel_words};
use crate::serve;
use tty::Tty;

/// After a line that is no command: one that only catches noise costs little.
const NOISE_PAUSE: Duration = Duration::from_secs(1);
/// For a file that is typed: the largest takes a minute at 9600 baud.
const FILE_WAIT: Duration = Duration::from_secs(600);

const GREETING: &str = "holdfast: commands are taken here; holdfast help lists them\n";
const HELP: &str = "\
holdfast status [--json]              what runs, and what is amiss
holdfast logs [SERVICE] [-n N]        the newest lines, 100 without N
holdfast start|stop|restart SERVICE   server or agent
holdfast config                       shows the holdfast.toml that counts
holdfast config put                   takes a new one: its lines, then one with only a dot
holdfast config reset                 goes back to the image's
holdfast reload                       reads holdfast.toml again
holdfast backup [--list]              a verified backup now, or what backups there are
holdfast verify|restore FILE          of a backup or any RDB file
holdfast certs [renew]                certificates; new-authority --yes: all new
holdfast update FILE                  another version, tried once and kept if it does well
holdfast update key KEY ID            the same from a key of the server's
holdfast reboot, holdfast poweroff
holdfast factory-reset --yes          deletes all data, backups, certificates, config
";

/// For as long as the agent lives; without a console there is nothing to do.
pub(crate) async fn attend(shared: &Rc<Shared>) {
    let words = kernel_words(shared).await;
    let (Some(words), Some(mut tty)) = (words, Tty::of_standard_output()) else {
        return std::future::pending().await;
    };
    let fixed = switch(&words);
    let mut loaded = shared.loaded.subscribe();
    let mut is_open = false;
    loop {
        let was_open = is_open;
        is_open = fixed.unwrap_or_else(|| shared.config().console);
        if is_open && !was_open {
            let _ = tty.say(GREETING).await;
        }
        tokio::select! {
            line = tty.line(), if is_open => obey(shared, &mut tty, &line).await,
            // Its sender is as old as we are.
            _ = loaded.changed() => {}
        }
    }
}

fn switch(words: &str) -> Option<bool> {
    match cmdline::value(words, "holdfast.console") {
        Some("on") => Some(true),
        Some("off") => Some(false),
        _ => None,
    }
}

async fn obey(shared: &Rc<Shared>, tty: &mut Tty, line: &[u8]) {
    let typed = console::read(line);
    // Who does not take the answer does not get it.
    let _ = match &typed {
        Typed::Noise => Ok(()),
        Typed::Nothing => tty.say(GREETING).await,
        Typed::Help => tty.say(HELP).await,
        Typed::Unknown => tty.say("this is no command; see holdfast help\n").await,
        Typed::Put => put(shared, tty).await,
        Typed::Ask(request) => ask(shared, tty, request).await,
    };
    if matches!(typed, Typed::Noise | Typed::Nothing) {
        tokio::time::sleep(NOISE_PAUSE).await;
    }
}

/// As if it had come over the socket.
async fn ask(shared: &Rc<Shared>, tty: &mut Tty, text: &str) -> io::Result<()> {
    note(shared, text);
    let (ours, mut theirs) = UnixStream::pair()?;
    let (server, request) = (Rc::clone(shared), text.to_owned());
    // To its end, also when nobody reads the answer.
    tokio::task::spawn_local(async move {
        if let Some(request) = Request::parse(request.as_bytes()) {
            let _ = serve::attend(&server, request, &mut theirs).await;
        }
    });
    let is_marked = !text.starts_with("status");
    let mut lines = BufReader::new(ours).lines();
    while let Some(line) = lines.next_line().await? {
        let shown = Some(&line).filter(|_| is_marked).and_then(|line| Line::parse(line));
        match shown {
            Some(Line::Text(text)) => tty.say(&format!("{text}\n")).await?,
            Some(Line::Done(text)) => tty.say(&done(text)).await?,
            Some(Line::Failed(why)) => tty.say(&format!("not done: {why}\n")).await?,
            None => tty.say(&format!("{line}\n")).await?,
        }
    }
    Ok(())
}

fn done(text: &str) -> String {
    if text.is_empty() { "done\n".to_owned() } else { format!("done: {text}\n") }
}

/// What was done at a console is asked about later.
fn note(shared: &Shared, what: &str) {
    shared.count(|counters| counters.requests += 1);
    eprintln!("holdfast-agent: asked at the console: {what}");
}

async fn put(shared: &Rc<Shared>, tty: &mut Tty) -> io::Result<()> {
    tty.say("the lines of the file, then one with only a dot:\n").await?;
    let outcome = match tokio::time::timeout(FILE_WAIT, typed_file(tty)).await {
        Ok(text) => {
            note(shared, "config put");
            config::put(shared, &text).await
        }
        Err(_) => Err("it was not ended in time; nothing is changed".to_owned()),
    };
    match outcome {
        Ok(text) => tty.say(&done(&text)).await,
        Err(why) => tty.say(&format!("not done: {why}\n")).await,
    }
}

/// What is beyond the bound is not kept, but for a byte which shows that there was more.
async fn typed_file(tty: &mut Tty) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        let line = tty.line().await;
        if line.trim_ascii() == END_OF_FILE {
            return text;
        }
        text.extend(line);
        text.push(b'\n');
        text.truncate(MAX_CONFIG_BYTES as usize + 1);
    }
}
