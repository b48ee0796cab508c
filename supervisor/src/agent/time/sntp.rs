//! One SNTP query and its answer (RFC 4330, RFC 5905 section 7.3), and what of it is believed.
//!
//! ```text
//!   1  leap (2 bits) version (3) mode (3)     1  stratum    1  poll    1  precision
//!   4  root delay, s, 16.16                   4  root dispersion, s, 16.16
//!   4  reference id                           8  reference time
//!   8  origin: what the query sent            8  received    8  sent
//! ```
//!
//! Times are seconds since 1900 in 32.32 bits. The query's own time is a random number: the server
//! only sends it back, it proves that the answer is one, and it tells nobody what our clock shows.

use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::clock::BUILT_AT;
use rustix::rand::{GetRandomFlags, getrandom};

use super::select::Sample;

const PACKET_BYTES: usize = 48;
/// No leap warning, version 4, client.
const CLIENT: u8 = 4 << 3 | 3;
const SERVER_MODE: u8 = 4;
const UNSYNCHRONISED: u8 = 3;
/// From 1900 to 1970.
const EPOCH_S: i64 = 2_208_988_800;
/// The 32 bits of seconds come round after 136 years.
const ERA_S: i64 = 1 << 32;
/// Nobody runs this software that long after it was built; a clock that shows more is wrong.
const LATEST_S: i64 = BUILT_AT + 40 * 366 * 86_400;
const MICROS: i64 = 1_000_000;
/// RFC 5905's MAXDIST: an answer that may be wrong by more is of no use.
const MAX_DISTANCE_US: i64 = 1_500_000;

pub(super) struct Query {
    cookie: u64,
    sent_at: Instant,
    /// The wall clock then. It may be stepped before the answer; the other does not.
    sent_unix_us: i64,
}

impl Query {
    pub(super) fn new() -> io::Result<Self> {
        let mut cookie = [0; 8];
        getrandom(&mut cookie, GetRandomFlags::INSECURE)?;
        Ok(Self {
            cookie: u64::from_be_bytes(cookie),
            sent_at: Instant::now(),
            sent_unix_us: unix_us(SystemTime::now()),
        })
    }

    pub(super) fn encode(&self) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = CLIENT;
        packet[40..].copy_from_slice(&self.cookie.to_be_bytes());
        packet
    }

    /// `None` for everything that is not a synchronised server's answer to this query.
    pub(super) fn read(&self, packet: &[u8]) -> Option<Sample> {
        let round_trip = i64::try_from(self.sent_at.elapsed().as_micros()).ok()?;
        self.judge(packet, self.sent_unix_us.checked_add(round_trip)?)
    }

    fn judge(&self, packet: &[u8], received_unix_us: i64) -> Option<Sample> {
        let &[flags, stratum, ..] = packet.first_chunk::<PACKET_BYTES>()?;
        let number = |at: usize| packet.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let believable = flags & 7 == SERVER_MODE
            && flags >> 6 != UNSYNCHRONISED
            && (1..16).contains(&stratum)
            && number(24)? == self.cookie;
        if !believable {
            return None;
        }
        let (their_receive, their_send) = (time_us(number(32)?)?, time_us(number(40)?)?);
        let root = number(4)?;
        let (root_delay, dispersion) = (short_us((root >> 32) as u32), short_us(root as u32));
        let held_us = their_send - their_receive;
        let delay = (received_unix_us - self.sent_unix_us - held_us).max(0);
        let distance_us = delay / 2 + root_delay / 2 + dispersion;
        let there = their_receive - self.sent_unix_us;
        let back = their_send - received_unix_us;
        let sane = held_us >= 0 && distance_us <= MAX_DISTANCE_US;
        sane.then_some(Sample { offset_us: (there + back) / 2, distance_us })
    }
}

/// An answer as it is believed that comes `round_trip_us` after the query: by how much our clock is
/// behind, and how much that may err.
#[cfg(feature = "fuzz")]
pub(crate) fn judged(packet: &[u8], sent_unix_us: i64, round_trip_us: u32) -> Option<(i64, i64)> {
    let cookie = packet.get(24..32)?.try_into().map(u64::from_be_bytes).ok()?;
    let query = Query { cookie, sent_at: Instant::now(), sent_unix_us };
    let sample = query.judge(packet, sent_unix_us.checked_add(round_trip_us.into())?)?;
    Some((sample.offset_us, sample.distance_us))
}

/// Before 1970 there is nothing that we would have to tell apart.
fn unix_us(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Of the eras, the one in which this software exists.
fn time_us(ntp: u64) -> Option<i64> {
    let seconds = (ntp >> 32) as i64 - EPOCH_S;
    let seconds = if seconds < BUILT_AT { seconds + ERA_S } else { seconds };
    let fraction_us = ((ntp & 0xffff_ffff) * MICROS as u64) >> 32;
    (seconds <= LATEST_S).then_some(seconds * MICROS + fraction_us as i64)
}

fn short_us(short: u32) -> i64 {
    (i64::from(short) * MICROS) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_US: i64 = (BUILT_AT + 86_400) * MICROS;

    fn query(sent_unix_us: i64) -> Query {
        Query { cookie: 0x0123_4567_89ab_cdef, sent_at: Instant::now(), sent_unix_us }
    }

    fn ntp(unix_us: i64) -> [u8; 8] {
        let seconds = ((unix_us / MICROS + EPOCH_S) as u64) << 32;
        let fraction = ((unix_us % MICROS) as u64) << 32;
        // Rounded up, as reading rounds down.
        (seconds + fraction.div_ceil(MICROS as u64)).to_be_bytes()
    }

    /// A good server's answer: received at one time, sent at another.
    fn answer(query: &Query, received: i64, sent: i64) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[..4].copy_from_slice(&[4 << 3 | 4, 2, 6, 0xe9]);
        packet[24..32].copy_from_slice(&query.cookie.to_be_bytes());
        packet[32..40].copy_from_slice(&ntp(received));
        packet[40..].copy_from_slice(&ntp(sent));
        packet
    }

    #[test]
    fn offset_and_error_are_those_of_the_rfc() {
        // Our clock is an hour behind; 30 ms there, 10 ms at the server, 10 ms back.
        let hour = 3600 * MICROS;
        let query = query(NOW_US - hour);
        let packet = answer(&query, NOW_US + 30_000, NOW_US + 40_000);
        let sample = query.judge(&packet, NOW_US - hour + 50_000).expect("good");
        assert_eq!(sample, Sample { offset_us: hour + 10_000, distance_us: 20_000 });
    }

    #[test]
    fn a_clock_of_1970_is_put_right_and_2036_is_not_the_end() {
        let query = query(0);
        let packet = answer(&query, NOW_US, NOW_US);
        assert_eq!(query.judge(&packet, 0).map(|sample| sample.offset_us), Some(NOW_US));
        let in_2040 = 2_208_988_800 * MICROS;
        let late = Query { sent_unix_us: in_2040, ..query };
        let packet = answer(&late, in_2040 - ERA_S * MICROS, in_2040 - ERA_S * MICROS);
        assert_eq!(late.judge(&packet, in_2040).map(|sample| sample.offset_us), Some(0));
    }

    #[test]
    fn answers_that_nobody_should_believe_are_not() {
        let query = query(NOW_US);
        let good = answer(&query, NOW_US, NOW_US);
        assert!(query.judge(&good, NOW_US).is_some());
        let with = |at: usize, byte: u8| {
            let mut bad = good;
            bad[at] = byte;
            bad
        };
        let bad = [
            ("a client", with(0, CLIENT)),
            ("a broadcast", with(0, 4 << 3 | 5)),
            ("unsynchronised", with(0, 3 << 6 | 4 << 3 | 4)),
            ("a kiss of death", with(1, 0)),
            ("no stratum", with(1, 16)),
            ("somebody else's", with(31, 0)),
            ("vague", with(8, 1)),
            ("years before this was built", answer(&query, 0, 0)),
            ("sent before it was received", answer(&query, NOW_US + 5, NOW_US)),
        ];
        for (what, packet) in bad {
            assert_eq!(query.judge(&packet, NOW_US), None, "{what}");
        }
        assert_eq!(query.judge(&good[..47], NOW_US), None);
    }

    proptest! {
        #[test]
        fn any_packet_is_judged_without_a_panic(
            packet in prop::collection::vec(any::<u8>(), 0..100),
            sent in 0..LATEST_S * MICROS,
            later in 0i64..10_000_000,
        ) {
            let mut packet = packet;
            let query = query(sent);
            if packet.len() >= 48 {
                packet[0] = 4 << 3 | 4;
                packet[1] = 1;
                packet[24..32].copy_from_slice(&query.cookie.to_be_bytes());
            }
            if let Some(sample) = query.judge(&packet, sent + later) {
                prop_assert!((0..=MAX_DISTANCE_US).contains(&sample.distance_us));
            }
        }
    }
}
