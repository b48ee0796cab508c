//! Where things are in the shipped image.

pub const SERVER: &str = "/usr/bin/holdfast-server";
pub const AGENT: &str = "/usr/bin/holdfast-agent";
pub const CONFIG: &str = "/etc/holdfast/holdfast.toml";
/// On a machine: in the place of the image's where it is there, and left alone by whatever replaces
/// the image.
pub const SITE_CONFIG: &str = "/data/holdfast/holdfast.toml";
pub const DATA: &str = "/data";
pub const MODULES: &str = "/usr/lib/holdfast/modules";

/// The agent's status socket. The second place serves containers with a read-only root, where
/// `/dev/shm` is the one tmpfs that every runtime mounts.
pub const STATUS_SOCKETS: [&str; 2] = ["/run/holdfast/agent.sock", "/dev/shm/holdfast-agent.sock"];

/// Tells the agent that its standard input is the channel to init.
pub const CHANNEL_ENV: &str = "HOLDFAST_CHANNEL";
pub const CHANNEL_VALUE: &str = "stdin";

/// What the agent keeps on the data partition: certificates, backups, logs, the last lease.
pub const STATE: &str = "/data/holdfast";

/// Where the server answers those who look after it, and nobody else; second place as above.
pub const ADMIN_SOCKETS: [&str; 2] = ["/run/holdfast/server.sock", "/dev/shm/holdfast-server.sock"];
/// Tells server and agent which of the two.
pub const ADMIN_ENV: &str = "HOLDFAST_ADMIN";

/// Owner of the data and of every service that needs no privilege (`redis` in /etc/passwd).
pub const SERVICE_UID: u32 = 999;
pub const SERVICE_GID: u32 = 999;
/// The agent's user on a machine (`holdfast` in /etc/passwd); in a container it is the service's.
pub const AGENT_UID: u32 = 998;
pub const AGENT_GID: u32 = 998;
