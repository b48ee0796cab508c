//! A short fuzzing run of every parser of bytes from outside, and canaries: decoders broken on purpose
//! that the very same run must catch. The long run is cargo-fuzz's, in fuzz/.

use std::sync::atomic::{AtomicUsize, Ordering};

use agent_library::fuzz::{self as read, Mistake};
use holdfast_server::config::syntax;
use holdfast_server::keyspace::{Keyspace, Value};
use holdfast_server::types::collection::Collection;
use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::control::{Order, Request};
use holdfast_supervisor::notify::Notice;
use holdfast_supervisor::plan::Plan;
use holdfast_tests::fuzz::resp::{Decode, Outcome, holdfast};
use holdfast_tests::fuzz::{
    Random, agent, aof, commands, conf, control, packed, rdb_file, resp, restore, seeds, sh,
    supervisor,
};

/// Inputs of one run: some seconds in a debug build.
const INPUTS: usize = 20_000;

/// Fixed, so that a failure comes again; another one explores elsewhere.
const SEED: u64 = 0x0070_1dfa_5700;

/// Makes an input, mostly of a seed.
type Generate = fn(&mut Random, &[Vec<u8>]) -> Vec<u8>;

/// What `check` finds wrong first: with the seeds of `kind`, and with so many inputs made of them.
fn failure(
    kind: &str,
    count: usize,
    generate: Generate,
    check: impl Fn(&[u8]) -> Result<(), String>,
) -> Option<String> {
    let seeds = seeds(kind);
    let mut random = Random::from_seed(SEED);
    let generated = (0..count).map(|_| generate(&mut random, &seeds));
    seeds.iter().cloned().chain(generated).find_map(|input| check(&input).err())
}

fn resp_failure(decode: Decode) -> Option<String> {
    failure("resp_decode", INPUTS, resp::generate, |input| resp::check(decode, input))
}

fn conf_failure(parse: conf::Parse) -> Option<String> {
    failure("redis_conf", INPUTS, conf::generate, |text| conf::check(parse, text))
}

fn control_failure(parse: control::Parse) -> Option<String> {
    failure("control", INPUTS, control::generate, |line| control::check(parse, line))
}

/// The first listpack that `read` reads otherwise than the simple reader.
fn listpack_failure(read: packed::Read) -> Option<String> {
    let check = |bytes: &[u8]| packed::check(read, packed::simple_listpack, bytes);
    failure("packed", INPUTS, packed::generate_listpack, check)
}

fn intset_failure(read: packed::Read) -> Option<String> {
    let check = |bytes: &[u8]| packed::check(read, packed::simple_intset, bytes);
    failure("packed", INPUTS, packed::generate_intset, check)
}

/// The first payload of which `restore` makes something that does not come back the same.
fn restore_failure(restore: restore::Restore) -> Option<String> {
    failure("restore", INPUTS, restore::generate, |bytes| restore::check(restore, bytes))
}

/// The first file of which `load` makes something that does not come back the same.
fn rdb_file_failure(load: rdb_file::Load) -> Option<String> {
    // Each is a volume.
    failure("rdb_file", INPUTS / 4, rdb_file::generate, |bytes| rdb_file::check(load, bytes))
}

fn commands_failure(execute: commands::Execute) -> Option<String> {
    // Each is a server.
    failure("commands", INPUTS / 10, commands::generate, |input| commands::check(execute, input))
}

/// The first log that two starts make different things of.
fn aof_failure(open: aof::Open) -> Option<String> {
    // Each is six starts.
    let file = |bytes: &[u8]| aof::check_file(open, bytes);
    let manifest = |text: &[u8]| aof::check_manifest(open, text);
    failure("aof_file", INPUTS / 20, aof::generate_file, file)
        .or_else(|| failure("aof_manifest", INPUTS / 20, aof::generate_manifest, manifest))
}

fn sh_failure(read: sh::Read) -> Option<String> {
    failure("sh", INPUTS, sh::generate, |text| sh::check(read, text))
}

fn toml_failure(read: agent::ReadConfig) -> Option<String> {
    let check = |text: &[u8]| agent::check_config(read, text);
    failure("holdfast_toml", INPUTS, agent::generate_config, check)
}

fn dhcp_failure(hear: agent::Hear) -> Option<String> {
    failure("dhcp", INPUTS, agent::generate_dhcp, |packet| agent::check_dhcp(hear, packet))
}

fn ntp_failure(judge: agent::Judge) -> Option<String> {
    failure("ntp", INPUTS, agent::generate_time, |bytes| agent::check_time(judge, bytes))
}

fn certificates_failure(faults: agent::Faults) -> Option<String> {
    // Signatures take their time.
    let check = |bytes: &[u8]| agent::check_bundle(faults, bytes);
    failure("certificates", INPUTS / 20, agent::generate_bundle, check)
}

/// The first message that `decode` understands as something that does not come back.
fn channel_failure(decode: supervisor::Decode) -> Option<String> {
    let mut random = Random::from_seed(SEED);
    let inputs = (0..INPUTS).map(|_| supervisor::generate_channel(&mut random));
    inputs.map(|bytes| supervisor::check_channel(decode, &bytes)).find_map(Result::err)
}

/// The first notice of which `parse` makes something that must not be shown or passed on.
fn notice_failure(parse: supervisor::Parse) -> Option<String> {
    let mut random = Random::from_seed(SEED);
    let inputs = (0..INPUTS).map(|_| supervisor::generate_notice(&mut random));
    inputs.map(|bytes| supervisor::check_notice(parse, &bytes)).find_map(Result::err)
}

#[test]
fn what_pid_1_reads_never_makes_it_panic_and_comes_back_the_same() {
    assert_eq!(channel_failure(supervisor::channel), None);
    assert_eq!(notice_failure(Notice::parse), None);
}

#[test]
fn canary_a_plan_whose_program_is_not_looked_at_is_caught() {
    fn broken(bytes: &[u8]) -> Option<ToInit> {
        let mut message = supervisor::channel(bytes)?;
        if let ToInit::Plan(plan) = &mut message {
            plan.services.iter_mut().for_each(|service| service.program.clear());
        }
        Some(message)
    }
    assert!(channel_failure(broken).is_some());
}

#[test]
fn canary_a_status_that_is_shown_as_it_came_is_caught() {
    fn broken(bytes: &[u8]) -> Notice {
        let text = String::from_utf8_lossy(bytes);
        let status = text.split('\n').find_map(|line| line.strip_prefix("STATUS="));
        let status = status.and_then(|status| status.try_into().ok());
        Notice { status, ..Notice::parse(bytes) }
    }
    assert!(notice_failure(broken).is_some());
}

#[test]
fn the_decoder_agrees_with_a_simple_one_however_bytes_are_split() {
    assert_eq!(resp_failure(holdfast), None);
}

#[test]
fn a_line_of_a_megabyte_is_refused_and_not_kept() {
    for start in ["", "*", "*1\r\n$"] {
        let input = [start.as_bytes(), &vec![b'1'; 1 << 20]].concat();
        for piece in [1000, 16 * 1024, 64 * 1024] {
            let outcome = holdfast(&input, piece);
            assert!(outcome.commands.is_empty());
            assert!(outcome.error.is_some_and(|error| error.starts_with("too big")), "{start:?}");
        }
    }
}

#[test]
fn canary_a_lost_command_is_caught() {
    fn broken(input: &[u8], piece: usize) -> Outcome {
        let mut outcome = holdfast(input, piece);
        if piece == 3 && outcome.commands.len() > 2 {
            outcome.commands.pop();
        }
        outcome
    }
    assert!(resp_failure(broken).is_some());
}

#[test]
fn canary_a_decoder_that_does_not_look_at_line_ends_is_caught() {
    fn broken(input: &[u8], piece: usize) -> Outcome {
        let mut outcome = holdfast(input, piece);
        if outcome.error.as_deref() == Some("invalid CRLF in request") {
            outcome.error = None;
        }
        outcome
    }
    assert!(resp_failure(broken).is_some());
}

#[test]
fn canary_leading_zeros_are_caught() {
    fn broken(input: &[u8], piece: usize) -> Outcome {
        let text = String::from_utf8_lossy(input).replace("$0", "$");
        if text.contains('\u{fffd}') {
            holdfast(input, piece)
        } else {
            holdfast(text.as_bytes(), piece)
        }
    }
    assert!(resp_failure(broken).is_some());
}

#[test]
fn configuration_text_parses_back_from_its_quoted_form() {
    assert_eq!(conf_failure(syntax::parse), None);
}

#[test]
fn no_configuration_text_makes_the_loader_panic() {
    assert_eq!(failure("redis_conf", INPUTS, conf::generate, conf::check_load), None);
}

#[test]
fn a_request_to_the_agent_is_read_as_it_was_said() {
    assert_eq!(control_failure(|line| Request::parse(line)), None);
}

#[test]
fn canary_a_request_read_as_another_is_caught() {
    fn broken(line: &[u8]) -> Option<Request<'_>> {
        match Request::parse(line)? {
            Request::Control { order: Order::Stop, service, .. } if service.len() > 6 => {
                Some(Request::Reboot)
            }
            Request::Logs { service, count, follow } => {
                Some(Request::Logs { service, count: count.saturating_mul(200), follow })
            }
            other => Some(other),
        }
    }
    assert!(control_failure(broken).is_some());
}

#[test]
fn canary_a_parser_that_loses_an_empty_argument_is_caught() {
    fn broken(text: &[u8]) -> Result<Vec<syntax::Line>, syntax::SyntaxError> {
        let mut lines = syntax::parse(text)?;
        // As a parser would that takes `""` for nothing.
        lines.iter_mut().for_each(|line| {
            if line.args.len() > 2 {
                line.args.retain(|arg| !arg.is_empty());
                line.args.push(b"\0".to_vec());
            }
        });
        Ok(lines)
    }
    assert!(conf_failure(broken).is_some());
}

#[test]
fn listpacks_and_intsets_are_read_as_simple_readers_do() {
    assert_eq!(listpack_failure(packed::listpack), None);
    assert_eq!(intset_failure(packed::intset), None);
}

#[test]
fn canary_a_reader_that_does_not_count_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut bytes = bytes.to_vec();
        bytes.get_mut(4..6)?.fill(0xff);
        packed::listpack(&bytes)
    }
    assert!(listpack_failure(broken).is_some());
}

#[test]
fn canary_a_reader_that_sorts_for_itself_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut bytes = bytes.to_vec();
        if bytes.first() == Some(&2) {
            bytes
                .get_mut(8..)?
                .as_chunks_mut::<2>()
                .0
                .sort_by_key(|slot| i16::from_le_bytes(*slot));
        }
        packed::intset(&bytes)
    }
    assert!(intset_failure(broken).is_some());
}

#[test]
fn payloads_that_are_restored_come_back_the_same() {
    assert_eq!(restore_failure(restore::holdfast), None);
}

#[test]
fn canary_a_reader_that_loses_a_member_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Value> {
        let mut value = restore::holdfast(bytes)?;
        if let Value::Collection(Collection::Set(set)) = &mut value {
            let member = set.iter().next().map(|member| member.to_vec());
            member.inspect(|member| _ = set.remove(member));
        }
        Some(value)
    }
    assert!(restore_failure(broken).is_some());
}

#[test]
fn canary_a_reader_that_knows_one_version_only_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Value> {
        let is_80 = bytes.len() > 10 && bytes[bytes.len() - 10] == 80;
        restore::holdfast(bytes).filter(|_| !is_80)
    }
    assert!(restore_failure(broken).is_some());
}

#[test]
fn files_that_are_loaded_come_back_the_same() {
    assert_eq!(rdb_file_failure(rdb_file::holdfast), None);
}

#[test]
fn canary_a_lost_expiry_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Keyspace> {
        let mut keyspace = rdb_file::holdfast(bytes)?;
        let is_ours = bytes.windows(8).any(|window| window == b"hf-crc64");
        for (_, db) in keyspace.iter_mut().filter(|_| is_ours) {
            let keys: Vec<Vec<u8>> = db.iter().map(|entry| entry.key().to_vec()).collect();
            keys.iter().for_each(|key| _ = db.persist(key));
        }
        Some(keyspace)
    }
    assert!(rdb_file_failure(broken).is_some());
}

#[test]
fn canary_a_key_in_the_wrong_database_is_caught() {
    fn broken(bytes: &[u8]) -> Option<Keyspace> {
        let mut keyspace = rdb_file::holdfast(bytes)?;
        keyspace.swap(0, 1);
        Some(keyspace)
    }
    assert!(rdb_file_failure(broken).is_some());
}

#[test]
fn whatever_is_sent_is_answered_and_kept() {
    assert_eq!(commands_failure(commands::holdfast), None);
}

#[test]
fn canary_an_answer_that_is_cut_is_caught() {
    fn broken(input: &[u8]) -> commands::Ran {
        let mut ran = commands::holdfast(input);
        let cut = ran.replies.len().saturating_sub(1);
        ran.replies.truncate(cut);
        ran
    }
    assert!(commands_failure(broken).is_some());
}

#[test]
fn canary_a_key_that_is_not_kept_is_caught() {
    fn broken(input: &[u8]) -> commands::Ran {
        let ran = commands::holdfast(input);
        commands::Ran { file: commands::holdfast(b"").file, ..ran }
    }
    assert!(commands_failure(broken).is_some());
}

#[test]
fn a_log_that_was_loaded_is_loaded_the_same_again() {
    assert_eq!(aof_failure(aof::holdfast), None);
}

#[test]
fn canary_a_start_that_loses_a_command_is_caught() {
    fn broken(disk: &aof::Disk) -> Result<Vec<Vec<u8>>, Vec<String>> {
        static STARTS: AtomicUsize = AtomicUsize::new(0);
        let mut commands = aof::holdfast(disk)?;
        if STARTS.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            commands.pop();
        }
        Ok(commands)
    }
    assert!(aof_failure(broken).is_some());
}

#[test]
fn what_sh_takes_is_the_same_when_it_is_quoted() {
    assert_eq!(sh_failure(holdfast_sh::words), None);
}

#[test]
fn canary_a_shell_that_splits_what_is_quoted_is_caught() {
    fn broken(text: &[u8]) -> Result<Vec<Vec<u8>>, (u8, Vec<u8>)> {
        let mut words = holdfast_sh::words(text)?;
        words.iter_mut().for_each(|word| word.retain(|byte| *byte != b' '));
        if text.contains(&b'\'') && text.contains(&b' ') {
            words.push(Vec::new());
        }
        Ok(words)
    }
    assert!(sh_failure(broken).is_some());
}

#[test]
fn what_the_agent_reads_never_makes_it_panic_and_is_what_init_takes() {
    assert_eq!(toml_failure(read::config), None);
    assert_eq!(dhcp_failure(read::dhcp), None);
    assert_eq!(ntp_failure(read::time), None);
    assert_eq!(certificates_failure(read::bundle), None);
}

#[test]
fn canary_a_mistake_in_the_wrong_place_is_caught() {
    fn broken(text: &str) -> Result<Plan, Vec<Mistake>> {
        let further = |(line, column, what)| (line + 1, column, what);
        read::config(text).map_err(|mistakes| mistakes.into_iter().map(further).collect())
    }
    assert!(toml_failure(broken).is_some());
}

#[test]
fn canary_a_plan_that_init_does_not_take_is_caught() {
    fn broken(text: &str) -> Result<Plan, Vec<Mistake>> {
        let mut plan = read::config(text)?;
        plan.services.clear();
        Ok(plan)
    }
    assert!(toml_failure(broken).is_some());
}

#[test]
fn canary_a_lease_with_a_name_that_is_none_is_caught() {
    fn broken(packet: &[u8]) -> Option<ToInit> {
        let mut told = read::dhcp(packet)?;
        if let ToInit::Lease(lease) = &mut told {
            lease.domain = "a\nb".try_into().expect("fits");
        }
        Some(told)
    }
    assert!(dhcp_failure(broken).is_some());
}

#[test]
fn canary_a_time_long_past_is_caught() {
    fn broken(packet: &[u8], sent_us: i64, round_trip_us: u32) -> Option<(i64, i64)> {
        let (offset_us, distance_us) = read::time(packet, sent_us, round_trip_us)?;
        Some((offset_us.saturating_sub(1 << 50), distance_us))
    }
    assert!(ntp_failure(broken).is_some());
}

#[test]
fn canary_a_certificate_shown_as_it_came_is_caught() {
    fn broken(pem: &[u8]) -> Vec<String> {
        vec![format!("is none: {}", String::from_utf8_lossy(pem))]
    }
    assert!(certificates_failure(broken).is_some());
}
