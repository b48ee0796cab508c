//! `maxmemory-policy`: which keys may be evicted, and in which order.

use super::directive::Choices;

/// Which keys go where memory is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// As `maxmemory-policy` and INFO name it.
    pub name: &'static str,
    pub scope: Scope,
    pub order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Nothing,
    All,
    /// Keys with an expiry.
    Volatile,
}

/// Which of several keys goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one not read or written for the longest time.
    Lru,
    /// The one used least often lately.
    Lfu,
    /// The one not written for the longest time (Redis 8.6).
    Lrm,
    Random,
    /// The one that expires first.
    Ttl,
}

const POLICIES: [Eviction; 10] = {
    use Order::{Lfu, Lrm, Lru, Random, Ttl};
    use Scope::{All, Nothing, Volatile};
    const fn policy(name: &'static str, scope: Scope, order: Order) -> Eviction {
        Eviction { name, scope, order }
    }
    [
        policy("volatile-lru", Volatile, Lru),
        policy("volatile-lfu", Volatile, Lfu),
        policy("volatile-random", Volatile, Random),
        policy("volatile-ttl", Volatile, Ttl),
        policy("allkeys-lru", All, Lru),
        policy("allkeys-lfu", All, Lfu),
        policy("allkeys-random", All, Random),
        policy("noeviction", Nothing, Lru),
        policy("volatile-lrm", Volatile, Lrm),
        policy("allkeys-lrm", All, Lrm),
    ]
};

pub(super) const NO_EVICTION: i64 = 7;

/// The names with their places in the table.
pub(super) const CHOICES: Choices = &{
    let mut choices = [("", 0); POLICIES.len()];
    let mut at = 0;
    while at < POLICIES.len() {
        choices[at] = (POLICIES[at].name, at as i64);
        at += 1;
    }
    choices
};

impl Eviction {
    pub(super) fn of_choice(choice: i64) -> Self {
        let policy = usize::try_from(choice).ok().and_then(|at| POLICIES.get(at));
        *policy.expect("the table offers these choices only")
    }
}
