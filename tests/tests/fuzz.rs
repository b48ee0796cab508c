//! A short fuzzing run of every parser of bytes from outside, and canaries: decoders broken on purpose
//! that the very same run must catch. The long run is cargo-fuzz's, in fuzz/.

use holdfast_server::config::syntax;
use holdfast_server::keyspace::{Keyspace, Value};
use holdfast_server::types::collection::Collection;
use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::control::{Order, Request};
use holdfast_supervisor::notify::Notice;
use holdfast_tests::fuzz::resp::{Decode, Outcome, holdfast};
use holdfast_tests::fuzz::{
    Random, conf, control, packed, rdb_file, resp, restore, seeds, supervisor,
};

/// Inputs of one run: some seconds in a debug build.
const INPUTS: usize = 20_000;

/// Fixed, so that a failure comes again; another one explores elsewhere.
const SEED: u64 = 0x0070_1dfa_5700;

/// The first input on which `decode` differs from the simple decoder.
fn resp_failure(decode: Decode) -> Option<String> {
    let seeds = seeds("resp");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| resp::generate(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    inputs.map(|input| resp::check(decode, &input)).find_map(Result::err)
}

fn conf_failure(parse: conf::Parse) -> Option<String> {
    let seeds = seeds("conf");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| conf::generate(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    inputs.map(|text| conf::check(parse, &text)).find_map(Result::err)
}

fn control_failure(parse: control::Parse) -> Option<String> {
    let seeds = seeds("control");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| control::generate(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    inputs.map(|line| control::check(parse, &line)).find_map(Result::err)
}

/// The first listpack that `read` reads otherwise than the simple reader.
fn listpack_failure(read: packed::Read) -> Option<String> {
    let seeds = seeds("listpack");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| packed::generate_listpack(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    let check = |bytes: Vec<u8>| packed::check(read, packed::simple_listpack, &bytes);
    inputs.map(check).find_map(Result::err)
}

fn intset_failure(read: packed::Read) -> Option<String> {
    let seeds = seeds("intset");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| packed::generate_intset(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    let check = |bytes: Vec<u8>| packed::check(read, packed::simple_intset, &bytes);
    inputs.map(check).find_map(Result::err)
}

/// The first payload of which `restore` makes something that does not come back the same.
fn restore_failure(restore: restore::Restore) -> Option<String> {
    let seeds = seeds("restore");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| restore::generate(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    inputs.map(|bytes| restore::check(restore, &bytes)).find_map(Result::err)
}

/// The first file of which `load` makes something that does not come back the same.
fn rdb_file_failure(load: rdb_file::Load) -> Option<String> {
    let seeds = seeds("rdb_file");
    let mut random = Random::from_seed(SEED);
    // Each is a volume.
    let generated = (0..INPUTS / 4).map(|_| rdb_file::generate(&mut random, &seeds));
    let inputs = seeds.iter().cloned().chain(generated);
    inputs.map(|bytes| rdb_file::check(load, &bytes)).find_map(Result::err)
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
    let seeds = seeds("conf");
    let mut random = Random::from_seed(SEED);
    let generated = (0..INPUTS).map(|_| conf::generate(&mut random, &seeds));
    for text in seeds.iter().cloned().chain(generated) {
        assert_eq!(conf::check_load(&text), Ok(()));
    }
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
