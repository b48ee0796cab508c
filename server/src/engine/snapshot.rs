//! Snapshots in the background: their shape. The walk is not here yet, and whoever asks for one hears
//! that nothing was saved.
use super::Engine;
use crate::clock::Now;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotPurpose {
    Save,
    AofBase,
}
impl SnapshotPurpose {
    pub fn name(self) -> &'static str {
        match self {
            Self::Save => "Background saving",
            Self::AofBase => "Background AOF rewrite",
        }
    }
}
pub trait SnapshotSink: Send {
    fn chunk(&mut self, bytes: Vec<u8>, between_keys: bool);
    fn is_full(&self) -> bool;
    fn done(self: Box<Self>, result: Result<(), String>);
}
pub struct Busy;
impl Engine {
    pub fn begin_snapshot(
        &mut self,
        _: SnapshotPurpose,
        sink: Box<dyn SnapshotSink>,
        _: Now,
    ) -> Result<(), Busy> {
        sink.done(Err("stub".into()));
        Err(Busy)
    }
    pub fn cancel_snapshot(&mut self) {}
    pub fn snapshot_progress(&self) -> (u64, u64) {
        (0, 0)
    }
}
