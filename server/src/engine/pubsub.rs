//! Publish and subscribe: who listens to which channel. Delivery is a copy into each subscriber's
//! outbox; nothing is kept for those who are not there.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Client, Engine, Slot};
use crate::config::notify::Class;
use crate::glob;

/// Channels, patterns and shard channels are three worlds of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Channel,
    Pattern,
    Shard,
}

/// What one client listens to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_topic: [BTreeSet<Box<[u8]>>; 3],
    bytes: usize,
}

/// What a name costs beyond its bytes, once with the client and once with the channel: places in
/// ordered and hashed sets.
const NAME_OVERHEAD: usize = 128;

impl Subscriptions {
    /// Bytes that they take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.by_topic.iter().all(BTreeSet::is_empty)
    }

    pub fn len(&self, topic: Topic) -> usize {
        self.by_topic[topic as usize].len()
    }

    /// The names under a topic, in order.
    pub fn names(&self, topic: Topic) -> Vec<Box<[u8]>> {
        self.by_topic[topic as usize].iter().cloned().collect()
    }
}

type Listeners = HashMap<Box<[u8]>, BTreeSet<Slot>>;

/// Who listens to what, of all clients. Holds no empty sets.
#[derive(Debug, Default)]
pub struct PubSub {
    by_topic: [Listeners; 3],
    /// Clients that listen to something.
    subscribers: HashSet<Slot>,
}

impl PubSub {
    /// Clients that listen to anything.
    pub fn clients(&self) -> usize {
        self.subscribers.len()
    }

    pub fn is_subscriber(&self, slot: Slot) -> bool {
        self.subscribers.contains(&slot)
    }

    /// How many different names somebody listens to.
    pub fn len(&self, topic: Topic) -> usize {
        self.by_topic[topic as usize].len()
    }

    pub fn listeners(&self, topic: Topic, name: &[u8]) -> usize {
        self.by_topic[topic as usize].get(name).map_or(0, BTreeSet::len)
    }

    pub fn names(&self, topic: Topic) -> impl Iterator<Item = &[u8]> {
        self.by_topic[topic as usize].keys().map(|name| &**name)
    }

    /// Has a client listen; false if it did already.
    pub fn subscribe(&mut self, client: &mut Client, topic: Topic, name: &[u8]) -> bool {
        let is_new = client.subscriptions.by_topic[topic as usize].insert(name.into());
        if is_new {
            self.subscribers.insert(client.slot);
            client.subscriptions.bytes += 2 * name.len() + NAME_OVERHEAD;
            let listeners = self.by_topic[topic as usize].entry(name.into()).or_default();
            listeners.insert(client.slot);
        }
        is_new
    }

    /// Ends it; false if the client did not listen.
    pub fn unsubscribe(&mut self, client: &mut Client, topic: Topic, name: &[u8]) -> bool {
        if !client.subscriptions.by_topic[topic as usize].remove(name) {
            return false;
        }
        client.subscriptions.bytes -= 2 * name.len() + NAME_OVERHEAD;
        let listeners = &mut self.by_topic[topic as usize];
        if let Some(slots) = listeners.get_mut(name) {
            slots.remove(&client.slot);
            if slots.is_empty() {
                listeners.remove(name);
            }
        }
        if client.subscriptions.is_empty() {
            self.subscribers.remove(&client.slot);
        }
        true
    }

    /// Ends all of a client's subscriptions.
    pub fn unsubscribe_all(&mut self, client: &mut Client) {
        for topic in [Topic::Channel, Topic::Pattern, Topic::Shard] {
            for name in client.subscriptions.names(topic) {
                self.unsubscribe(client, topic, &name);
            }
        }
    }
}

impl Engine {
    /// PUBLISH and SPUBLISH; how many received it.
    pub(crate) fn publish(&mut self, topic: Topic, channel: &[u8], message: &[u8]) -> usize {
        let Self { pubsub, clients, .. } = self;
        let mut receivers = 0;
        let word: &[u8] = if topic == Topic::Shard { b"smessage" } else { b"message" };
        for slot in pubsub.by_topic[topic as usize].get(channel).into_iter().flatten() {
            receivers += 1;
            clients.post(*slot, |reply| {
                reply.push(3);
                [word, channel, message].iter().for_each(|part| reply.bulk(part));
            });
        }
        if topic == Topic::Shard {
            return receivers;
        }
        for (pattern, slots) in &pubsub.by_topic[Topic::Pattern as usize] {
            if !glob::matches(pattern, channel, false) {
                continue;
            }
            for slot in slots {
                receivers += 1;
                clients.post(*slot, |reply| {
                    reply.push(4);
                    let parts: [&[u8]; 4] = [b"pmessage", pattern, channel, message];
                    parts.iter().for_each(|part| reply.bulk(part));
                });
            }
        }
        receivers
    }

    /// Tells those who listen to keyspace events, where `notify-keyspace-events` has the class.
    #[inline]
    pub(crate) fn notify(&mut self, class: Class, event: &str, db: usize, key: &[u8]) {
        if self.config.settings().keyspace_events.contains(class) && self.pubsub.clients() > 0 {
            self.publish_event(event, db, key);
        }
    }

    #[cold]
    fn publish_event(&mut self, event: &str, db: usize, key: &[u8]) {
        let classes = self.config.settings().keyspace_events;
        if classes.contains(Class::KEYSPACE) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(Topic::Channel, &channel, event.as_bytes());
        }
        if classes.contains(Class::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(Topic::Channel, channel.as_bytes(), key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    #[test]
    fn a_message_reaches_channels_and_patterns_in_each_ones_protocol() {
        let mut world = World::new();
        let (a, b, other) = (world.connect(), world.connect(), world.connect());
        world.run(b, "HELLO 3");
        assert_eq!(world.run(a, "SUBSCRIBE news"), "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        world.run(b, "PSUBSCRIBE n*");
        assert_eq!(world.run(other, "PUBLISH news hi"), ":2\r\n");
        assert_eq!(world.messages(a), "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
        assert_eq!(
            world.messages(b),
            ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
        );
        assert_eq!(world.run(other, "SPUBLISH news hi"), ":0\r\n");
        assert_eq!(world.messages(a), "");
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut world = World::new();
        let (a, b) = (world.connect(), world.connect());
        world.run(a, "SUBSCRIBE one two");
        world.run(a, "SSUBSCRIBE one");
        world.run(b, "SUBSCRIBE one");
        world.engine.disconnect(a);
        assert_eq!(world.engine.pubsub.clients(), 1);
        world.run(b, "UNSUBSCRIBE");
        assert_eq!(world.engine.pubsub.clients(), 0);
        assert_eq!(world.run(b, "PUBSUB CHANNELS"), "*0\r\n");
    }

    #[test]
    fn a_resp2_subscriber_may_only_subscribe_and_ping() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SUBSCRIBE one");
        assert!(world.run(client, "GET x").starts_with("-ERR Can't execute 'get': only"));
        assert_eq!(world.run(client, "PING"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
        assert_eq!(world.run(client, "RESET"), "+RESET\r\n");
        assert_eq!(world.run(client, "GET x"), "$-1\r\n");
    }

    /// Executes commands one after the other; the events that each brought, by name.
    fn events_of(commands: &[&str]) -> Vec<String> {
        let mut world = World::new();
        let (client, listener) = (world.connect(), world.connect());
        world.run(client, "CONFIG SET notify-keyspace-events EAnm");
        world.run(listener, "HELLO 3");
        world.run(listener, "PSUBSCRIBE __keyevent@0__:*");
        let told = |world: &mut World, command: &str| {
            world.run(client, command);
            let messages = world.messages(listener);
            let names = messages.split("__keyevent@0__:").skip(2).step_by(2);
            names.filter_map(|rest| rest.split("\r\n").next()).collect::<Vec<_>>().join(" ")
        };
        commands.iter().map(|command| told(&mut world, command)).collect()
    }

    #[test]
    fn changes_are_told_by_the_names_that_redis_has_for_them() {
        for (history, told) in [
            (&["SET k 1", "SET k 2"][..], &["new set", "set"][..]),
            (&["SET k 1 EX 9", "GETEX k PERSIST"], &["new set expire", "persist"]),
            (&["INCR k", "INCRBYFLOAT k 1", "DEL k"], &["new incrby", "incrbyfloat", "del"]),
            (&["APPEND k x", "SETRANGE k 3 x"], &["new append", "setrange"]),
            (&["SETBIT k 3 1", "GETDEL k"], &["new setbit", "del"]),
            (&["MSET a 1 b 2", "UNLINK a b"], &["new set new set", "del del"]),
            (
                &["SET a 1", "RENAME a b", "COPY b c"],
                &["new set", "rename_from rename_to", "copy_to"],
            ),
            (&["SET k 1", "EXPIRE k 9", "PERSIST k"], &["new set", "expire", "persist"]),
            (&["SET k 1", "EXPIRE k 0", "GET k"], &["new set", "expired", "keymiss"]),
        ] {
            assert_eq!(events_of(history), told, "{history:?}");
        }
    }

    #[test]
    fn a_key_whose_time_is_over_is_told_of_once() {
        for look in [Some("GET k"), None] {
            let mut world = World::new();
            let (client, listener) = (world.connect(), world.connect());
            world.run(client, "CONFIG SET notify-keyspace-events Kx");
            world.run(listener, "SUBSCRIBE __keyspace@0__:k");
            world.run(client, "SET k 1 PX 10");
            world.pass_ms(10);
            look.map(|look| world.run(client, look));
            world.tick();
            let message = "*3\r\n$7\r\nmessage\r\n$16\r\n__keyspace@0__:k\r\n$7\r\nexpired\r\n";
            assert_eq!(world.messages(listener), message, "{look:?}");
        }
    }
}
