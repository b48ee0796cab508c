//! `refuse CALL ERRNO PROGRAM WORD…`: becomes PROGRAM, which the kernel refuses that system call, and
//! all it starts. Numbers are x86-64's (asm/unistd_64.h, asm-generic/errno.h).
//!
//! Without a library, and static, as the others here.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Of linux/prctl.h and linux/seccomp.h.
const PR_SET_SECCOMP: i32 = 22;
const PR_SET_NO_NEW_PRIVS: i32 = 38;
const MODE_FILTER: usize = 2;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
/// Of linux/bpf_common.h: load a word of the call's data, compare, return.
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

#[repr(C)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

#[repr(C)]
struct Filter {
    len: u16,
    instructions: *const Instruction,
}

unsafe extern "C" {
    fn prctl(option: i32, ...) -> i32;
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [call, errno, program, rest @ ..] = &words[..] else { panic!("CALL ERRNO PROGRAM WORD…") };
    refuse(call.parse().expect("a number"), errno.parse().expect("a number"));
    panic!("{program}: {}", Command::new(program).args(rest).exec());
}

/// The number of the call is the first word of its data.
fn refuse(call: u32, errno: u32) {
    let step = |code, if_false, value| Instruction { code, if_true: 0, if_false, value };
    let instructions = [
        step(LOAD_WORD, 0, 0),
        step(JUMP_IF_EQUAL, 1, call),
        step(RETURN, 0, RET_ERRNO | errno),
        step(RETURN, 0, RET_ALLOW),
    ];
    let filter = Filter { len: 4, instructions: instructions.as_ptr() };
    assert_eq!(unsafe { prctl(PR_SET_NO_NEW_PRIVS, 1_usize, 0_usize, 0_usize, 0_usize) }, 0);
    assert_eq!(unsafe { prctl(PR_SET_SECCOMP, MODE_FILTER, &raw const filter) }, 0);
}
