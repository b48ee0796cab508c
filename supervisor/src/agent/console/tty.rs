//! The terminal: whole lines in, text out, and nobody waited for for long.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::Duration;

use holdfast_supervisor::console::MAX_LINE_BYTES;
use rustix::io::ioctl_fionbio;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// For the terminal to take some of an answer: its other end may be switched off.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a terminal that only gives errors, or the end of what it has.
const RETRY: Duration = Duration::from_secs(1);

/// Two descriptors of the one terminal. That tokio calls them pipes means that it reads and writes.
pub(super) struct Tty {
    input: pipe::Receiver,
    output: pipe::Sender,
    /// Read, and not a whole line yet.
    begun: Vec<u8>,
}

impl Tty {
    /// `None` where standard output is something else: a log's pipe.
    pub(super) fn of_standard_output() -> Option<Self> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let open = || -> io::Result<Self> {
            let (input, output) =
                (stdout.as_fd().try_clone_to_owned()?, stdout.as_fd().try_clone_to_owned()?);
            ioctl_fionbio(&input, true)?;
            Ok(Self {
                input: pipe::Receiver::from_owned_fd_unchecked(input)?,
                output: pipe::Sender::from_owned_fd_unchecked(output)?,
                begun: Vec::new(),
            })
        };
        open().inspect_err(|error| eprintln!("holdfast-agent: the console: {error}")).ok()
    }

    /// The next line, without its end. Nothing is lost when this is dropped before it is through.
    pub(super) async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.begun, rest);
                line.pop();
                return line;
            }
            // The kernel's lines are no longer.
            if self.begun.len() > MAX_LINE_BYTES {
                self.begun.clear();
            }
            let mut buffer = [0; MAX_LINE_BYTES];
            match self.read(&mut buffer).await {
                Ok(len @ 1..) => self.begun.extend(&buffer[..len]),
                // The end of what was typed (Ctrl-D), or a terminal that was hung up.
                Ok(0) | Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// A terminal gives one line at a time, however many there are: less than was asked for does not
    /// mean that there is no more, which AsyncRead would take it for.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.input.readable().await?;
            match self.input.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// Of control characters only line feeds: a terminal obeys them.
    pub(super) async fn say(&mut self, text: &str) -> io::Result<()> {
        let plain = |letter: char| if letter.is_control() && letter != '\n' { ' ' } else { letter };
        let text: String = text.chars().map(plain).collect();
        let written = tokio::time::timeout(WRITE_LIMIT, self.output.write_all(text.as_bytes()));
        written.await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}
