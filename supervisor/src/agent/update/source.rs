//! Where an update comes from: a file of the machine's, or a key of the server's, to which whoever
//! makes the update has a way already (`redis-cli -x SET KEY < FILE`).

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::mpsc;

use crate::backup::server_pid;
use crate::dialogue::Dialogue;
use crate::run::Shared;

/// Asked of the server at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces between the server and who writes them.
const PENDING: usize = 2;

#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    /// Whoever may write to the server may write there: it must be the one that was meant.
    Key {
        key: String,
        id: String,
    },
}

impl Source {
    /// To be read in another thread.
    pub(super) fn open(&self, shared: &Rc<Shared>) -> Result<Box<dyn Read + Send>, String> {
        match self {
            Self::File(path) => {
                let opened =
                    File::open(path).map_err(|error| format!("{}: {error}", path.display()));
                opened.map(|file| Box::new(file) as _)
            }
            Self::Key { key, .. } => {
                let (sender, pieces) = mpsc::channel(PENDING);
                tokio::task::spawn_local(give(Rc::clone(shared), key.clone(), sender));
                Ok(Box::new(Pieces { pieces, piece: Vec::new(), at: 0 }))
            }
        }
    }

    /// The update that it has to be.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Key { id, .. } => Some(id),
        }
    }
}

type Piece = io::Result<Vec<u8>>;

/// One after the other, until there is no more or nobody takes it.
async fn give(shared: Rc<Shared>, key: String, sender: mpsc::Sender<Piece>) {
    let mut server = match Dialogue::open(server_pid(&shared)).await {
        Ok(server) => server,
        Err(error) => return drop(sender.send(Err(error)).await),
    };
    let mut at = 0;
    loop {
        let (from, to) = (at.to_string(), (at + PIECE_BYTES - 1).to_string());
        let piece = server.ask_bytes(&["GETRANGE", &key, &from, &to]).await;
        let is_last = piece.as_ref().map_or(true, |piece| piece.len() < PIECE_BYTES);
        if sender.send(piece).await.is_err() || is_last {
            return;
        }
        at += PIECE_BYTES;
    }
}

struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            (self.piece, self.at) = (piece?, 0);
            if self.piece.is_empty() {
                return Ok(0);
            }
        }
        let read = (&self.piece[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
