//! Every state × every event, then lives with a story, then random ones.

use super::*;
use proptest::prelude::*;
use rustix::io::Errno;

const POLICY: Policy = Policy {
    restart: Restart::Always,
    backoff_initial_ms: 250,
    backoff_max_ms: 30_000,
    good_run_ms: 10_000,
    start_limit: 0,
    stop_grace_ms: 5_000,
    startup_ms: 3_000,
    watchdog_ms: 2_000,
    permanent_exits: [125, 0, 0, 0, 0, 0, 0, 0],
};

const NOW: Ms = 1_000;
const CRASH: Event = Event::Exited(Exit::Signal(9));
const EVENTS: [Event; 12] = [
    Event::Start,
    Event::Ready,
    Event::NotReady,
    Event::Alive,
    Event::Extend(4_000),
    Event::Ending,
    Event::Hung,
    CRASH,
    Event::Cleared,
    Event::Stop,
    Event::Restart,
    Event::Tick,
];

const DOWN: State = State::Down;
const STARTING: State = State::Starting { since: 900, until: Some(3_900) };
const READY: State = State::Ready { since: 900, until: Some(2_000) };
const UNREADY: State = State::Unready { since: 900, until: Some(2_000) };
const BACKOFF: State = State::Backoff { until: 2_000 };
const FAILED: State = State::Failed;

const SPAWNED: State = State::Starting { since: NOW, until: Some(NOW + 3_000) };
const FED: State = State::Ready { since: 900, until: Some(NOW + 2_000) };
const ABORTED: State = State::Stopping {
    since: 900,
    deadline: NOW + ABORT_GRACE_MS,
    latest: NOW + ABORT_GRACE_MS,
    killed: false,
    why: Why::Hung,
};

type Outcome = (State, Option<Action>);
const BEGIN: Outcome = (SPAWNED, Some(Action::Spawn));
const GONE: Outcome = (DOWN, None);
const HUNG: Outcome = (ABORTED, Some(Action::Abort));

/// Stopping since before, with more time to ask for.
const fn stopping(why: Why) -> State {
    State::Stopping { since: 900, deadline: 2_000, latest: 4_500, killed: false, why }
}

const fn asked_now(why: Why) -> State {
    let latest = NOW + MAX_STOP_MS;
    State::Stopping { since: 900, deadline: NOW + 5_000, latest, killed: false, why }
}

const fn killed_now(why: Why) -> State {
    let deadline = NOW + KILL_AGAIN_MS;
    State::Stopping { since: 900, deadline, latest: deadline, killed: true, why }
}

const fn clearing(next: Next) -> Outcome {
    (State::Clearing { until: NOW + CLEAR_WAIT_MS, next }, Some(Action::Kill))
}

fn retry() -> Next {
    Next::Backoff { until: NOW + backoff_ms(1, NOW, &POLICY) }
}

fn after(state: State, event: Event) -> Outcome {
    let (record, action) = step(&Record { state, ..Record::NEW }, event, NOW, &POLICY);
    (record.state, action)
}

/// The events that mean something to this state; every other leaves it as it is.
#[track_caller]
fn check(state: State, meaning: &[(Event, Outcome)]) {
    for event in EVENTS {
        let known = meaning.iter().find(|(known, _)| *known == event);
        let expected = known.map_or((state, None), |(_, outcome)| *outcome);
        assert_eq!(after(state, event), expected, "{state:?} on {event:?}");
    }
}

#[test]
fn without_a_process_only_wishes_and_time_count() {
    let wishes = [(Event::Start, BEGIN), (Event::Restart, BEGIN), (Event::Stop, GONE)];
    for state in [DOWN, FAILED, BACKOFF] {
        check(state, &wishes);
    }
    check(State::Backoff { until: NOW }, &[&wishes[..], &[(Event::Tick, BEGIN)]].concat());
}

#[test]
fn a_process_answers_every_event() {
    let ends = [
        (Event::Ending, (asked_now(Why::Own), None)),
        (Event::Hung, HUNG),
        (CRASH, clearing(retry())),
        (Event::Stop, (asked_now(Why::Stop), Some(Action::Terminate))),
        (Event::Restart, (asked_now(Why::Restart), Some(Action::Terminate))),
    ];
    let longer = State::Starting { since: 900, until: Some(NOW + 4_000) };
    let starts = [(Event::Ready, (FED, None)), (Event::Extend(4_000), (longer, None))];
    check(STARTING, &[&ends[..], &starts].concat());
    let ready = [(Event::NotReady, (UNREADY, None)), (Event::Alive, (FED, None))];
    check(READY, &[&ends[..], &ready].concat());
    let fed = State::Unready { since: 900, until: Some(NOW + 2_000) };
    let unready = [(Event::Ready, (READY, None)), (Event::Alive, (fed, None))];
    check(UNREADY, &[&ends[..], &unready].concat());
}

#[test]
fn time_runs_out_for_who_is_not_ready_and_for_who_falls_silent() {
    let until = Some(NOW);
    let late = (killed_now(Why::Late), Some(Action::Kill));
    assert_eq!(after(State::Starting { since: 900, until }, Event::Tick), late);
    assert_eq!(after(State::Ready { since: 900, until }, Event::Tick), HUNG);
    assert_eq!(after(State::Unready { since: 900, until }, Event::Tick), HUNG);
    let boundless = State::Starting { since: 900, until: None };
    assert_eq!(after(boundless, Event::Tick), (boundless, None));
    assert_eq!(after(boundless, Event::Extend(5)), (boundless, None));
}

#[test]
fn a_stopping_process_answers_every_event() {
    let more =
        |why| State::Stopping { since: 900, deadline: 4_500, latest: 4_500, killed: false, why };
    let (stop, restart) = ((stopping(Why::Stop), None), (stopping(Why::Restart), None));
    check(
        stopping(Why::Stop),
        &[
            (Event::Extend(4_000), (more(Why::Stop), None)),
            (CRASH, clearing(Next::Down)),
            (Event::Start, restart),
            (Event::Restart, restart),
        ],
    );
    check(
        stopping(Why::Restart),
        &[
            (Event::Extend(4_000), (more(Why::Restart), None)),
            (CRASH, clearing(Next::Start)),
            (Event::Stop, stop),
        ],
    );
    check(
        stopping(Why::Own),
        &[
            (Event::Extend(4_000), (more(Why::Own), None)),
            (CRASH, clearing(retry())),
            (Event::Stop, (asked_now(Why::Stop), Some(Action::Terminate))),
            (Event::Restart, (asked_now(Why::Restart), Some(Action::Terminate))),
        ],
    );
    for why in [Why::Hung, Why::Late] {
        check(stopping(why), &[(CRASH, clearing(retry())), (Event::Stop, stop)]);
    }
}

#[test]
fn a_run_is_over_when_its_last_process_is_gone_or_waited_for_long_enough() {
    let state = |until, next| State::Clearing { until, next };
    let cases = [
        (Next::Start, BEGIN),
        (Next::Backoff { until: 7 }, (State::Backoff { until: 7 }, None)),
        (Next::Down, GONE),
        (Next::Failed, (FAILED, None)),
    ];
    for (next, outcome) in cases {
        let then = |next| (state(2_000, next), None);
        let wishes = [
            (Event::Start, then(Next::Start)),
            (Event::Restart, then(Next::Start)),
            (Event::Stop, then(Next::Down)),
        ];
        check(state(2_000, next), &[&wishes[..], &[(Event::Cleared, outcome)]].concat());
        assert_eq!(after(state(NOW, next), Event::Tick), outcome);
    }
}

#[test]
fn how_long_it_took_to_clear_a_run_is_remembered() {
    let (state, _) = clearing(Next::Down);
    let cleared = |event, after| {
        step(&Record { state, ..Record::NEW }, event, NOW + after, &POLICY).0.cleared_ms
    };
    assert_eq!(cleared(Event::Cleared, 70), 70);
    assert_eq!(cleared(Event::Tick, CLEAR_WAIT_MS), CLEAR_WAIT_MS as u32, "what is left behind");
}

/// The state after its run was cleared at once.
fn end(record: &Record, exit: Exit, now: Ms, policy: &Policy) -> (Record, Option<Action>) {
    let (record, action) = step(record, Event::Exited(exit), now, policy);
    assert_eq!(action, Some(Action::Kill), "what it left behind");
    step(&record, Event::Cleared, now, policy)
}

fn running(state: State) -> Record {
    Record { state, ..Record::NEW }
}

#[test]
fn a_stop_that_is_not_obeyed_ends_in_a_kill_and_is_repeated() {
    let (mut record, _) = step(&running(READY), Event::Stop, NOW, &POLICY);
    let mut kills = 0;
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
fn a_stop_can_be_put_off_but_not_for_ever() {
    let (mut record, _) = step(&running(READY), Event::Stop, NOW, &POLICY);
    let mut now = NOW;
    while now < NOW + MAX_STOP_MS {
        (record, _) = step(&record, Event::Extend(Ms::MAX), now, &POLICY);
        let due = record.deadline().expect("a deadline");
        assert!(due > now && due <= now + MAX_EXTENSION_MS, "{due} at {now}");
        now += MAX_EXTENSION_MS / 2;
    }
    let (_, action) = step(&record, Event::Tick, NOW + MAX_STOP_MS, &POLICY);
    assert_eq!(action, Some(Action::Kill));
}

#[test]
fn back_off_doubles_up_to_its_bound_and_a_good_run_resets_it() {
    let mut record = running(State::Starting { since: 0, until: None });
    let mut now = 0;
    for nominal in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        (record, _) = end(&record, Exit::Signal(9), now, &POLICY);
        let until = record.deadline().expect("in back-off");
        let wait = until - now;
        assert!(wait <= nominal && wait >= nominal - nominal / 10, "{wait} of {nominal}");
        now = until;
        (record, _) = step(&record, Event::Tick, now, &POLICY);
    }
    now += Ms::from(POLICY.good_run_ms);
    let (next, action) = end(&record, Exit::Signal(9), now, &POLICY);
    assert_eq!(action, Some(Action::Spawn), "after a good run the restart is immediate");
    assert_eq!(next.failures, 1);
}

#[test]
fn waits_of_machines_that_failed_at_other_instants_differ() {
    let waits: std::collections::HashSet<Ms> =
        (0..100).map(|now| backoff_ms(9, now, &POLICY)).collect();
    assert!(waits.len() > 80, "{} different waits of 100", waits.len());
}

#[test]
fn the_start_limit_gives_up_and_a_start_by_hand_tries_as_often_again() {
    let policy = Policy { start_limit: 3, ..POLICY };
    let mut record = running(STARTING);
    for _ in 0..2 {
        for _ in 0..2 {
            (record, _) = end(&record, Exit::Signal(9), NOW, &policy);
            let due = record.deadline().expect("in back-off");
            (record, _) = step(&record, Event::Tick, due, &policy);
        }
        (record, _) = end(&record, Exit::Signal(9), NOW, &policy);
        assert_eq!(record.state, State::Failed);
        let action;
        (record, action) = step(&record, Event::Start, NOW, &policy);
        assert_eq!((record.state, action), BEGIN);
    }
}

#[test]
fn restart_policy_decides_by_how_it_ended() {
    let cases = [
        (Restart::Always, Exit::Code(0), true),
        (Restart::Always, Exit::Code(1), true),
        (Restart::Always, Exit::Late, true),
        (Restart::OnCrash, Exit::Code(0), false),
        (Restart::OnCrash, Exit::Code(1), false),
        (Restart::OnCrash, Exit::Code(125), false),
        (Restart::OnCrash, Exit::Signal(11), true),
        (Restart::OnCrash, Exit::Oom, true),
        (Restart::OnCrash, Exit::Hung, true),
        (Restart::OnCrash, Exit::Late, true),
        (Restart::OnCrash, unspawned(Errno::NOENT), false),
        (Restart::OnCrash, unspawned(Errno::AGAIN), true),
        (Restart::Never, Exit::Signal(9), false),
        (Restart::Never, unspawned(Errno::MFILE), true),
    ];
    for (restart, exit, again) in cases {
        let policy = Policy { restart, ..POLICY };
        let (record, _) = end(&running(READY), exit, NOW, &policy);
        let expected =
            if again { State::Backoff { until: record.deadline().unwrap_or(0) } } else { DOWN };
        assert_eq!(record.state, expected, "{restart:?} {exit:?}");
    }
}

fn unspawned(errno: Errno) -> Exit {
    Exit::Spawn { step: SpawnStep::Exec, errno: errno.raw_os_error() as u16 }
}

#[test]
fn some_exit_codes_are_final() {
    for code in 0..=255 {
        let policy = Policy { permanent_exits: [125, 78, 0, 0, 0, 0, 0, 0], ..POLICY };
        let (record, _) = end(&running(READY), Exit::Code(code), NOW, &policy);
        assert_eq!(record.state == State::Failed, matches!(code, 78 | 125), "status {code}");
    }
}

#[test]
fn a_full_machine_is_no_failure_of_the_service() {
    let policy = Policy { start_limit: 2, ..POLICY };
    let mut record = running(STARTING);
    for _ in 0..5 {
        (record, _) = end(&record, unspawned(Errno::AGAIN), NOW, &policy);
        let due = record.deadline().expect("it is tried again");
        (record, _) = step(&record, Event::Tick, due, &policy);
    }
    assert!(matches!(record.state, State::Starting { .. }));
}

#[test]
fn what_init_killed_ended_for_its_reason_whatever_the_status_says() {
    let (hung, _) = step(&running(READY), Event::Hung, NOW, &POLICY);
    let late = State::Starting { since: 900, until: Some(NOW) };
    let (late, _) = step(&running(late), Event::Tick, NOW, &POLICY);
    for (killed, cause) in [(hung, Exit::Hung), (late, Exit::Late)] {
        for exit in [Exit::Signal(6), Exit::Signal(9), Exit::Code(0), Exit::Code(125)] {
            let (record, _) = end(&killed, exit, NOW + 5, &POLICY);
            assert_eq!(record.last_exit.map(|last| last.exit), Some(cause), "{exit:?}");
            assert!(matches!(record.state, State::Backoff { .. }));
        }
    }
    assert_eq!((hung.hangs, late.hangs), (1, 0));
}

#[test]
fn out_of_memory_is_counted_apart() {
    let (record, _) = end(&running(READY), Exit::Oom, NOW, &POLICY);
    assert_eq!((record.oom_kills, record.hangs), (1, 0));
}

#[test]
fn silence_while_nobody_ran_is_forgiven() {
    let woken = NOW + 3_600_000;
    for state in [STARTING, READY, UNREADY] {
        let mut record = running(state);
        record.forgive_silence(woken);
        assert_eq!(step(&record, Event::Tick, woken, &POLICY), (record, None), "{state:?}");
        let due = woken + SILENCE_SLACK_MS;
        assert_ne!(step(&record, Event::Tick, due, &POLICY), (record, None), "{state:?}");
    }
}

#[test]
fn signs_of_life_are_not_worth_telling() {
    let record = running(READY);
    let (fed, _) = step(&record, Event::Alive, NOW, &POLICY);
    assert_ne!(fed, record);
    assert!(fed.looks_like(&record) && !running(UNREADY).looks_like(&record));
}

fn any_event() -> impl Strategy<Value = Event> {
    let exit = prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        (1u8..65).prop_map(Exit::Signal),
        Just(Exit::Oom),
        any::<u16>().prop_map(|errno| Exit::Spawn { step: SpawnStep::Exec, errno }),
    ];
    prop_oneof![
        2 => prop::sample::select(&EVENTS[..]),
        1 => exit.prop_map(Event::Exited),
        1 => any::<Ms>().prop_map(Event::Extend),
    ]
}

proptest! {
    /// Never two processes at once, never a signal to none, never a wait beyond the bound, and
    /// never a start while processes of the run before may live and the wait for them lasts.
    #[test]
    fn any_life_keeps_the_invariants(
        events in prop::collection::vec((any_event(), 0u64..20_000), 0..200),
        start_limit in 0u16..4,
        startup_ms in 0u32..9_000,
        watchdog_ms in 0u32..9_000,
    ) {
        let policy = Policy { start_limit, startup_ms, watchdog_ms, ..POLICY };
        let mut record = Record::NEW;
        let mut now = 0;
        let mut alive = false;
        for (event, passes) in events {
            now += passes;
            if matches!(event, Event::Exited(_)) {
                if !alive { continue; }
                alive = false;
            }
            let before = record;
            let action;
            (record, action) = step(&record, event, now, &policy);
            match action {
                Some(Action::Spawn) => {
                    prop_assert!(!alive);
                    let State::Clearing { until, .. } = before.state else { alive = true; continue };
                    prop_assert!(event == Event::Cleared || until <= now);
                    alive = true;
                }
                Some(Action::Terminate | Action::Abort) => prop_assert!(alive),
                Some(Action::Kill) => {
                    let clears = matches!(record.state, State::Clearing { .. });
                    prop_assert!(alive || clears);
                }
                None => {}
            }
            prop_assert_eq!(record.state.running_since().is_some(), alive);
            if let Some(deadline) = record.deadline() {
                prop_assert!(deadline <= now.saturating_add(MAX_EXTENSION_MS.max(30_000)));
            }
        }
    }
}
