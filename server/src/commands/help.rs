//! `… HELP` of a container command, written from the table.

use super::Id;
use crate::engine::Call;
use crate::error::Result;

/// Answers with one line per subcommand and one for what it does.
pub(super) fn of_container(call: &mut Call<'_>) -> Result {
    let container = call.id.entry().parent.unwrap_or(call.id).entry();
    let mut subcommands: Vec<Id> = container.subcommands.clone();
    subcommands.retain(|id| id.entry().command.name != "help");
    subcommands.sort_by_cached_key(|id| id.entry().command.name);
    let mut lines = Vec::new();
    for id in subcommands {
        let command = id.entry().command;
        let head = format!("{} {}", command.name.to_ascii_uppercase(), command.syntax);
        lines.push(head.trim_end().to_owned());
        lines.push(format!("    {}", command.summary));
    }
    call.reply.help(&container.command.name.to_ascii_uppercase(), &lines);
    Ok(())
}
