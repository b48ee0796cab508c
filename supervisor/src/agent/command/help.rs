//! The manual: an overview made of the list of verbs, and a page for each.

use super::{VERBS, Verb, program};

pub(super) fn overview() -> String {
    let name = program();
    let mut text =
        format!("{name}: asks and tells about the services of a Holdfast machine or container\n\n");
    for verb in VERBS {
        text += &format!("  {name} {:<14} {}\n", verb.name, verb.says);
    }
    text += &format!("\n  {name} COMMAND --help    tells all of a command\n  {name} --version\n\n");
    text + EXITS
}

pub(super) fn of(verb: &Verb) -> String {
    format!("{} {} {}", program(), verb.name, verb.help)
}

const EXITS: &str = "\
Exit status: 0 done; 1 not done, with a sentence why; 2 there is no agent to ask;
64 the command line is wrong; 78 holdfast.toml is wrong.
Commands that change something need root, or the agent's own user or group.
";

pub(super) const STATUS: &str = "\
[--json] [--ready] [--socket PATH | --connect ADDR:PORT]

What runs, since when, how often it was restarted and why, the state of backups, and
every guarantee that this machine cannot give, one `degraded:` line each.

  --json            the same for programs; the fields are in the supervisor's README
  --ready           prints nothing: exit status 0 when the server answers PING, else 1
  --connect A:P     asks another machine's status port (`[status] listen`)
  --socket PATH     asks there instead of at the agent's usual socket

Nobody to ask: exit status 2.
";

pub(super) const DOCTOR: &str = "\
[--json] [--socket PATH]

Checks what a person would check, one line each: `ok`, `warn` or `fail`, what was seen,
and what to do about it. It looks at services and their last exits, the configuration,
the server's persistence and memory, backups, certificates, disk space and health, the
machine's memory, clock, network and watchdog, and everything `status` calls degraded.
It changes nothing, and works without an agent as far as it can.

Exit status: 0 all is well; 1 there is a warning; 2 something fails.
";

pub(super) const START: &str = "\
SERVICE [--timeout SECONDS]

Starts a service that is down or was given up, and waits until it is ready: at most 60 s,
or as told. Exit status 1 with the reason when it ends before, or is not ready in time
(it is not stopped then). One that is ready already is left alone.
The services are `server` and `agent`.
";

pub(super) const STOP: &str = "\
SERVICE [--timeout SECONDS]

Asks a service to end, and waits until it is down; what does not end within its
`stop_grace_ms` is killed. It stays down until it is started, or the machine is.
The agent cannot be stopped: it is who answers.
";

pub(super) const RESTART: &str = "\
SERVICE [--timeout SECONDS]

Ends a service, starts it again, and waits until the new process is ready: at most 60 s,
or as told. Sockets that the server listens on stay open, so nobody is refused meanwhile.
";

pub(super) const RELOAD: &str = "\
[--socket PATH]

Reads holdfast.toml again: on a machine /data/holdfast/holdfast.toml where there is one,
else /etc/holdfast/holdfast.toml. A file with mistakes is refused: each is told
with line and column, the configuration that runs stays, and the exit status is 1.
What only a new process can have takes effect with the service's next start; `status`
says for which service that is so.
";

pub(super) const LOGS: &str = "\
[SERVICE] [-n N] [-f] [--socket PATH]

The newest lines that a service has written, the oldest of them first; without a name
those of all services and of init, each with the name of who wrote it. `init` is a name.

  -n N              so many lines; without it 100
  -f                and those that come, until it is interrupted
";

pub(super) const BACKUP: &str = "\
[--to FILE|DIRECTORY] [--list]

Has the server save, copies its file, syncs it, reads it back from the disk, and compares:
only then does the copy get its name. Beside it lies NAME.json with SHA-256, length and
number of keys. The oldest beyond `[backup] keep` go, never the last good one.

  --to PLACE        a copy there, made with your own rights, instead of one in the
                    directory of backups; nothing is deleted
  --list            what backups there are, the oldest first

`[backup]` of holdfast.toml makes them on a schedule. When the last one failed, `status`
says so as `backup-failed` for as long as no other has succeeded.
";

pub(super) const VERIFY: &str = "\
FILE

Reads a backup, or any dump.rdb, from end to end: its shape, its checksum, its number of
keys, the SHA-256 beside it where there is one; then has the server's own checker look
into every value. Needs no agent. Exit status 0 when the file is good.
";

pub(super) const RESTORE: &str = "\
FILE

Puts a backup, or any dump.rdb, in the place of the present data:

  1. the file is verified, and copied next to the data; until here nothing changes
  2. the server is stopped, its data set aside as NAME.before-restore-TIME, the copy put
     in its place (with `appendonly yes` as the base of a new log), the server started
  3. the server says how many keys it has loaded; when they are not the file's, it is
     stopped again and the data of before comes back

The data set aside is never deleted: that is for you, when you are content. An
interruption, even of the power, leaves the data of before or the backup, never half.
";

pub(super) const UPDATE: &str = "\
FILE
       key KEY ID

Updates a machine to another version, made by `cargo image update`: from a file of the
machine's, or from a key of its server (put there by `redis-cli -x SET KEY < FILE`), which
must hold the update with that ID.

  1. the update is read from end to end; a damaged one, one for another board and one that
     is too large are refused, and nothing is changed
  2. it is written to the slot that does not run, read back and compared
  3. the machine reboots and tries it, once. It is kept when the server has answered, been ready
     for `[update] stable_ms` on end and stored something; otherwise, within `[update]
     deadline_ms`, the machine is back in the slot it came from, and `status` says why

A cut of the power at any moment leaves a version that starts. An older version is taken
like a newer one. Needs UEFI firmware that keeps its variables, and a disk made by
`cargo image disk`. Updates are not signed yet: the ID is what names one.
";

pub(super) const CERTS: &str = "\
[status | renew | new-authority --yes] [--socket PATH]
       check DIRECTORY | --cert FILE --key FILE [--ca FILE] [--name NAME]...

What certificates are served, from whom and until when; `renew` makes new ones now.
`new-authority` replaces this machine's own authority, which may sign only for the names
it was made with: for other names, or when its key was seen. The old one's files stay as
ca.crt.previous and ca.key.previous; no client trusts this machine, and none of its client
certificates is taken, before it is given the new ones.
`check` judges a certificate, its key and its authority as `[tls]` does before it takes
them (server.crt, server.key and ca.crt of a directory, or files), and needs no agent:
exit status 0 when they are good, else 1 and a sentence for each fault.
";

pub(super) const CONFIG: &str = "\
[put FILE | reset] [--socket PATH]

Shows the holdfast.toml that counts. On a machine:

  put FILE          takes that file (- is standard input) for /data/holdfast/holdfast.toml,
                    which counts instead of the image's, and reads it. One with mistakes
                    changes nothing: each is told with line and column
  reset             removes it: the image's counts again

In a container the file is mounted over the image's, from outside.
";

pub(super) const CHECK: &str = "\
[FILE]

Reads a holdfast.toml and reports every mistake as FILE:LINE:COLUMN: TEXT, with the line
it is in. Exit status 0 when there is none, else 78. Default: /etc/holdfast/holdfast.toml
";

pub(super) const HEALTHCHECK: &str = "\
[--port N] [--socket PATH] [--timeout-ms N]

Asks the server itself, needs no running agent. Without an option it finds out where the
server listens. Exit status 0 when it answers PING, also when it wants a password first;
else 1 and a sentence.
";

pub(super) const REBOOT: &str = "\
[--socket PATH]

Stops every service in order, syncs, and reboots. In a container it ends the container:
whether it comes back is its runtime's business.
";

pub(super) const POWEROFF: &str = "\
[--socket PATH]

Stops every service in order, syncs, and switches the machine off, or ends the container.
";

pub(super) const FACTORY_RESET: &str = "\
--yes

Reboots, and begins anew with an empty /data: all data, backups and certificates are gone,
with the certificate authority that clients may trust. Copy a backup elsewhere first
(`backup --to`). Refused in a container, whose volume is deleted from outside.
";

pub(super) const RUN: &str = "\
— for holdfast-init to start, with its channel as standard input.
";
