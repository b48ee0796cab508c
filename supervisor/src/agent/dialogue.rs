//! A connection to the server for more than a PING: commands, and replies of any kind, bounded.

use std::io;
use std::time::Duration;

use holdfast_supervisor::paths;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::discover;
use crate::ping::Endpoint;

/// INFO is the longest of them: some ten kilobytes.
const MAX_REPLY_BYTES: usize = 1 << 20;
const MAX_ITEMS: i64 = 1024;
const MAX_LINE_BYTES: u64 = 1024;
/// Of one command; none of ours waits for anything in the server.
const PATIENCE: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

pub(crate) struct Dialogue {
    stream: BufReader<Box<dyn Stream>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(String),
    Number(i64),
    Nil,
    Many(Vec<Reply>),
}

impl Reply {
    pub(crate) fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl Dialogue {
    /// Where whoever looks after the server is let in, else where everybody is.
    pub(crate) async fn open(pid: Option<u32>) -> io::Result<Self> {
        let mut last = io::Error::other("the server does not run");
        for endpoint in places(pid) {
            match tokio::time::timeout(PATIENCE, Self::reach(&endpoint, pid)).await {
                Ok(Ok(dialogue)) => return Ok(dialogue),
                Ok(Err(error)) => {
                    last = io::Error::new(error.kind(), format!("{endpoint}: {error}"));
                }
                Err(_) => last = late(),
            }
        }
        Err(last)
    }

    /// Where everybody is let in, another server may be who answers: its process number tells.
    async fn reach(endpoint: &Endpoint, pid: Option<u32>) -> io::Result<Self> {
        let mut dialogue = Self::connect(endpoint).await?;
        let answers = dialogue.info("server").await?.number("process_id");
        match pid {
            Some(pid) if answers != Some(u64::from(pid)) => {
                Err(io::Error::other("another server answers there"))
            }
            _ => Ok(dialogue),
        }
    }

    async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match endpoint {
            Endpoint::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// An error reply is an error.
    pub(crate) async fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        let asked = async {
            self.stream.write_all(&encode(words)).await?;
            match self.read_item().await? {
                Item::One(reply) => Ok(reply),
                Item::Array(count) => self.read_items(count).await.map(Reply::Many),
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| late())?
    }

    async fn read_items(&mut self, count: i64) -> io::Result<Vec<Reply>> {
        let mut items = Vec::new();
        for _ in 0..count {
            match self.read_item().await? {
                Item::One(reply) => items.push(reply),
                Item::Array(_) => return Err(nonsense("a reply within a reply within a reply")),
            }
        }
        Ok(items)
    }

    async fn read_item(&mut self) -> io::Result<Item> {
        let line = self.read_line().await?;
        let (mark, rest) = line.split_at_checked(1).unwrap_or_default();
        let number = || rest.parse::<i64>().map_err(|_| nonsense(&line));
        Ok(Item::One(match mark {
            "+" => Reply::Text(rest.to_owned()),
            "-" => return Err(io::Error::other(rest.to_owned())),
            ":" => Reply::Number(number()?),
            "$" => match number()? {
                -1 => Reply::Nil,
                bytes => {
                    Reply::Text(String::from_utf8_lossy(&self.read_bytes(bytes).await?).into())
                }
            },
            "*" => match number()? {
                count @ 0..=MAX_ITEMS => return Ok(Item::Array(count)),
                _ => return Err(nonsense(&line)),
            },
            _ => return Err(nonsense(&line)),
        }))
    }

    async fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.pop_if(|byte| *byte == b'\r');
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn read_bytes(&mut self, bytes: i64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(bytes).ok().filter(|len| *len <= MAX_REPLY_BYTES);
        let mut text = vec![0; len.ok_or_else(|| nonsense("a reply that is too long"))? + 2];
        self.stream.read_exact(&mut text).await?;
        text.truncate(text.len() - 2);
        Ok(text)
    }

    /// A reply that is bytes rather than text.
    pub(crate) async fn ask_bytes(&mut self, words: &[&str]) -> io::Result<Vec<u8>> {
        let asked = async {
            self.stream.write_all(&encode(words)).await?;
            let line = self.read_line().await?;
            match line.strip_prefix('$').and_then(|len| len.parse().ok()) {
                Some(len) => self.read_bytes(len).await,
                None => Err(io::Error::other(line.trim_start_matches('-').to_owned())),
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| late())?
    }

    /// One section of INFO, as pairs.
    pub(crate) async fn info(&mut self, section: &str) -> io::Result<Info> {
        let text = self.ask(&["INFO", section]).await?.text();
        Ok(Info(text.ok_or_else(|| nonsense("INFO is no text"))?))
    }

    pub(crate) async fn config(&mut self, name: &str) -> io::Result<Option<String>> {
        match self.ask(&["CONFIG", "GET", name]).await? {
            Reply::Many(pair) => Ok(pair.into_iter().nth(1).and_then(Reply::text)),
            _ => Err(nonsense("CONFIG GET gives no pair")),
        }
    }
}

enum Item {
    One(Reply),
    Array(i64),
}

/// The text of INFO: `name:value` lines.
#[derive(Debug, Default)]
pub(crate) struct Info(String);

impl Info {
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn lines(&self) -> std::str::Lines<'_> {
        self.0.lines()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

fn places(pid: Option<u32>) -> Vec<Endpoint> {
    let named = std::env::var(paths::ADMIN_ENV).ok();
    let known = paths::ADMIN_SOCKETS.map(str::to_owned);
    let admin = named.into_iter().chain(known).map(|path| Endpoint::Unix(path.into()));
    let mut places: Vec<_> = admin.collect();
    places.dedup();
    places.retain(|place| matches!(place, Endpoint::Unix(path) if path.exists()));
    places.extend(pid.map(discover::endpoints).unwrap_or_default());
    places
}

fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not what a server replies: {what:?}"))
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reply_to(bytes: &'static [u8]) -> io::Result<Reply> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut dialogue = Dialogue { stream: BufReader::new(Box::new(ours)) };
        theirs.write_all(bytes).await?;
        let reply = dialogue.ask(&["PING"]).await;
        let mut sent = [0; 14];
        theirs.read_exact(&mut sent).await?;
        assert_eq!(&sent, b"*1\r\n$4\r\nPING\r\n");
        drop(theirs);
        reply
    }

    fn check(bytes: &'static [u8]) -> Result<Reply, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let reply = runtime.expect("a runtime").block_on(reply_to(bytes));
        reply.map_err(|error| error.to_string())
    }

    #[test]
    fn replies_of_every_kind_are_read() {
        let text = |text: &str| Reply::Text(text.to_owned());
        assert_eq!(check(b"+OK\r\n"), Ok(text("OK")));
        assert_eq!(check(b":-12\r\n"), Ok(Reply::Number(-12)));
        assert_eq!(check(b"$-1\r\n"), Ok(Reply::Nil));
        assert_eq!(check(b"$3\r\na\nb\r\n"), Ok(text("a\nb")));
        let pair = vec![text("dir"), text("/data")];
        assert_eq!(check(b"*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n"), Ok(Reply::Many(pair)));
    }

    #[test]
    fn errors_and_nonsense_are_errors() {
        assert_eq!(check(b"-NOAUTH no\r\n"), Err("NOAUTH no".to_owned()));
        for odd in
            [&b"\r\n"[..], b"HTTP\r\n", b"$9999999999\r\n", b"*-1\r\n", b"*1\r\n*1\r\n:1\r\n"]
        {
            assert!(check(odd).is_err(), "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn info_has_fields() {
        let info = Info("# Persistence\r\nloading:0\r\nloading_x:7\r\n".to_owned());
        assert_eq!((info.number("loading"), info.number("loading_x")), (Some(0), Some(7)));
        assert_eq!(info.field("load"), None);
    }
}
