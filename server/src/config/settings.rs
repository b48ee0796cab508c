//! The configuration as plain typed fields: what the server reads. A new value is made whenever a
//! directive changes, so that it is always one consistent set.

mod tls;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::directives;
use super::eviction::Eviction;
use super::notify::Class;
use super::value::{OutputLimit, SavePoint, Value};
use crate::log;
use crate::types::{hash, set, sorted_set};

pub use tls::{AuthClients, AuthUser, Identity, Tls};

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
    /// Of replicas, and of whoever uses MONITOR.
    pub replica_output_limit: OutputLimit,
    pub pubsub_output_limit: OutputLimit,
    pub tls: Tls,
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
    pub eviction: Eviction,
    pub max_memory_samples: usize,
    /// Bytes; below zero a percentage of `maxmemory`; zero means no limit.
    pub max_memory_clients: i64,
    pub lfu_log_factor: u64,
    /// `lfu-decay-time`: minutes for one step down; zero never.
    pub lfu_decay_minutes: u32,
    /// `tracking-table-max-keys`; zero means no limit.
    pub tracking_max_keys: usize,
    pub hz: u32,
    pub sorted_set_limits: sorted_set::Limits,
    /// How big a listpack of a list grows: elements, or -1 to -5 for 4 to 64 KiB.
    pub list_max_listpack_size: i64,
    /// Nodes at each end of a list that are not compressed; zero if none is.
    pub list_compress_depth: i64,
    pub hash_limits: hash::Limits,
    pub set_limits: set::Limits,
    /// Keys do not expire, so that another server's data can be brought in as it is.
    pub import_mode: bool,
    /// A sparse HyperLogLog longer than this becomes dense.
    pub hll_sparse_max_bytes: usize,
    /// Bytes of a stream's node; zero means no limit.
    pub stream_node_max_bytes: usize,
    /// Entries of a stream's node; zero means no limit.
    pub stream_node_max_entries: u64,
    // The process.
    pub dir: PathBuf,
    pub pid_file: Option<PathBuf>,
    pub daemonize: bool,
    pub supervised: Supervised,
    pub shutdown_on_term: ShutDown,
    pub shutdown_on_int: ShutDown,
    pub oom_score: OomWish,
    // What it tells.
    pub log: log::Settings,
    /// `notify-keyspace-events`: the classes that are told of; none where they are told neither
    /// by key nor by event.
    pub keyspace_events: Class,
    pub command_log: CommandLog,
    /// Zero: the latency monitor is off.
    pub latency_threshold_ms: u64,
    pub latency_tracking: bool,
    /// Percentiles that INFO tells.
    pub latency_percentiles: Vec<f64>,
    /// The least time that a log of slow commands or the latency monitor asks for.
    pub alert_us: u64,
    /// Empty: HELLO does not tell one.
    pub availability_zone: Vec<u8>,
    /// Whether evicted keys, and expired ones, are logged as UNLINK instead of DEL.
    pub lazy_eviction: bool,
    pub lazy_expiry: bool,
    pub rdb: Rdb,
    pub aof: Aof,
}

/// What a signal that ends the server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutDown {
    /// `None`: saves if there are save points.
    pub save: Option<bool>,
    /// Ends even if what is to be done before fails.
    pub force: bool,
}

/// RDB files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rdb {
    /// When the data is saved by itself.
    pub save: Vec<SavePoint>,
    /// In the working directory.
    pub filename: PathBuf,
    pub compress: bool,
    /// Whether files are written with a checksum, and their checksums looked at.
    pub checksum: bool,
    /// `rdb-version-check relaxed`: values of any version are read as far as they are understood.
    pub any_version: bool,
    /// A file is synced while it is written, not all at the end.
    pub sync_as_written: bool,
    /// Writes are refused after a save that failed.
    pub stop_writes_on_error: bool,
    /// `rdb-key-save-delay`, in microseconds; below zero, that many keys a microsecond. For tests.
    pub key_delay_us: i64,
    /// `key-load-delay`, likewise.
    pub key_load_delay_us: i64,
}

/// The append-only file.
#[derive(Debug, Clone, PartialEq)]
pub struct Aof {
    pub is_on: bool,
    pub filename: String,
    /// In the working directory.
    pub dir: PathBuf,
    pub fsync: Fsync,
    /// Growth over what the last rewrite left that has the log written anew; zero: never.
    pub rewrite_percentage: u64,
    pub rewrite_min_bytes: u64,
    /// `aof-max-size`: the log's files never take more than about this; zero: no limit.
    pub max_bytes: u64,
    /// A log whose end is missing is loaded as far as it goes.
    pub load_truncated: bool,
    /// A log that is written anew begins with an RDB file.
    pub rdb_preamble: bool,
    /// The log tells when it was written.
    pub timestamps: bool,
    pub sync_as_written: bool,
    /// What a rewrite made superfluous stays. For tests.
    pub keep_history: bool,
}

/// `appendfsync`: when what was logged is made durable.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before the reply to the command.
    Always,
    /// At least every second.
    #[default]
    EverySec,
    /// When the operating system pleases.
    No,
}

/// What goes into the command logs.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandLog {
    /// By [`LogKind`](crate::engine::LogKind).
    pub limits: [LogLimits; 3],
    /// A command whose request and reply are both shorter is in neither log of large ones.
    pub large_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// The least time or length that is logged; `None`: nothing is.
    pub threshold: Option<u64>,
    /// Entries kept.
    pub max_len: usize,
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

/// As it was written.
impl std::fmt::Display for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.optional { "-" } else { "" }, self.host)
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

/// `oom-score-adj` with the value of `oom-score-adj-values` for a server like this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OomWish {
    /// As whoever started us has set it.
    #[default]
    Untouched,
    Absolute(i32),
    /// Added to what whoever started us has set.
    Relative(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervised {
    No,
    Systemd,
    Upstart,
    /// By the environment: `NOTIFY_SOCKET` or `UPSTART_JOB`.
    Auto,
}

impl Settings {
    pub(super) fn new(values: &[Value]) -> Self {
        let v = Values(values);
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
            normal_output_limit: v.output_limits()[0],
            replica_output_limit: v.output_limits()[1],
            pubsub_output_limit: v.output_limits()[2],
            tls: Tls::new(&v),
            io_threads: v.int("io-threads"),
            require_pass: v.text("requirepass").to_vec(),
            protected_mode: v.bool("protected-mode"),
            debug_command: v.allowed("enable-debug-command"),
            protected_configs: v.allowed("enable-protected-configs"),
            databases: v.int("databases"),
            max_memory: v.int("maxmemory"),
            eviction: Eviction::of_choice(v.choice("maxmemory-policy")),
            max_memory_samples: v.int("maxmemory-samples"),
            max_memory_clients: v.int("maxmemory-clients"),
            lfu_log_factor: v.int("lfu-log-factor"),
            lfu_decay_minutes: v.int("lfu-decay-time"),
            tracking_max_keys: v.int("tracking-table-max-keys"),
            hz: v.int("hz"),
            sorted_set_limits: sorted_set::Limits {
                max_entries: v.int("zset-max-listpack-entries"),
                max_member_len: v.int("zset-max-listpack-value"),
            },
            list_max_listpack_size: v.int("list-max-listpack-size"),
            list_compress_depth: v.int("list-compress-depth"),
            hash_limits: hash::Limits {
                listpack_entries: v.int("hash-max-listpack-entries"),
                listpack_value: v.int("hash-max-listpack-value"),
            },
            set_limits: set::Limits {
                intset_entries: v.int("set-max-intset-entries"),
                listpack_entries: v.int("set-max-listpack-entries"),
                listpack_value: v.int("set-max-listpack-value"),
            },
            import_mode: v.bool("import-mode"),
            hll_sparse_max_bytes: v.int("hll-sparse-max-bytes"),
            stream_node_max_bytes: v.int("stream-node-max-bytes"),
            stream_node_max_entries: v.int("stream-node-max-entries"),
            dir: v.path("dir").unwrap_or_default(),
            pid_file: v.path("pidfile"),
            daemonize: v.bool("daemonize"),
            supervised: v.supervised(),
            shutdown_on_term: v.shut_down("shutdown-on-sigterm"),
            shutdown_on_int: v.shut_down("shutdown-on-sigint"),
            oom_score: v.oom_score(),
            log: v.log(),
            keyspace_events: v.events(),
            command_log: v.command_log(),
            latency_threshold_ms: v.int("latency-monitor-threshold"),
            latency_tracking: v.bool("latency-tracking"),
            latency_percentiles: v.percentiles(),
            alert_us: v.alert_us(),
            availability_zone: v.text("availability-zone").to_vec(),
            lazy_eviction: v.bool("lazyfree-lazy-eviction"),
            lazy_expiry: v.bool("lazyfree-lazy-expire"),
            rdb: Rdb {
                save: v.save_points(),
                filename: v.path("dbfilename").unwrap_or_default(),
                compress: v.bool("rdbcompression"),
                checksum: v.bool("rdbchecksum"),
                any_version: v.choice("rdb-version-check") == directives::RDB_VERSION_RELAXED,
                sync_as_written: v.bool("rdb-save-incremental-fsync"),
                stop_writes_on_error: v.bool("stop-writes-on-bgsave-error"),
                key_delay_us: v.int("rdb-key-save-delay"),
                key_load_delay_us: v.int("key-load-delay"),
            },
            aof: Aof {
                is_on: v.bool("appendonly"),
                filename: v.words("appendfilename"),
                dir: v.path("appenddirname").unwrap_or_default(),
                fsync: match v.choice("appendfsync") {
                    directives::FSYNC_ALWAYS => Fsync::Always,
                    directives::FSYNC_EVERYSEC => Fsync::EverySec,
                    _ => Fsync::No,
                },
                rewrite_percentage: v.int("auto-aof-rewrite-percentage"),
                rewrite_min_bytes: v.int("auto-aof-rewrite-min-size"),
                max_bytes: v.int("aof-max-size"),
                load_truncated: v.bool("aof-load-truncated"),
                rdb_preamble: v.bool("aof-use-rdb-preamble"),
                timestamps: v.bool("aof-timestamp-enabled"),
                sync_as_written: v.bool("aof-rewrite-incremental-fsync"),
                keep_history: v.bool("aof-disable-auto-gc"),
            },
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

    fn words(&self, name: &str) -> String {
        String::from_utf8_lossy(self.text(name)).into_owned()
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

    /// For normal clients, replicas, subscribers.
    fn output_limits(&self) -> [OutputLimit; 3] {
        let name = "client-output-buffer-limit";
        let Value::OutputLimits(limits) = self.get(name) else { panic!("{name}: {KIND}") };
        *limits
    }

    fn events(&self) -> Class {
        let name = "notify-keyspace-events";
        let Value::Events(classes) = self.get(name) else { panic!("{name}: {KIND}") };
        *classes
    }

    fn log_limits(&self, threshold: &str, max_len: &str) -> LogLimits {
        let threshold = u64::try_from(self.int::<i64>(threshold)).ok();
        LogLimits { threshold, max_len: self.int(max_len) }
    }

    fn command_log(&self) -> CommandLog {
        let limits = [
            ("commandlog-execution-slower-than", "commandlog-slow-execution-max-len"),
            ("commandlog-request-larger-than", "commandlog-large-request-max-len"),
            ("commandlog-reply-larger-than", "commandlog-large-reply-max-len"),
        ];
        let limits = limits.map(|(threshold, max_len)| self.log_limits(threshold, max_len));
        let large = limits[1..].iter().filter_map(|limits| limits.threshold);
        CommandLog { limits, large_bytes: large.min().unwrap_or(u64::MAX) }
    }

    fn alert_us(&self) -> u64 {
        let [slow, ..] = self.command_log().limits;
        let latency_ms = Some(self.int("latency-monitor-threshold")).filter(|ms: &u64| *ms > 0);
        let latency_us = latency_ms.map(|ms| ms.saturating_mul(1000));
        slow.threshold.into_iter().chain(latency_us).min().unwrap_or(u64::MAX)
    }

    fn percentiles(&self) -> Vec<f64> {
        let name = "latency-tracking-info-percentiles";
        let Value::Percentiles(list) = self.get(name) else { panic!("{name}: {KIND}") };
        list.clone()
    }

    fn save_points(&self) -> Vec<SavePoint> {
        let Value::Save(points) = self.get("save") else { panic!("{KIND}") };
        points.clone()
    }

    fn allowed(&self, name: &str) -> Allowed {
        match self.choice(name) {
            directives::PROTECTED_YES => Allowed::Yes,
            directives::PROTECTED_LOCAL => Allowed::Local,
            _ => Allowed::No,
        }
    }

    fn shut_down(&self, name: &str) -> ShutDown {
        let has = |flag: i64| self.choice(name) & flag != 0;
        let save = match (has(directives::SHUTDOWN_SAVE), has(directives::SHUTDOWN_NOSAVE)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        ShutDown { save, force: has(directives::SHUTDOWN_FORCE) }
    }

    /// The first value is a primary's; the others are for replicas and forked children.
    fn oom_score(&self) -> OomWish {
        let Value::OomScores([score, ..]) = *self.get("oom-score-adj-values") else {
            panic!("{KIND}")
        };
        match self.choice("oom-score-adj") {
            directives::OOM_SCORE_RELATIVE => OomWish::Relative(score),
            directives::OOM_SCORE_ABSOLUTE => OomWish::Absolute(score),
            _ => OomWish::Untouched,
        }
    }

    fn supervised(&self) -> Supervised {
        match self.choice("supervised") {
            directives::SUPERVISED_SYSTEMD => Supervised::Systemd,
            directives::SUPERVISED_UPSTART => Supervised::Upstart,
            directives::SUPERVISED_AUTO => Supervised::Auto,
            _ => Supervised::No,
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
                ident: self.words("syslog-ident"),
                facility: u8::try_from(self.choice("syslog-facility")).expect(KIND),
            }),
        }
    }
}
