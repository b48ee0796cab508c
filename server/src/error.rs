//! Every error text a client can see, in one place. Texts are Redis' own, byte for byte.

use std::borrow::Cow;

/// An error reply without its leading `-`. The first word is the code clients act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    pub const fn text(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub fn owned(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the code, where it is the one that says nothing.
    pub fn bare(&self) -> &str {
        self.0.strip_prefix("ERR ").unwrap_or(&self.0)
    }

    /// The code that `INFO errorstats` counts by: the first word.
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or("ERR")
    }
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;

pub const SYNTAX: Error = Error::text("ERR syntax error");
/// What MONITOR and the command logs show in place of a secret.
pub const REDACTED: &[u8] = b"(redacted)";
pub const NOT_INTEGER: Error = Error::text("ERR value is not an integer or out of range");
pub const NOT_FLOAT: Error = Error::text("ERR value is not a valid float");
pub const TIMEOUT_NOT_FLOAT: Error = Error::text("ERR timeout is not a float or out of range");
pub const TIMEOUT_NOT_INTEGER: Error = Error::text("ERR timeout is not an integer or out of range");
pub const TIMEOUT_NEGATIVE: Error = Error::text("ERR timeout is negative");
pub const TIMEOUT_OUT_OF_RANGE: Error = Error::text("ERR timeout is out of range");
pub const UNBLOCKED: Error = Error::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
pub const OUT_OF_RANGE: Error = Error::text("ERR value is out of range");
pub const OFFSET_OUT_OF_RANGE: Error = Error::text("ERR offset is out of range");
pub const INDEX_OUT_OF_RANGE: Error = Error::text("ERR index out of range");
pub const OVERFLOW: Error = Error::text("ERR increment or decrement would overflow");
pub const DECREMENT_OVERFLOW: Error = Error::text("ERR decrement would overflow");
pub const NAN_OR_INFINITY: Error = Error::text("ERR increment would produce NaN or Infinity");
pub const WRONG_TYPE: Error =
    Error::text("WRONGTYPE Operation against a key holding the wrong kind of value");
pub const NO_SUCH_KEY: Error = Error::text("ERR no such key");
pub const BUSY_KEY: Error = Error::text("BUSYKEY Target key name already exists.");
pub const TARGET_UNREACHABLE: Error =
    Error::text("IOERR error or timeout connecting to the client");
pub const TARGET_TAKES_NOTHING: Error =
    Error::text("IOERR error or timeout writing to target instance");
pub const TARGET_SAYS_NOTHING: Error =
    Error::text("IOERR error or timeout reading to target instance");
pub const MIGRATE_KEY_BESIDE_KEYS: Error = Error::text(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
);
pub const INVALID_TTL: Error = Error::text("ERR Invalid TTL value, must be >= 0");
pub const INVALID_IDLETIME: Error = Error::text("ERR Invalid IDLETIME value, must be >= 0");
pub const INVALID_FREQ: Error = Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255");
pub const NO_HASH_TABLE: Error =
    Error::text("ERR The value stored at the specified key is not represented using an hash table");
pub const WRONG_PAYLOAD: Error = Error::text("ERR DUMP payload version or checksum are wrong");
pub const BAD_DATA_FORMAT: Error = Error::text("ERR Bad data format");
pub const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");
pub const STRING_TOO_LONG: Error =
    Error::text("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
pub const INVALID_NUMKEYS: Error = Error::text("ERR invalid numkeys value or out of range");
pub const NUMKEYS_NOT_POSITIVE: Error = Error::text("ERR numkeys should be greater than 0");
pub const POP_COUNT_NOT_POSITIVE: Error = Error::text("ERR count should be greater than 0");
pub const LPOS_COUNT_NEGATIVE: Error = Error::text("ERR COUNT can't be negative");
pub const LPOS_MAXLEN_NEGATIVE: Error = Error::text("ERR MAXLEN can't be negative");
pub const LPOS_RANK_ZERO: Error = Error::text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
);
pub const WRONG_PACKED_THRESHOLD: Error =
    Error::text("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
pub const NOT_BIT: Error = Error::text("ERR bit is not an integer or out of range");
pub const BIT_OFFSET: Error = Error::text("ERR bit offset is not an integer or out of range");
pub const BIT_NOT_0_OR_1: Error = Error::text("ERR The bit argument must be 1 or 0.");
pub const BITOP_NOT_TAKES_ONE: Error =
    Error::text("ERR BITOP NOT must be called with a single source key.");
pub const BITFIELD_TYPE: Error = Error::text(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
pub const BITFIELD_OVERFLOW: Error = Error::text("ERR Invalid OVERFLOW type specified");
pub const BITFIELD_RO_ONLY_GET: Error =
    Error::text("ERR BITFIELD_RO only supports the GET subcommand");
pub const NOT_HYPERLOGLOG: Error =
    Error::text("WRONGTYPE Key is not a valid HyperLogLog string value.");
pub const CORRUPT_HYPERLOGLOG: Error = Error::text("INVALIDOBJ Corrupted HLL object detected");
pub const NO_SUCH_HYPERLOGLOG: Error = Error::text("ERR The specified key does not exist");
pub const HYPERLOGLOG_NOT_SPARSE: Error = Error::text("ERR HLL encoding is not sparse");
pub const HYPERLOGLOG_DISAGREES: Error = Error::text("ERR TESTFAILED dense/sparse disagree");
pub const NOT_ON_OR_OFF: Error = Error::text("ERR Argument must be ON or OFF");
pub const LCS_NOT_STRINGS: Error = Error::text("ERR The specified keys must contain string values");
pub const LCS_AMBIGUOUS: Error =
    Error::text("ERR If you want both the length and indexes, please just use IDX.");
pub const LCS_TOO_LONG: Error =
    Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
pub const DB_INDEX_OUT_OF_RANGE: Error = Error::text("ERR DB index is out of range");
pub const INVALID_FIRST_DB_INDEX: Error = Error::text("ERR invalid first DB index");
pub const INVALID_SECOND_DB_INDEX: Error = Error::text("ERR invalid second DB index");
pub const OUT_OF_RANGE_DATABASE: Error = Error::text("ERR Out of range database");
pub const INVALID_CURSOR: Error = Error::text("ERR invalid cursor");
pub const NOVALUES_OUTSIDE_HSCAN: Error =
    Error::text("ERR NOVALUES option can only be used in HSCAN");
pub const NOSCORES_OUTSIDE_ZSCAN: Error =
    Error::text("ERR NOSCORES option can only be used in ZSCAN");
pub const NX_WITH_XX_GT_LT: Error =
    Error::text("ERR NX and XX, GT or LT options at the same time are not compatible");
pub const GT_WITH_LT: Error =
    Error::text("ERR GT and LT options at the same time are not compatible");
pub const ZADD_XX_WITH_NX: Error =
    Error::text("ERR XX and NX options at the same time are not compatible");
pub const ZADD_GT_LT_NX: Error =
    Error::text("ERR GT, LT, and/or NX options at the same time are not compatible");
pub const ZADD_INCR_PAIRS: Error =
    Error::text("ERR INCR option supports a single increment-element pair");
pub const SCORE_IS_NAN: Error = Error::text("ERR resulting score is not a number (NaN)");
pub const MIN_MAX_NOT_FLOAT: Error = Error::text("ERR min or max is not a float");
pub const MIN_MAX_NOT_STRING_RANGE: Error =
    Error::text("ERR min or max not valid string range item");
pub const LIMIT_NEEDS_BYSCORE_OR_BYLEX: Error = Error::text(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
pub const WITHSCORES_WITH_BYLEX: Error =
    Error::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
pub const WEIGHT_NOT_FLOAT: Error = Error::text("ERR weight value is not a float");
pub const LIMIT_IS_NEGATIVE: Error = Error::text("ERR LIMIT can't be negative");
pub const NUMKEYS_NOT_ABOVE_0: Error = Error::text("ERR numkeys should be greater than 0");
pub const COUNT_NOT_ABOVE_0: Error = Error::text("ERR count should be greater than 0");
pub const SORT_NOT_DOUBLE: Error =
    Error::text("ERR One or more scores can't be converted into double");
pub const UNSUPPORTED_UNIT: Error =
    Error::text("ERR unsupported unit provided. please use M, KM, FT, MI");
pub const RADIUS_NOT_NUMERIC: Error = Error::text("ERR need numeric radius");
pub const RADIUS_NEGATIVE: Error = Error::text("ERR radius cannot be negative");
pub const WIDTH_NOT_NUMERIC: Error = Error::text("ERR need numeric width");
pub const HEIGHT_NOT_NUMERIC: Error = Error::text("ERR need numeric height");
pub const BOX_NEGATIVE: Error = Error::text("ERR height or width cannot be negative");
pub const INVALID_VERTICES: Error = Error::text("ERR invalid number of vertices");
pub const TOO_FEW_VERTICES: Error =
    Error::text("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
pub const GEO_COUNT_NOT_POSITIVE: Error = Error::text("ERR COUNT must be > 0");
pub const ANY_NEEDS_COUNT: Error = Error::text("ERR the ANY argument requires COUNT argument");
pub const GEOSEARCHSTORE_WITH_DETAILS: Error = Error::text(
    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
);
pub const GEORADIUS_STORE_WITH_DETAILS: Error = Error::text(
    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
);
pub const MORE_KEYS_THAN_ARGS: Error =
    Error::text("ERR Number of keys can't be greater than number of args");
pub const HASH_NOT_INTEGER: Error = Error::text("ERR hash value is not an integer");
pub const HASH_NOT_FLOAT: Error = Error::text("ERR hash value is not a float");
pub const VALUE_NAN_OR_INFINITY: Error = Error::text("ERR value is NaN or Infinity");
pub const NUMFIELDS: Error =
    Error::text("ERR numfields should be greater than 0 and match the provided number of fields");
pub const NO_LFU: Error = Error::text(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
);
pub const NO_LRU: Error = Error::text(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
);
pub const LOADING: Error = Error::text("LOADING Valkey is loading the dataset in memory");
pub const MISCONF_RDB: Error = Error::text(
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Valkey logs for details about the RDB error.",
);
pub const SAVE_IN_PROGRESS: Error = Error::text("ERR Background save already in progress");
pub const SAVE_NOT_IN_PROGRESS: Error =
    Error::text("ERR Background saving is currently not in progress or scheduled");
pub const OTHER_CHILD: Error = Error::text(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
);
pub const REWRITE_IN_PROGRESS: Error =
    Error::text("ERR Background append only file rewriting already in progress");
pub const REWRITE_FAILED: Error = Error::text(
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
);
/// Redis' answer where the log has the reason.
pub const FAILED: Error = Error::text("ERR");
pub const RELOAD_OPTIONS: Error =
    Error::text("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
pub const RELOAD_FAILED: Error =
    Error::text("ERR Error trying to load the RDB dump, check server logs.");
pub const LOADAOF_FAILED: Error =
    Error::text("ERR Error trying to load the AOF files, check server logs.");
pub const SHUTDOWN_FAILED: Error = Error::text("ERR Errors trying to SHUTDOWN. Check logs.");
pub const NOAUTH: Error = Error::text("NOAUTH Authentication required.");
pub const NO_PROTO: Error = Error::text("NOPROTO unsupported protocol version");
pub const WRONG_PASS: Error =
    Error::text("WRONGPASS invalid username-password pair or user is disabled.");
pub const NO_PASSWORD_SET: Error = Error::text(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
);
pub const OOM: Error = Error::text("OOM command not allowed when used memory > 'maxmemory'.");
pub const EXEC_ABORT: Error =
    Error::text("EXECABORT Transaction discarded because of previous errors.");
pub const NESTED_MULTI: Error = Error::text("ERR MULTI calls can not be nested");
pub const EXEC_WITHOUT_MULTI: Error = Error::text("ERR EXEC without MULTI");
pub const DISCARD_WITHOUT_MULTI: Error = Error::text("ERR DISCARD without MULTI");
pub const WATCH_INSIDE_MULTI: Error = Error::text("ERR WATCH inside MULTI is not allowed");
pub const NOT_IN_TRANSACTION: Error = Error::text("ERR Command not allowed inside a transaction");
pub const INVALID_STREAM_ID: Error =
    Error::text("ERR Invalid stream ID specified as stream command argument");
pub const INVALID_START_ID: Error = Error::text("ERR invalid start ID for the interval");
pub const INVALID_END_ID: Error = Error::text("ERR invalid end ID for the interval");
pub const STREAM_ID_ZERO: Error =
    Error::text("ERR The ID specified in XADD must be greater than 0-0");
pub const STREAM_ID_TOO_SMALL: Error =
    Error::text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
pub const STREAM_EXHAUSTED: Error =
    Error::text("ERR The stream has exhausted the last possible ID, unable to add more items");
pub const STREAM_ENTRY_TOO_LARGE: Error = Error::text("ERR Elements are too large to be stored");
pub const MAXLEN_NEGATIVE: Error = Error::text("ERR The MAXLEN argument must be >= 0.");
pub const LIMIT_NEGATIVE: Error = Error::text("ERR The LIMIT argument must be >= 0.");
pub const MAXLEN_WITH_MINID: Error =
    Error::text("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
pub const LIMIT_WITHOUT_STRATEGY: Error =
    Error::text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
pub const LIMIT_WITHOUT_APPROXIMATION: Error =
    Error::text("ERR syntax error, LIMIT cannot be used without the special ~ option");
pub const XTRIM_WITHOUT_STRATEGY: Error =
    Error::text("ERR syntax error, XTRIM must be called with a trimming strategy");
pub const XSETID_BELOW_GIVEN_DELETED: Error =
    Error::text("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
pub const XSETID_BELOW_DELETED: Error =
    Error::text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
pub const XSETID_BELOW_TOP: Error =
    Error::text("ERR The ID specified in XSETID is smaller than the target stream top item");
pub const XSETID_BELOW_LEN: Error = Error::text(
    "ERR The entries_added specified in XSETID is smaller than the target stream length",
);
pub const ENTRIES_ADDED_NEGATIVE: Error = Error::text("ERR entries_added must be positive");
pub const ENTRIES_READ_NEGATIVE: Error =
    Error::text("ERR value for ENTRIESREAD must be positive or -1");
pub const XGROUP_NEEDS_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);
pub const BUSY_GROUP: Error = Error::text("BUSYGROUP Consumer Group name already exists");
pub const MISSING_GROUP: Error = Error::text("ERR Missing GROUP option for XREADGROUP");
pub const NEW_ID_WITHOUT_GROUP: Error = Error::text(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
);
pub const COUNT_NOT_POSITIVE: Error = Error::text("ERR COUNT must be > 0");
pub const PROTECTED_MODE: &str = "-DENIED Holdfast is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers, you may adopt one of the following solutions: 1) Disable protected mode by sending 'CONFIG SET protected-mode no' from the loopback interface, or start the server with '--protected-mode no'; make sure the server is not publicly accessible from internet if you do so. 2) Set up an authentication password for the default user with 'requirepass'. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";
pub const MAX_CLIENTS: &str = "-ERR max number of clients reached\r\n";

/// Why EXEC did not run, without the reason's own code where that is the plain `ERR`.
pub fn exec_abort(reason: &Error) -> Error {
    let reason = reason.as_str();
    let reason = reason.strip_prefix("ERR ").unwrap_or(reason);
    Error::owned(format!("EXECABORT Transaction discarded because of: {reason}"))
}

pub const WAITAOF_WITHOUT_LOG: Error =
    Error::text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");

pub fn misconf_aof(reason: &str) -> Error {
    Error::owned(format!("MISCONF Errors writing to the AOF file: {reason}"))
}

pub fn wrong_arity(full_name: &str) -> Error {
    Error::owned(format!("ERR wrong number of arguments for '{full_name}' command"))
}

pub fn invalid_expire(full_name: &str) -> Error {
    Error::owned(format!("ERR invalid expire time in '{full_name}' command"))
}

pub fn out_of_range_between(low: i64, high: i64) -> Error {
    Error::owned(format!("ERR value is out of range, value must between {low} and {high}"))
}

pub fn at_least_one_key(full_name: &str) -> Error {
    Error::owned(format!("ERR at least 1 input key is needed for '{full_name}' command"))
}

pub fn invalid_place(longitude: f64, latitude: f64) -> Error {
    Error::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"))
}

/// MIGRATE: what the other server answered, without its `-`.
pub fn target_refuses(answer: &[u8]) -> Error {
    Error::owned(format!("ERR Target instance replied with error: {}", printable(answer)))
}

pub fn no_such_member(member: &[u8]) -> Error {
    Error::owned(format!("ERR member {} does not exist", printable(member)))
}

pub fn one_origin(command: &[u8]) -> Error {
    let command = printable(command);
    Error::owned(format!(
        "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}"
    ))
}

pub fn one_extent(command: &[u8]) -> Error {
    let command = printable(command);
    Error::owned(format!(
        "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {command}"
    ))
}

pub fn must_be_positive() -> Error {
    Error::text("ERR value is out of range, must be positive")
}

/// What looks at the first row apart needs another one.
pub fn bitop_takes_two(operation: &str) -> Error {
    Error::owned(format!("ERR BITOP {operation} must be called with at least two source keys."))
}

/// XREADGROUP with an id that only XREAD knows.
pub fn meaningless_id(id: char) -> Error {
    Error::owned(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
    ))
}

pub fn only_for_xreadgroup(option: &str) -> Error {
    Error::owned(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    ))
}

pub fn unbalanced_streams(command: &str, new: char) -> Error {
    Error::owned(format!(
        "ERR Unbalanced '{command}' list of streams: for each stream key an ID or '{new}' must be specified."
    ))
}

/// Redis quotes up to 128 bytes of the name and of the arguments that followed it.
pub fn unknown_command<'a>(name: &[u8], rest: impl Iterator<Item = &'a [u8]>) -> Error {
    const LIMIT: usize = 128;
    let mut args = String::new();
    for arg in rest {
        if args.len() >= LIMIT {
            break;
        }
        let room = LIMIT - args.len();
        args.push('\'');
        args.push_str(&printable(&arg[..arg.len().min(room)]));
        args.push_str("' ");
    }
    let name = printable(&name[..name.len().min(LIMIT)]);
    Error::owned(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

pub fn unknown_subcommand(sub: &[u8], container: &str) -> Error {
    let sub = printable(&sub[..sub.len().min(128)]);
    Error::owned(format!(
        "ERR unknown subcommand '{sub}'. Try {} HELP.",
        container.to_ascii_uppercase()
    ))
}

/// Where a container does not declare its subcommands: DEBUG.
pub fn unknown_subcommand_or_arity(sub: &[u8], container: &str) -> Error {
    let sub = printable(&sub[..sub.len().min(128)]);
    Error::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {} HELP.",
        container.to_ascii_uppercase()
    ))
}

/// Bytes of a client inside an error line: no line breaks may survive, they would end the reply.
pub fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}
