//! Years of a keeper's life by a virtual clock.

use proptest::prelude::*;

use super::*;

const START: Unix = 1_800_000_000;
const LIFE_S: i64 = 14 * DAY_S;

/// A keeper whose certificates always succeed, on clocks that the test turns.
struct World {
    record: Record,
    wall: Unix,
    mono: Ms,
    standing: Standing,
    entropy: bool,
    made: Vec<(Unix, Reason)>,
}

impl World {
    fn new() -> Self {
        let (standing, entropy) = (Standing::Plausible, true);
        let record = Record::default();
        Self { record, wall: START, mono: 1, standing, entropy, made: Vec::new() }
    }

    /// One that has its first certificate.
    fn settled() -> Self {
        let mut world = Self::new();
        assert_eq!(world.look(), Decision::Make(Reason::Missing));
        world
    }

    fn now(&self) -> Now {
        Now { wall: self.wall, mono: self.mono, standing: self.standing, entropy: self.entropy }
    }

    fn tell(&mut self, event: Event) -> Decision {
        let (record, decision) = self.record.step(event, self.now());
        self.record = record;
        decision
    }

    fn look(&mut self) -> Decision {
        let decision = self.tell(Event::Look);
        if let Decision::Make(reason) = decision {
            self.made.push((self.wall, reason));
            let held = self.leaf();
            assert_eq!(self.tell(Event::Made(held)), Decision::Wait);
        }
        decision
    }

    fn leaf(&self) -> Held {
        let not_before = self.wall - BACKDATE_S;
        Held { not_before, not_after: self.wall + LIFE_S, jitter: 128, fits: true }
    }

    fn pass(&mut self, seconds: i64) {
        self.wall += seconds;
        self.mono += seconds.unsigned_abs() * 1000;
    }

    /// Looks every minute for this long.
    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds / 60 {
            self.pass(60);
            self.look();
        }
    }

    /// Both clocks go on in a new process, which finds the certificate on disk.
    fn restart(&mut self, off_s: i64) -> Decision {
        self.pass(off_s);
        let held = self.record.held;
        (self.record, self.mono) = (Record::default(), 1);
        self.tell(Event::Found(held));
        self.look()
    }
}

#[test]
fn renewal_is_two_thirds_into_the_life_and_the_certificate_never_runs_out() {
    let mut world = World::settled();
    for _ in 0..3 {
        let before = world.record.held.expect("held");
        world.run(10 * DAY_S);
        let (at, reason) = *world.made.last().expect("renewed");
        let third = (at - before.not_before - BACKDATE_S) * 100 / LIFE_S;
        assert!((61..=67).contains(&third), "renewed at {third} % of its life");
        assert_eq!(reason, Reason::Due);
    }
    world.run(300 * DAY_S);
    assert!((30..40).contains(&world.made.len()), "{} in a year", world.made.len());
}

#[test]
fn machines_made_alike_do_not_renew_in_step() {
    let leaf = World::new().leaf();
    let due: Vec<Unix> = [0, 128, 255].map(|jitter| Held { jitter, ..leaf }.due()).into();
    assert!(due[0] - due[1] > 6 * 3600 && due[1] - due[2] > 6 * 3600, "{due:?}");
}

#[test]
fn after_sixty_days_off_a_new_one_is_made_at_once() {
    let mut world = World::settled();
    assert_eq!(world.restart(60 * DAY_S), Decision::Make(Reason::Expired));
    assert!(world.record.held.expect("held").is_valid_at(world.wall));
}

#[test]
fn a_restart_within_its_life_makes_nothing() {
    let mut world = World::settled();
    assert_eq!(world.restart(DAY_S), Decision::Wait);
}

#[test]
fn what_is_lost_from_the_disk_is_made_again() {
    let mut world = World::settled();
    assert_eq!(world.tell(Event::Found(None)), Decision::Wait, "just made one");
    world.pass(60);
    assert_eq!(world.look(), Decision::Make(Reason::Missing));
}

#[test]
fn a_clock_at_1970_makes_nothing_and_the_old_one_is_kept() {
    let mut world = World::settled();
    let held = world.record.held;
    world.restart(0);
    (world.wall, world.standing) = (42, Standing::BelowFloor);
    for _ in 0..100 {
        world.pass(3600);
        assert_eq!(world.look(), Decision::AwaitClock);
    }
    assert_eq!(world.record.held, held);
    (world.wall, world.standing) = (START + 60 * DAY_S, Standing::Plausible);
    assert_eq!(world.look(), Decision::Make(Reason::Expired), "as soon as the clock is set");
}

#[test]
fn ten_years_ahead_and_back_make_two_certificates_not_a_stream() {
    let mut world = World::settled();
    world.run(3600);
    world.wall += 3650 * DAY_S;
    world.standing = Standing::Leapt;
    assert_eq!(world.look(), Decision::Make(Reason::Expired));
    world.run(3600);
    world.wall -= 3650 * DAY_S;
    world.standing = Standing::Plausible;
    assert_eq!(world.look(), Decision::Make(Reason::NotYetValid));
    world.run(3600);
    assert_eq!(world.made.len(), 3, "{:?}", world.made);
}

#[test]
fn a_clock_that_flaps_costs_one_certificate_a_minute_at_most() {
    let mut world = World::settled();
    for second in 0..600 {
        world.pass(1);
        world.wall += if second % 2 == 0 { 3650 * DAY_S } else { -3650 * DAY_S };
        world.look();
    }
    assert!(world.made.len() <= 11, "{}", world.made.len());
}

#[test]
fn without_randomness_nothing_is_made_until_there_is_some() {
    let mut world = World::new();
    world.entropy = false;
    assert_eq!(world.look(), Decision::AwaitEntropy);
    world.entropy = true;
    assert_eq!(world.look(), Decision::Make(Reason::Missing));
}

#[test]
fn failures_are_retried_with_growing_pauses() {
    let mut world = World::new();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(world.tell(Event::Failed), Decision::Wait);
        let start = world.mono;
        while world.tell(Event::Look) == Decision::Wait {
            world.pass(1);
        }
        pauses.push((world.mono - start) / 1000);
    }
    assert_eq!(pauses[..5], [10, 20, 40, 80, 160]);
    assert_eq!(pauses[11], 3600);
    let held = world.leaf();
    world.tell(Event::Made(held));
    assert_eq!(world.record.failures, 0, "a success forgives");
}

#[test]
fn new_names_wait_for_the_pause_and_an_operator_does_not() {
    let mut world = World::settled();
    let unfit = world.record.held.map(|held| Held { fits: false, ..held });
    assert_eq!(world.tell(Event::Found(unfit)), Decision::Wait);
    assert_eq!(world.tell(Event::Asked), Decision::Make(Reason::Asked));
    world.pass(60);
    assert_eq!(world.look(), Decision::Make(Reason::Asked));
    assert_eq!(world.look(), Decision::Wait, "asked once");
}

#[test]
fn an_authority_is_replaced_only_by_a_clock_that_can_be_believed() {
    let world = World::new();
    let now = world.now();
    let year = 365 * DAY_S;
    let authority = |from: i64, years: i64| {
        Some(Authority { not_before: START + from, not_after: START + years * year })
    };
    let leaf_end = START + LIFE_S;
    assert_eq!(anchor(None, leaf_end, false, now), Anchor::Create);
    assert_eq!(anchor(authority(-1, 10), leaf_end, false, now), Anchor::Use);
    assert_eq!(anchor(authority(-1, 0), leaf_end, false, now), Anchor::Create, "at its end");
    assert_eq!(anchor(authority(1, 10), leaf_end, false, now), Anchor::Create, "of a false future");
    assert_eq!(anchor(authority(-1, 10), leaf_end, true, now), Anchor::Create, "asked for");
    let leapt = Now { standing: Standing::Leapt, ..now };
    assert_eq!(anchor(authority(-1, 10), leaf_end, true, leapt), Anchor::Hold);
    assert_eq!(anchor(authority(-1, 0), leaf_end, false, leapt), Anchor::Hold);
    assert_eq!(anchor(None, leaf_end, false, leapt), Anchor::Create, "nobody knows one yet");
}

fn any_event() -> impl Strategy<Value = Event> {
    let held = (any::<i64>(), any::<i64>(), any::<u8>(), any::<bool>()).prop_map(
        |(not_before, not_after, jitter, fits)| Held { not_before, not_after, jitter, fits },
    );
    prop_oneof![
        Just(Event::Look),
        Just(Event::Failed),
        Just(Event::Asked),
        Just(Event::Found(None)),
        held.clone().prop_map(|held| Event::Found(Some(held))),
        held.prop_map(Event::Made),
    ]
}

proptest! {
    #[test]
    fn no_history_makes_one_without_randomness_or_below_the_floor(
        events in prop::collection::vec(any_event(), 1..40),
        walls in prop::collection::vec(any::<i64>(), 40),
        below in any::<bool>(),
    ) {
        let standing = if below { Standing::BelowFloor } else { Standing::Plausible };
        let mut record = Record::default();
        for (at, (event, wall)) in events.into_iter().zip(walls).enumerate() {
            let now = Now { wall, mono: at as Ms * 1000, standing, entropy: below };
            let decision;
            (record, decision) = record.step(event, now);
            prop_assert!(!matches!(decision, Decision::Make(_)));
        }
    }
}
