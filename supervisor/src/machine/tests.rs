//! Every state × every event, then random lives.

use super::*;
use proptest::prelude::*;

const POLICY: Policy = Policy {
    restart: Restart::Always,
    backoff_initial_ms: 250,
    backoff_max_ms: 30_000,
    good_run_ms: 10_000,
    start_limit: 0,
    stop_grace_ms: 5_000,
    startup_ms: 0,
    watchdog_ms: 0,
    permanent_exits: [0; 8],
};

const NOW: Ms = 1_000;
const CRASH: Event = Event::Exited(Exit::Signal(9));

const DOWN: State = State::Down;
const STARTING: State = State::Starting { since: 900 };
const READY: State = State::Ready { since: 900 };
const UNREADY: State = State::Unready { since: 900 };
const BACKOFF: State = State::Backoff { until: 2_000 };
const DUE: State = State::Backoff { until: 1_000 };
const FAILED: State = State::Failed;
const SPAWNED: State = State::Starting { since: NOW };
const RETRY: State = State::Backoff { until: NOW + 250 };

const fn stopping(why: Why) -> State {
    State::Stopping { since: 900, deadline: 2_000, killed: false, why }
}

const fn asked(why: Why) -> State {
    State::Stopping { since: 900, deadline: NOW + 5_000, killed: false, why }
}

const fn killed(why: Why) -> State {
    State::Stopping { since: 900, deadline: NOW + KILL_AGAIN_MS, killed: true, why }
}

fn after(state: State, event: Event) -> (State, Option<Action>) {
    let (record, action) = step(&Record { state, ..Record::NEW }, event, NOW, &POLICY);
    (record.state, action)
}

#[track_caller]
fn check(state: State, expected: [(State, Option<Action>); 8]) {
    let events = [
        Event::Start,
        Event::Ready,
        Event::NotReady,
        Event::Hung,
        CRASH,
        Event::Stop,
        Event::Restart,
        Event::Tick,
    ];
    for (event, expected) in events.into_iter().zip(expected) {
        assert_eq!(after(state, event), expected, "{state:?} on {event:?}");
    }
}

#[test]
fn every_state_answers_every_event() {
    use Action::{Kill, Spawn, Terminate};
    let (spawn, terminate, kill) = (Some(Spawn), Some(Terminate), Some(Kill));
    let hung = (killed(Why::Hung), kill);
    let stop = (asked(Why::Stop), terminate);
    let again = (asked(Why::Restart), terminate);
    let retry = (RETRY, None);
    let begin = (SPAWNED, spawn);
    #[rustfmt::skip]
    let table = [
        //          Start            Ready            NotReady         Hung             crash            Stop          Restart          Tick
        (DOWN,     [begin,           (DOWN, None),    (DOWN, None),    (DOWN, None),    (DOWN, None),    (DOWN, None), begin,           (DOWN, None)]),
        (STARTING, [(STARTING, None),(READY, None),   (STARTING, None),hung,            retry,           stop,         again,           (STARTING, None)]),
        (READY,    [(READY, None),   (READY, None),   (UNREADY, None), hung,            retry,           stop,         again,           (READY, None)]),
        (UNREADY,  [(UNREADY, None), (READY, None),   (UNREADY, None), hung,            retry,           stop,         again,           (UNREADY, None)]),
        (BACKOFF,  [begin,           (BACKOFF, None), (BACKOFF, None), (BACKOFF, None), (BACKOFF, None), (DOWN, None), begin,           (BACKOFF, None)]),
        (DUE,      [begin,           (DUE, None),     (DUE, None),     (DUE, None),     (DUE, None),     (DOWN, None), begin,           begin]),
        (FAILED,   [begin,           (FAILED, None),  (FAILED, None),  (FAILED, None),  (FAILED, None),  (DOWN, None), begin,           (FAILED, None)]),
    ];
    for (state, expected) in table {
        check(state, expected);
    }
    for (why, exited) in [(Why::Stop, (DOWN, None)), (Why::Restart, begin), (Why::Hung, retry)] {
        let same = (stopping(why), None);
        let stop = (stopping(Why::Stop), None);
        check(stopping(why), [same, same, same, same, exited, stop, same, same]);
    }
}

#[test]
fn a_stop_that_is_not_obeyed_ends_in_a_kill_and_is_repeated() {
    let mut record = Record { state: READY, ..Record::NEW };
    let mut kills = 0;
    (record, _) = step(&record, Event::Stop, NOW, &POLICY);
    for _ in 0..3 {
        let due = record.deadline().expect("a stopping service has a deadline");
        assert_eq!(step(&record, Event::Tick, due - 1, &POLICY), (record, None));
        let action;
        (record, action) = step(&record, Event::Tick, due, &POLICY);
        kills += u32::from(action == Some(Action::Kill));
    }
    assert_eq!(kills, 3);
}

#[test]
fn back_off_doubles_up_to_its_bound_and_a_good_run_resets_it() {
    let mut record = Record { state: State::Starting { since: 0 }, ..Record::NEW };
    let mut now = 0;
    let mut waits = std::vec::Vec::new();
    for _ in 0..9 {
        (record, _) = step(&record, CRASH, now, &POLICY);
        let until = record.deadline().expect("in back-off");
        waits.push(until - now);
        now = until;
        (record, _) = step(&record, Event::Tick, now, &POLICY);
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    now += Ms::from(POLICY.good_run_ms);
    let (next, action) = step(&record, CRASH, now, &POLICY);
    assert_eq!(action, Some(Action::Spawn), "after a good run the restart is immediate");
    assert_eq!(next.failures, 1);
    let (next, _) = step(&next, CRASH, now, &POLICY);
    assert_eq!(next.state, State::Backoff { until: now + 500 });
}

#[test]
fn the_start_limit_gives_up_and_a_start_by_hand_tries_again() {
    let policy = Policy { start_limit: 3, ..POLICY };
    let mut record = Record { state: STARTING, ..Record::NEW };
    for _ in 0..2 {
        (record, _) = step(&record, CRASH, NOW, &policy);
        (record, _) = step(&record, Event::Start, NOW, &policy);
    }
    (record, _) = step(&record, CRASH, NOW, &policy);
    assert_eq!(record.state, State::Failed);
    let (record, action) = step(&record, Event::Start, NOW, &policy);
    assert_eq!((record.state, action), (SPAWNED, Some(Action::Spawn)));
}

#[test]
fn restart_policy_decides_by_how_it_ended() {
    let cases = [
        (Restart::Always, Exit::Code(0), true),
        (Restart::Always, Exit::Code(1), true),
        (Restart::OnCrash, Exit::Code(0), false),
        (Restart::OnCrash, Exit::Code(1), false),
        (Restart::OnCrash, Exit::Signal(11), true),
        (Restart::OnCrash, Exit::Oom, true),
        (Restart::OnCrash, Exit::Hung, true),
        (Restart::OnCrash, Exit::Spawn { step: SpawnStep::Exec, errno: 2 }, false),
        (Restart::Never, Exit::Signal(9), false),
    ];
    for (restart, exit, again) in cases {
        let policy = Policy { restart, ..POLICY };
        let record = Record { state: READY, ..Record::NEW };
        let (record, _) = step(&record, Event::Exited(exit), NOW, &policy);
        let expected = if again { RETRY } else { DOWN };
        assert_eq!(record.state, expected, "{restart:?} {exit:?}");
    }
}

#[test]
fn a_hung_service_that_is_killed_counts_as_hung_not_as_killed() {
    let (record, _) = step(&Record { state: READY, ..Record::NEW }, Event::Hung, NOW, &POLICY);
    let (record, _) = step(&record, CRASH, NOW + 5, &POLICY);
    assert_eq!(record.last_exit.map(|last| last.exit), Some(Exit::Hung));
    assert_eq!((record.hangs, record.failures), (1, 1));
}

#[test]
fn out_of_memory_is_counted_apart() {
    let record = Record { state: READY, ..Record::NEW };
    let (record, _) = step(&record, Event::Exited(Exit::Oom), NOW, &POLICY);
    assert_eq!((record.oom_kills, record.hangs), (1, 0));
}

fn any_event() -> impl Strategy<Value = Event> {
    let exit = prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        (1u8..65).prop_map(Exit::Signal),
        Just(Exit::Oom),
    ];
    prop_oneof![
        Just(Event::Start),
        Just(Event::Ready),
        Just(Event::NotReady),
        Just(Event::Hung),
        exit.prop_map(Event::Exited),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Tick),
    ]
}

proptest! {
    /// Never two processes at once, never a signal to none, never a wait beyond the bound.
    #[test]
    fn any_life_keeps_the_invariants(
        events in prop::collection::vec((any_event(), 0u64..20_000), 0..200),
        start_limit in 0u16..4,
    ) {
        let policy = Policy { start_limit, ..POLICY };
        let mut record = Record::NEW;
        let mut now = 0;
        let mut alive = false;
        for (event, passes) in events {
            now += passes;
            if matches!(event, Event::Exited(_)) {
                if !alive { continue; }
                alive = false;
            }
            let action;
            (record, action) = step(&record, event, now, &policy);
            match action {
                Some(Action::Spawn) => { prop_assert!(!alive); alive = true; }
                Some(Action::Terminate | Action::Kill) => prop_assert!(alive),
                None => {}
            }
            prop_assert_eq!(record.state.running_since().is_some(), alive);
            if let Some(deadline) = record.deadline() {
                prop_assert!(deadline <= now + Ms::from(policy.backoff_max_ms));
            }
        }
    }
}
