//! A server that is a few lines long, and a clock that is a number.

use super::super::lease::tests::usual;
use super::*;
use proptest::prelude::*;

const HOUR_MS: Ms = 3_600_000;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 20);

fn lease_of(seconds: u32) -> Lease {
    let (renew_s, rebind_s) = (seconds / 2, seconds - seconds / 8);
    Lease { lease_s: Some(seconds), renew_s, rebind_s, ..usual() }
}

/// A client, its time, and what it has sent.
struct Run {
    client: Client,
    now: Ms,
    sent: Vec<(Ms, Request)>,
    said: Vec<(Ms, Says)>,
    told: Vec<Tell>,
}

impl Run {
    fn new(client: Client) -> Self {
        Self { client, now: 1_000, sent: Vec::new(), said: Vec::new(), told: Vec::new() }
    }

    fn up() -> Self {
        let mut run = Self::new(Client::default());
        run.feed(Event::LinkUp);
        run
    }

    /// With an hour's lease, of which nothing is over.
    fn bound() -> Self {
        let mut run = Self::up();
        let asked_at = run.now;
        run.be_given(lease_of(3600));
        run.be_alone();
        run.now = asked_at;
        run
    }

    /// Its address is probed for from now on.
    fn be_given(&mut self, lease: Lease) {
        self.answer(Kind::Offer(lease.clone()));
        self.answer(Kind::Ack(lease));
        assert!(matches!(self.client.state, State::Probing(..)), "{:?}", self.client.state);
    }

    /// Nobody says that the address is theirs.
    fn be_alone(&mut self) {
        while self.client.probed().is_some() {
            self.pass(10);
        }
        assert_eq!(self.client.state, State::Bound);
    }

    fn feed(&mut self, event: Event) {
        // Different at every step, the same in every run.
        let chance = (self.now + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (client, output) = std::mem::take(&mut self.client).step(event, self.now, chance);
        self.client = client;
        self.sent.extend(output.send.map(|request| (self.now, request)));
        self.said.extend(output.says.map(|says| (self.now, says)));
        self.told.extend(output.tell);
    }

    /// To the last request.
    fn answer(&mut self, kind: Kind) {
        let xid = self.sent.last().expect("something was asked").1.xid;
        self.feed(Event::Heard(Reply { xid, kind }));
    }

    /// Lets time go by, with every tick that is due in it. What was due before it is, at once: a
    /// lease counts from its request, so that of a late answer may be half over.
    fn pass(&mut self, ms: Ms) {
        let end = self.now + ms;
        while let Some(due) = self.client.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.feed(Event::Tick);
            let next = self.client.deadline();
            let is_later = next.is_none_or(|next| next > self.now);
            assert!(is_later, "a busy loop: {:?} at {}", self.client.state, self.now);
        }
        self.now = end;
    }

    fn asked(&self) -> Vec<Asks> {
        self.sent.iter().map(|(_, request)| request.what).collect()
    }

    fn last(&self) -> Option<Asks> {
        self.sent.last().map(|(_, request)| request.what)
    }
}

#[test]
fn four_messages_make_a_lease() {
    let run = Run::bound();
    let select = Asks::Select { address: ADDRESS, server: usual().server };
    assert_eq!(run.asked(), [Asks::Discover, select]);
    assert_eq!(run.sent[0].1.xid, run.sent[1].1.xid);
    assert_eq!(run.told, [Tell::Lease(lease_of(3600))]);
}

#[test]
fn an_address_is_used_when_three_questions_went_unanswered_and_is_announced_twice() {
    let mut run = Run::up();
    run.be_given(lease_of(3600));
    assert_eq!(run.told, [], "not yet");
    run.be_alone();
    let bound_at = run.now;
    assert_eq!(run.told, [Tell::Lease(lease_of(3600))]);
    run.pass(60_000);
    let said: Vec<Says> = run.said.iter().map(|(_, says)| *says).collect();
    let (probe, announce) = (Says::Probe(ADDRESS), Says::Announce(ADDRESS));
    assert_eq!(said, [probe, probe, probe, announce, announce]);
    assert!(run.said[3].0 <= bound_at && run.said[4].0 == run.said[3].0 + 2_000);
    assert!(!run.client.needs_arp());
}

#[test]
fn an_address_that_somebody_has_is_declined_and_another_is_asked_for_ever_more_rarely() {
    let mut run = Run::up();
    let mut waits = Vec::new();
    for _ in 0..10 {
        run.be_given(lease_of(3600));
        run.feed(Event::Taken([6; 6]));
        let declined = Asks::Decline { address: ADDRESS, server: usual().server };
        assert_eq!(run.last(), Some(declined));
        let wait = run.client.deadline().map_or(0, |at| at - run.now);
        waits.push(wait);
        run.pass(wait);
        assert_eq!(run.last(), Some(Asks::Discover));
    }
    assert_eq!(run.told, [], "it was never used");
    assert!(waits.iter().all(|wait| (10_000..=65_000).contains(wait)), "{waits:?}");
    assert!(waits[4..].iter().all(|wait| *wait >= 63_000), "{waits:?}");
    run.be_given(lease_of(3600));
    run.be_alone();
    assert_eq!(run.told.len(), 1);
}

#[test]
fn an_address_in_force_is_confirmed_without_a_question() {
    let mut run = Run::bound();
    run.feed(Event::LinkDown);
    run.feed(Event::LinkUp);
    let said = run.said.len();
    run.answer(Kind::Ack(lease_of(3600)));
    assert_eq!(run.client.state, State::Bound);
    run.feed(Event::Taken([6; 6]));
    assert_eq!((run.client.state.clone(), run.said.len()), (State::Bound, said));
}

#[test]
fn silence_is_asked_into_ever_more_rarely_and_for_ever() {
    let mut run = Run::up();
    run.pass(HOUR_MS);
    let times: Vec<Ms> = run.sent.iter().map(|(at, _)| *at).collect();
    let waits: Vec<Ms> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] < 3_000 && waits[1] < 6_000, "{waits:?}");
    assert!(waits[6..].iter().all(|wait| (63_000..=65_000).contains(wait)), "{waits:?}");
    assert!((55..70).contains(&times.len()), "{} in an hour", times.len());
    run.be_given(usual());
    run.be_alone();
}

#[test]
fn a_lease_is_renewed_at_half_its_time_by_asking_its_server() {
    let mut run = Run::bound();
    run.pass(HOUR_MS / 2 - 1);
    assert_eq!(run.sent.len(), 2, "nothing before T1");
    run.pass(2);
    assert_eq!(run.last(), Some(Asks::Renew { address: ADDRESS, server: usual().server }));
    run.answer(Kind::Ack(lease_of(7200)));
    assert_eq!(run.client.state, State::Bound);
    let expires_at = run.client.held().and_then(|held| held.expires_at);
    assert_eq!(expires_at, run.sent.last().map(|(at, _)| at + 2 * HOUR_MS));
}

#[test]
fn a_short_lease_that_came_late_is_renewed_at_once() {
    let mut run = Run::bound();
    run.pass(HOUR_MS / 2 + 1);
    let renew = Some(Asks::Renew { address: ADDRESS, server: usual().server });
    assert_eq!((run.sent.len(), run.last()), (3, renew));
    // It counts from the request: five of its ten seconds until T1 are over.
    run.now += 8_000;
    run.answer(Kind::Ack(lease_of(10)));
    assert_eq!(run.client.state, State::Bound);
    run.pass(0);
    assert_eq!((run.sent.len(), run.last()), (4, renew));
    assert!(run.client.held().is_some());
}

#[test]
fn without_an_answer_everybody_is_asked_and_then_the_lease_is_over() {
    let mut run = Run::bound();
    run.pass(HOUR_MS * 7 / 8 + 10);
    assert_eq!(run.last(), Some(Asks::Rebind { address: ADDRESS }));
    assert_eq!(run.told.len(), 1, "it holds on");
    run.pass(HOUR_MS / 8);
    assert_eq!(run.told.last(), Some(&Tell::Lost(Loss::Expired)));
    assert_eq!(run.last(), Some(Asks::Discover));
    assert!(run.sent.len() < 30, "{}", run.sent.len());
}

#[test]
fn the_shortest_lease_is_asked_for_more_than_once_before_it_is_over() {
    let mut run = Run::up();
    run.be_given(lease_of(10));
    run.pass(9_990);
    let renewals = run.asked().iter().filter(|asks| matches!(asks, Asks::Renew { .. })).count();
    assert!((2..=5).contains(&renewals), "{renewals}");
    assert!(run.asked().contains(&Asks::Rebind { address: ADDRESS }));
}

#[test]
fn a_refusal_takes_the_address_away_and_is_not_hurried() {
    let mut run = Run::bound();
    run.pass(HOUR_MS / 2 + 1);
    run.answer(Kind::Nak(None));
    assert_eq!(run.told.last(), Some(&Tell::Lost(Loss::Refused)));
    let mut waits = Vec::new();
    for _ in 0..10 {
        let wait = run.client.deadline().map_or(0, |at| at - run.now);
        waits.push(wait);
        run.pass(wait);
        assert_eq!(run.last(), Some(Asks::Discover));
        run.answer(Kind::Offer(usual()));
        run.answer(Kind::Nak(Some(usual().server)));
    }
    assert!(waits[0] <= 1_250 && waits[1..4].iter().is_sorted(), "{waits:?}");
    assert!(waits[6..].iter().all(|wait| *wait >= 63_000), "{waits:?}");
}

#[test]
fn refusals_and_answers_of_strangers_are_ignored() {
    let mut run = Run::up();
    let stranger = Ipv4Addr::new(192, 168, 7, 66);
    let xid = run.sent[0].1.xid;
    run.feed(Event::Heard(Reply { xid: !xid, kind: Kind::Offer(usual()) }));
    run.feed(Event::Heard(Reply { xid, kind: Kind::Ack(usual()) }));
    assert!(matches!(run.client.state, State::Selecting(_)));
    run.answer(Kind::Offer(usual()));
    run.feed(Event::Heard(Reply { xid, kind: Kind::Nak(Some(stranger)) }));
    run.feed(Event::Heard(Reply { xid, kind: Kind::Ack(Lease { server: stranger, ..usual() }) }));
    assert!(matches!(run.client.state, State::Requesting(..)));
    assert_eq!(run.told, []);
}

#[test]
fn a_link_that_comes_back_asks_for_the_same_address_and_keeps_it_meanwhile() {
    let mut run = Run::bound();
    run.feed(Event::LinkDown);
    run.pass(60_000);
    run.feed(Event::LinkUp);
    assert_eq!(run.last(), Some(Asks::Reboot { address: ADDRESS }));
    assert!(run.client.held().is_some());
    run.pass(30_000);
    assert_eq!(run.last(), Some(Asks::Discover), "nobody knows the address here");
    assert_eq!(run.told.len(), 1, "and still it is ours");
    let elsewhere = Lease { address: Ipv4Addr::new(10, 1, 1, 1), ..usual() };
    run.be_given(elsewhere.clone());
    assert_eq!(run.told.len(), 1, "until it is known that nobody else has the new one");
    run.be_alone();
    assert_eq!(run.told.last(), Some(&Tell::Lease(elsewhere)));
}

#[test]
fn a_lease_that_runs_out_while_the_link_is_down_is_lost_once() {
    let mut run = Run::bound();
    run.feed(Event::LinkDown);
    run.pass(3 * HOUR_MS);
    assert_eq!(run.told[1..], [Tell::Lost(Loss::Expired)]);
    run.feed(Event::LinkUp);
    assert_eq!(run.last(), Some(Asks::Discover));
}

#[test]
fn an_agent_that_starts_again_confirms_the_lease_it_has() {
    let held = Held::new(lease_of(3600), 900);
    let mut run = Run::new(Client::new(Some(held), None));
    run.feed(Event::LinkUp);
    assert_eq!(run.last(), Some(Asks::Reboot { address: ADDRESS }));
    run.pass(2 * HOUR_MS);
    assert_eq!(run.told, [Tell::Lost(Loss::Expired)]);
    let mut next_boot = Run::new(Client::new(None, Some(ADDRESS)));
    next_boot.feed(Event::LinkUp);
    next_boot.answer(Kind::Nak(None));
    assert_eq!(next_boot.told, [], "nothing was in force");
}

#[test]
fn a_device_that_is_taken_away_takes_its_lease_along() {
    let mut run = Run::bound();
    run.feed(Event::Gone);
    assert_eq!(run.told.last(), Some(&Tell::Lost(Loss::Unplugged)));
    assert_eq!(run.client.deadline(), None);
    run.feed(Event::LinkUp);
    assert_eq!(run.last(), Some(Asks::Reboot { address: ADDRESS }));
}

#[derive(Debug, Clone)]
enum Move {
    Link(bool),
    Gone,
    Offer(u32, bool),
    Ack(u32, bool),
    Nak(bool, bool),
    Taken,
    Pass(Ms),
}

fn moves() -> impl Strategy<Value = Move> {
    let seconds = 10u32..100_000;
    prop_oneof![
        1 => any::<bool>().prop_map(Move::Link),
        1 => Just(Move::Gone),
        4 => (seconds.clone(), any::<bool>()).prop_map(|(s, x)| Move::Offer(s, x)),
        4 => (seconds, any::<bool>()).prop_map(|(s, x)| Move::Ack(s, x)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(s, x)| Move::Nak(s, x)),
        1 => Just(Move::Taken),
        2 => (0u64..2_000).prop_map(Move::Pass),
        4 => (0u64..200_000_000).prop_map(Move::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens in whatever order: no busy loop, no flood, no lease beyond its time or
    /// without an ACK, and init's view is the client's.
    #[test]
    fn any_history_keeps_the_promises(history in prop::collection::vec(moves(), 1..60)) {
        let mut run = Run::new(Client::default());
        for step in history {
            let before = (run.now, run.sent.len());
            let xid = |known: bool| run.sent.last().map_or(0, |(_, r)| r.xid) ^ u32::from(!known);
            match step {
                Move::Link(true) => run.feed(Event::LinkUp),
                Move::Link(false) => run.feed(Event::LinkDown),
                Move::Gone => run.feed(Event::Gone),
                Move::Offer(s, known) => {
                    run.feed(Event::Heard(Reply { xid: xid(known), kind: Kind::Offer(lease_of(s)) }));
                }
                Move::Ack(s, known) => {
                    run.feed(Event::Heard(Reply { xid: xid(known), kind: Kind::Ack(lease_of(s)) }));
                }
                Move::Nak(said, known) => {
                    let kind = Kind::Nak(said.then_some(usual().server));
                    run.feed(Event::Heard(Reply { xid: xid(known), kind }));
                }
                Move::Taken => run.feed(Event::Taken([6; 6])),
                Move::Pass(ms) => run.pass(ms),
            }
            let in_force = run.client.held().is_some();
            let told = matches!(run.told.last(), Some(Tell::Lease(_)));
            prop_assert_eq!(in_force, told, "what init was told is what is in force");
            let needs_lease =
                matches!(run.client.state, State::Bound | State::Renewing(_) | State::Rebinding(_));
            prop_assert!(in_force || !needs_lease);
            let over = run.client.held().is_some_and(|held| held.is_over(run.now));
            prop_assert!(!over || run.client.deadline().is_some_and(|due| due <= run.now));
            let most = 8 + (run.now - before.0) / 900;
            prop_assert!(((run.sent.len() - before.1) as u64) < most, "a flood");
        }
    }
}
