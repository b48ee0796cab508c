//! Where things are in the shipped image.

pub const SERVER: &str = "/usr/bin/holdfast-server";
pub const AGENT: &str = "/usr/bin/holdfast-agent";
pub const CONFIG: &str = "/etc/holdfast/holdfast.toml";
pub const DATA: &str = "/data";
pub const MODULES: &str = "/usr/lib/holdfast/modules";

/// The agent's status socket. The second place serves containers with a read-only root, where
/// `/dev/shm` is the one tmpfs that every runtime mounts.
pub const STATUS_SOCKETS: [&str; 2] = ["/run/holdfast/agent.sock", "/dev/shm/holdfast-agent.sock"];

/// Tells the agent that its standard input is the channel to init.
pub const CHANNEL_ENV: &str = "HOLDFAST_CHANNEL";
pub const CHANNEL_VALUE: &str = "stdin";

/// Owner of the data and of every service that needs no privilege (`redis` in /etc/passwd).
pub const SERVICE_UID: u32 = 999;
pub const SERVICE_GID: u32 = 999;
