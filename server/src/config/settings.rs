//! The configuration as plain typed fields: what the server reads. A new value is made whenever a
//! directive changes, so that it is always one consistent set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::directives;
use super::value::{OutputLimit, SavePoint, Value};
use crate::log;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    // Connections.
    pub port: u16,
    pub bind: Vec<Bind>,
    pub unix_socket: Option<PathBuf>,
    /// `None` leaves the socket file's mode to the umask.
    pub unix_socket_mode: Option<u32>,
    pub tcp_backlog: u32,
    /// Zero turns keep-alive probes off.
    pub tcp_keepalive: Duration,
    /// An idle client is closed after this long; zero means never.
    pub timeout: Duration,
    pub max_clients: usize,
    pub max_bulk_len: usize,
    pub max_query_buffer_len: usize,
    pub normal_output_limit: OutputLimit,
    pub replica_output_limit: OutputLimit,
    pub pubsub_output_limit: OutputLimit,
    /// How many threads `io-threads` asks for; 1 is the default and asks for nothing special.
    pub io_threads: usize,
    // Who may do what.
    /// Empty: no password.
    pub require_pass: Vec<u8>,
    pub protected_mode: bool,
    pub debug_command: Allowed,
    pub protected_configs: Allowed,
    // The data.
    pub databases: usize,
    /// Bytes; zero means no limit.
    pub max_memory: u64,
    pub max_memory_policy: &'static str,
    pub hz: u32,
    /// Keys do not expire, so that another server's data can be brought in as it is.
    pub import_mode: bool,
    /// 1 to 10.
    pub active_expire_effort: u32,
    pub lazy: LazyFree,
    pub notify_keyspace_events: u32,
    pub encodings: Encodings,
    // The process.
    pub dir: PathBuf,
    pub pid_file: Option<PathBuf>,
    pub daemonize: bool,
    pub supervised: Supervised,
    pub set_proc_title: bool,
    pub proc_title_template: Vec<u8>,
    pub shutdown_on_sigint: ShutdownFlags,
    pub shutdown_on_sigterm: ShutdownFlags,
    pub busy_reply_threshold: Duration,
    // What it tells.
    pub log: log::Settings,
    pub hide_user_data_from_log: bool,
    /// Empty: HELLO does not tell one.
    pub availability_zone: Vec<u8>,
    /// Microseconds; negative turns the log off, zero logs every command.
    pub slowlog_slower_than_us: i64,
    pub slowlog_max_len: usize,
    pub latency_tracking: bool,
    pub latency_percentiles: Vec<f64>,
    // Persistence.
    pub save: Vec<SavePoint>,
    pub append_only: bool,
}

/// One address of `bind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// `*` is every IPv4 address, `::*` every IPv6 address; else an address or a host name.
    pub host: String,
    /// Written with a leading `-`: no error when the machine does not have it.
    pub optional: bool,
}

impl Bind {
    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        match text.strip_prefix('-') {
            Some(host) => Self { host: host.to_owned(), optional: true },
            None => Self { host: text.into_owned(), optional: false },
        }
    }

    /// The address, unless it is a name that has to be resolved.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host.as_str() {
            "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
            "::*" => Some(Ipv6Addr::UNSPECIFIED.into()),
            host => host.parse().ok(),
        }
    }
}

/// Who may use a command or directive that can do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    No,
    Yes,
    /// Clients on the loopback interface or the unix socket.
    Local,
}

impl Allowed {
    pub fn permits(self, client_is_local: bool) -> bool {
        match self {
            Allowed::No => false,
            Allowed::Yes => true,
            Allowed::Local => client_is_local,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervised {
    No,
    Systemd,
    Upstart,
    /// By the environment: `NOTIFY_SOCKET` or `UPSTART_JOB`.
    Auto,
}

/// Which deletions free their memory in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LazyFree {
    pub eviction: bool,
    pub expire: bool,
    pub server_del: bool,
    pub user_del: bool,
    pub user_flush: bool,
}

/// Up to which size collections keep their compact encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encodings {
    pub hash_max_listpack_entries: usize,
    pub hash_max_listpack_value: usize,
    /// Positive: elements of a node. -1 to -5: 4, 8, 16, 32, 64 KiB.
    pub list_max_listpack_size: i32,
    pub list_compress_depth: usize,
    pub set_max_intset_entries: usize,
    pub set_max_listpack_entries: usize,
    pub set_max_listpack_value: usize,
    pub zset_max_listpack_entries: usize,
    pub zset_max_listpack_value: usize,
    pub hll_sparse_max_bytes: usize,
    pub stream_node_max_bytes: usize,
    pub stream_node_max_entries: usize,
}

/// What a signal asks of the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownFlags {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}

impl Settings {
    pub(super) fn new(values: &[Value]) -> Self {
        let v = Values(values);
        let [normal_output_limit, replica_output_limit, pubsub_output_limit] = v.output_limits();
        Self {
            port: v.int("port"),
            bind: v.list("bind").iter().map(|text| Bind::parse(text)).collect(),
            unix_socket: v.path("unixsocket"),
            unix_socket_mode: Some(v.int("unixsocketperm")).filter(|mode| *mode != 0),
            tcp_backlog: v.int("tcp-backlog"),
            tcp_keepalive: Duration::from_secs(v.int("tcp-keepalive")),
            timeout: Duration::from_secs(v.int("timeout")),
            max_clients: v.int("maxclients"),
            max_bulk_len: v.int("proto-max-bulk-len"),
            max_query_buffer_len: v.int("client-query-buffer-limit"),
            normal_output_limit,
            replica_output_limit,
            pubsub_output_limit,
            io_threads: v.int("io-threads"),
            require_pass: v.text("requirepass").to_vec(),
            protected_mode: v.bool("protected-mode"),
            debug_command: v.allowed("enable-debug-command"),
            protected_configs: v.allowed("enable-protected-configs"),
            databases: v.int("databases"),
            max_memory: v.int("maxmemory"),
            max_memory_policy: v.policy(),
            hz: v.int("hz"),
            import_mode: v.bool("import-mode"),
            active_expire_effort: v.int("active-expire-effort"),
            lazy: LazyFree {
                eviction: v.bool("lazyfree-lazy-eviction"),
                expire: v.bool("lazyfree-lazy-expire"),
                server_del: v.bool("lazyfree-lazy-server-del"),
                user_del: v.bool("lazyfree-lazy-user-del"),
                user_flush: v.bool("lazyfree-lazy-user-flush"),
            },
            notify_keyspace_events: v.events(),
            encodings: Encodings {
                hash_max_listpack_entries: v.int("hash-max-listpack-entries"),
                hash_max_listpack_value: v.int("hash-max-listpack-value"),
                list_max_listpack_size: v.int("list-max-listpack-size"),
                list_compress_depth: v.int("list-compress-depth"),
                set_max_intset_entries: v.int("set-max-intset-entries"),
                set_max_listpack_entries: v.int("set-max-listpack-entries"),
                set_max_listpack_value: v.int("set-max-listpack-value"),
                zset_max_listpack_entries: v.int("zset-max-listpack-entries"),
                zset_max_listpack_value: v.int("zset-max-listpack-value"),
                hll_sparse_max_bytes: v.int("hll-sparse-max-bytes"),
                stream_node_max_bytes: v.int("stream-node-max-bytes"),
                stream_node_max_entries: v.int("stream-node-max-entries"),
            },
            dir: v.path("dir").unwrap_or_default(),
            pid_file: v.path("pidfile"),
            daemonize: v.bool("daemonize"),
            supervised: v.supervised(),
            set_proc_title: v.bool("set-proc-title"),
            proc_title_template: v.text("proc-title-template").to_vec(),
            shutdown_on_sigint: v.shutdown_flags("shutdown-on-sigint"),
            shutdown_on_sigterm: v.shutdown_flags("shutdown-on-sigterm"),
            busy_reply_threshold: Duration::from_millis(v.int("busy-reply-threshold")),
            log: v.log(),
            hide_user_data_from_log: v.bool("hide-user-data-from-log"),
            availability_zone: v.text("availability-zone").to_vec(),
            slowlog_slower_than_us: v.int("commandlog-execution-slower-than"),
            slowlog_max_len: v.int("commandlog-slow-execution-max-len"),
            latency_tracking: v.bool("latency-tracking"),
            latency_percentiles: v.percentiles(),
            save: v.save_points(),
            append_only: v.bool("appendonly"),
        }
    }
}

/// Reads values by name. Every name and kind here is a fact of the table, so that a mistake
/// shows in the first test that makes a [`Settings`].
struct Values<'a>(&'a [Value]);

const KIND: &str = "the table gives the directive this kind";

impl Values<'_> {
    fn get(&self, name: &str) -> &Value {
        let (_, id) = directives::find(name.as_bytes()).expect("the directive is in the table");
        &self.0[id.index()]
    }

    fn bool(&self, name: &str) -> bool {
        let Value::Bool(value) = self.get(name) else { panic!("{name}: {KIND}") };
        *value
    }

    fn int<T: TryFrom<i128>>(&self, name: &str) -> T {
        let Value::Int(value) = self.get(name) else { panic!("{name}: {KIND}") };
        T::try_from(*value).ok().expect("the table bounds the value")
    }

    fn choice(&self, name: &str) -> i64 {
        let Value::Choice(value) = self.get(name) else { panic!("{name}: {KIND}") };
        *value
    }

    fn text(&self, name: &str) -> &[u8] {
        let Value::Text(value) = self.get(name) else { panic!("{name}: {KIND}") };
        value
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let text = self.text(name);
        (!text.is_empty()).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(text)))
    }

    fn list(&self, name: &str) -> &[Vec<u8>] {
        let Value::List(value) = self.get(name) else { panic!("{name}: {KIND}") };
        value
    }

    fn output_limits(&self) -> [OutputLimit; 3] {
        let Value::OutputLimits(limits) = self.get("client-output-buffer-limit") else {
            panic!("{KIND}");
        };
        *limits
    }

    fn save_points(&self) -> Vec<SavePoint> {
        let Value::Save(points) = self.get("save") else { panic!("{KIND}") };
        points.clone()
    }

    fn percentiles(&self) -> Vec<f64> {
        let Value::Percentiles(list) = self.get("latency-tracking-info-percentiles") else {
            panic!("{KIND}");
        };
        list.clone()
    }

    fn events(&self) -> u32 {
        let Value::Events(flags) = self.get("notify-keyspace-events") else { panic!("{KIND}") };
        *flags
    }

    fn allowed(&self, name: &str) -> Allowed {
        match self.choice(name) {
            directives::PROTECTED_YES => Allowed::Yes,
            directives::PROTECTED_LOCAL => Allowed::Local,
            _ => Allowed::No,
        }
    }

    fn policy(&self) -> &'static str {
        let policy = self.choice("maxmemory-policy");
        let named = directives::MAXMEMORY_POLICY.iter().find(|(_, value)| *value == policy);
        named.map_or("noeviction", |(name, _)| name)
    }

    fn supervised(&self) -> Supervised {
        match self.choice("supervised") {
            directives::SUPERVISED_SYSTEMD => Supervised::Systemd,
            directives::SUPERVISED_UPSTART => Supervised::Upstart,
            directives::SUPERVISED_AUTO => Supervised::Auto,
            _ => Supervised::No,
        }
    }

    fn shutdown_flags(&self, name: &str) -> ShutdownFlags {
        let flags = self.choice(name);
        ShutdownFlags {
            save: flags & directives::SHUTDOWN_SAVE != 0,
            nosave: flags & directives::SHUTDOWN_NOSAVE != 0,
            now: flags & directives::SHUTDOWN_NOW != 0,
            force: flags & directives::SHUTDOWN_FORCE != 0,
        }
    }

    fn log(&self) -> log::Settings {
        log::Settings {
            level: match self.choice("loglevel") {
                directives::LEVEL_DEBUG => log::Level::Debug,
                directives::LEVEL_VERBOSE => log::Level::Verbose,
                directives::LEVEL_WARNING => log::Level::Warning,
                directives::LEVEL_NOTHING => log::Level::Nothing,
                _ => log::Level::Notice,
            },
            file: self.path("logfile"),
            format: match self.choice("log-format") {
                directives::FORMAT_LOGFMT => log::Format::Logfmt,
                directives::FORMAT_JSON => log::Format::Json,
                _ => log::Format::Legacy,
            },
            timestamp: match self.choice("log-timestamp-format") {
                directives::TIMESTAMP_ISO8601 => log::Timestamp::Iso8601,
                directives::TIMESTAMP_MILLISECONDS => log::Timestamp::Milliseconds,
                _ => log::Timestamp::Legacy,
            },
            syslog: self.bool("syslog-enabled").then(|| log::Syslog {
                ident: String::from_utf8_lossy(self.text("syslog-ident")).into_owned(),
                facility: u8::try_from(self.choice("syslog-facility")).expect(KIND),
            }),
        }
    }
}
