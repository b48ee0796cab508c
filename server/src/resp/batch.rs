//! A batch: the complete commands of one buffer, as places in it.

use super::argv::{Argv, OwnedArgv, Span};

/// Complete commands found in a buffer, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The arguments of all, those of a command that is not complete last.
    pub(super) spans: Vec<Span>,
    /// For each command, the end of its spans and the end of its bytes in the buffer.
    commands: Vec<Command>,
    /// Arguments of inline commands, which unquoting may have changed: these do not lie in the
    /// buffer. A span with `start >= INLINE_BASE` points here.
    inline: Vec<OwnedArgv>,
}

#[derive(Clone, Copy, Debug)]
struct Command {
    spans_end: usize,
    buffer_end: usize,
    inline: Option<usize>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.spans.clear();
        self.commands.clear();
        self.inline.clear();
    }

    /// Gives memory back that a command with very many arguments took.
    #[inline]
    pub fn shrink(&mut self) {
        /// Spans that are kept for the next batch, 16 bytes each.
        const KEPT: usize = 8 * 1024;
        if self.spans.capacity() > KEPT {
            self.spans = Vec::new();
        }
    }

    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// A command ends here: its arguments are those noted since the one before.
    #[inline]
    pub(super) fn complete(&mut self, buffer_end: usize) {
        self.commands.push(Command { spans_end: self.spans.len(), buffer_end, inline: None });
    }

    pub(super) fn complete_inline(&mut self, argv: OwnedArgv, buffer_end: usize) {
        let inline = Some(self.inline.len());
        self.inline.push(argv);
        self.commands.push(Command { spans_end: self.spans.len(), buffer_end, inline });
    }

    /// The arguments noted since the last complete command.
    pub(super) fn incomplete(&self) -> &[Span] {
        let complete = self.commands.last().map_or(0, |command| command.spans_end);
        &self.spans[complete..]
    }

    /// The arguments of command `index`. `buffer` is what it was decoded from.
    #[inline]
    pub fn command<'a>(&'a self, buffer: &'a [u8], index: usize) -> Argv<'a> {
        let command = self.commands[index];
        if let Some(inline) = command.inline {
            return self.inline[inline].view();
        }
        let start = match index.checked_sub(1) {
            Some(previous) => self.commands[previous].spans_end,
            None => 0,
        };
        Argv::over(buffer, &self.spans[start..command.spans_end])
    }

    /// How many bytes of the buffer the first `count` commands took.
    #[inline]
    pub fn bytes_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.commands[last].buffer_end)
    }
}
