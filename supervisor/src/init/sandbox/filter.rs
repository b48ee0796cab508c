//! The list of system calls as a program of the kernel's packet filter.
//!
//! ```text
//!  load arch;  other than ours: kill the process
//!  load number
//!  for each run of allowed numbers:  within it: allow
//!  for each conditional one:         its number: one of its conditions holds: allow, else EPERM
//!  ENOSYS
//! ```
//!
//! An unknown call gets ENOSYS and not EPERM: every C library has a way around a call that an older
//! kernel does not know, and none around one that is forbidden. `clone3` depends on it: its flags lie
//! in memory that a filter cannot read, and after ENOSYS threads are made with `clone`, whose flags it
//! can. A kernel since 5.11 knows from such a program which numbers are always allowed and does not
//! even run it for them.

use libc::sock_filter;

/// What is allowed.
pub(super) struct Allowed {
    /// Whatever the arguments.
    pub always: Vec<i64>,
    /// Only if all tests of one alternative hold.
    pub when: Vec<(i64, &'static [&'static [Test]])>,
}

/// Of the low 32 bits of an argument: all that the kernel reads of those that are tested.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    Is {
        argument: u8,
        value: u32,
    },
    /// None of these bits.
    Without {
        argument: u8,
        bits: u32,
    },
}

pub(crate) type Program = Vec<sock_filter>;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Offsets in `struct seccomp_data` of linux/seccomp.h; arguments are 64-bit, little-endian.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const MORE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

pub(super) fn compile(allowed: &Allowed) -> Program {
    let mut program = vec![load(ARCH_AT), jump(EQUAL, ARCH, 1, 0), give(KILL), load(NUMBER_AT)];
    for (first, last) in runs(&allowed.always) {
        program.extend([jump(AT_LEAST, first, 0, 2), jump(MORE, last, 1, 0), give(ALLOW)]);
    }
    for (number, alternatives) in &allowed.when {
        let body: Program = alternatives.iter().flat_map(|tests| alternative(tests)).collect();
        // Past the body and the refusal behind it.
        let past = u8::try_from(body.len() + 1).expect("a few tests");
        program.push(jump(EQUAL, *number as u32, 0, past));
        program.extend(body);
        program.push(give(REFUSE));
    }
    program.push(give(UNKNOWN));
    program
}

/// Allows when all tests hold, else goes on behind itself.
fn alternative(tests: &[Test]) -> Program {
    let mut program = Program::new();
    for (at, test) in tests.iter().enumerate() {
        // Each later test is a load and a jump; the last instruction allows.
        let past = u8::try_from((tests.len() - 1 - at) * 2 + 1).expect("a few tests");
        match *test {
            Test::Is { argument, value } => {
                program.extend([load_argument(argument), jump(EQUAL, value, 0, past)]);
            }
            Test::Without { argument, bits } => {
                program.extend([load_argument(argument), jump(ANY_BIT, bits, past, 0)]);
            }
        }
    }
    program.push(give(ALLOW));
    program
}

/// Numbers that follow each other, as first and last.
fn runs(numbers: &[i64]) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = numbers.iter().map(|number| *number as u32).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn load(at: u32) -> sock_filter {
    sock_filter { code: LOAD as u16, jt: 0, jf: 0, k: at }
}

fn load_argument(argument: u8) -> sock_filter {
    load(ARGUMENTS_AT + 8 * u32::from(argument))
}

fn jump(test: u32, value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: test as u16, jt, jf, k: value }
}

fn give(action: u32) -> sock_filter {
    sock_filter { code: RETURN as u16, jt: 0, jf: 0, k: action }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel would make of a call, by the meaning of the instructions used here.
    fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let instruction = program[at];
            let holds = match u32::from(instruction.code) {
                LOAD => {
                    value = match instruction.k {
                        NUMBER_AT => number,
                        ARCH_AT => arch,
                        offset => arguments[((offset - ARGUMENTS_AT) / 8) as usize] as u32,
                    };
                    at += 1;
                    continue;
                }
                RETURN => return instruction.k,
                EQUAL => value == instruction.k,
                AT_LEAST => value >= instruction.k,
                MORE => value > instruction.k,
                ANY_BIT => value & instruction.k != 0,
                other => panic!("unknown instruction {other:#x}"),
            };
            at += 1 + usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    const BOTH: &[&[Test]] = &[
        &[Test::Is { argument: 0, value: 1 }],
        &[Test::Is { argument: 0, value: 2 }, Test::Without { argument: 1, bits: 6 }],
    ];

    fn example() -> Program {
        compile(&Allowed { always: vec![7, 3, 4, 5, 9], when: vec![(20, BOTH), (22, &BOTH[..1])] })
    }

    #[test]
    fn conditions_are_alternatives_of_tests_that_all_hold() {
        let call =
            |number, first, second| run(&example(), ARCH, number, [first, second, 0, 0, 0, 0]);
        assert_eq!(call(20, 1, 6), ALLOW);
        assert_eq!(call(20, 2, 9), ALLOW);
        assert_eq!(call(20, 2, 4), REFUSE);
        assert_eq!(call(20, 3, 0), REFUSE);
        assert_eq!(call(22, 1, 0), ALLOW);
        assert_eq!(call(22, 2, 0), REFUSE);
        assert_eq!(call(21, 1, 0), UNKNOWN);
    }

    #[test]
    fn another_architecture_s_numbers_are_not_ours() {
        assert_eq!(run(&example(), ARCH ^ 1, 3, [0; 6]), KILL);
        const X32: u32 = 0x4000_0000;
        assert_eq!(run(&example(), ARCH, X32 + 3, [0; 6]), UNKNOWN);
    }

    proptest! {
        #[test]
        fn exactly_the_listed_numbers_are_allowed(
            mut always in prop::collection::vec(0i64..500, 0..200),
            number in 0u32..600,
        ) {
            let program = compile(&Allowed { always: always.clone(), when: Vec::new() });
            always.sort_unstable();
            let listed = always.binary_search(&i64::from(number)).is_ok();
            let expected = if listed { ALLOW } else { UNKNOWN };
            prop_assert_eq!(run(&program, ARCH, number, [0; 6]), expected);
        }
    }
}
