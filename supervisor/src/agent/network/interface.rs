//! DHCP on one interface: the state machine, its socket and its clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::plan::network::{MAX_ROUTES, Route};
use holdfast_supervisor::plan::{Lease as Applied, Plan, StaticNetwork, text};
use rustix::net::{SendFlags, sendto};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::UdpSocket;

use super::arp::{Arp, Rival};
use super::devices::Device;
use super::dhcp::lease::Held;
use super::dhcp::machine::{Client, Event, Loss, Tell};
use super::dhcp::{self, MAX_REPLY_BYTES, Request};
use super::store;
use crate::run::Shared;

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// init reads at once; if it could not, it is told again.
const TELL_AGAIN_MS: Ms = 500;
/// A port that somebody else has may become free.
const SOCKET_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Interface {
    pub(super) device: Device,
    client: Client,
    socket: Option<UdpSocket>,
    arp: Arp,
    /// Who had what a server gave us last; nobody once there is a lease.
    rival: Option<Rival>,
    /// Said once, until it is another one.
    last_error: Option<io::ErrorKind>,
    /// init has heard what became of the lease.
    told: bool,
}

impl Interface {
    /// With the lease that was in force on it before the agent was started again, if there was one.
    pub(super) async fn new(device: Device) -> Self {
        let (held, known) = store::load(&device).await;
        let device = Device { carrier: false, ..device };
        let client = Client::new(held, known);
        Self {
            device,
            client,
            socket: None,
            arp: Arp::default(),
            rival: None,
            last_error: None,
            told: true,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn rival(&self) -> Option<&Rival> {
        self.rival.as_ref()
    }

    pub(super) fn has_lease(&self) -> bool {
        self.client.held().is_some()
    }

    pub(super) fn has_link(&self) -> bool {
        self.device.carrier
    }

    pub(super) fn time_servers(&self) -> Vec<Ipv4Addr> {
        self.client.held().map(|held| held.lease.ntp.clone()).unwrap_or_default()
    }

    /// An answer, or that it is time for something.
    pub(super) async fn next(&mut self) -> Event {
        let retell = (!self.told).then(|| now_ms() + TELL_AGAIN_MS);
        let deadline = self.client.deadline().into_iter().chain(retell).min();
        let tick = async {
            match deadline {
                Some(at) => tokio::time::sleep(until(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reply = hear(self.socket.as_ref(), &self.device) => Event::Heard(reply),
            by = self.arp.rival(self.client.probed(), &self.device) => Event::Taken(by),
            () = tick => Event::Tick,
        }
    }

    pub(super) fn feed(&mut self, event: Event, shared: &Shared) {
        if let (Event::Taken(by), Some(address)) = (&event, self.client.probed()) {
            let rival = Rival::new(address, *by);
            let name = &self.device.name;
            eprintln!("holdfast-agent: {name}: {address} is declined: {} has it", rival.by);
            self.rival = Some(rival);
        }
        let now = now_ms();
        let (client, output) = std::mem::take(&mut self.client).step(event, now, chance());
        self.client = client;
        if let Some(request) = output.send {
            let sent = self.send(&request);
            self.note(sent);
        }
        if let Some(says) = output.says {
            self.arp.say(says, &self.device);
        }
        if !self.client.needs_arp() {
            self.arp.close();
        }
        match output.tell {
            Some(Tell::Lease(_)) => self.leased(shared),
            Some(Tell::Lost(loss)) => self.lost(loss),
            None if self.told => return,
            None => {}
        }
        self.tell(shared);
    }

    /// Its link as it is now.
    pub(super) fn see(&mut self, devices: &[Device], shared: &Shared) {
        let Some(now) = devices.iter().find(|device| device.index == self.device.index) else {
            return;
        };
        let before = std::mem::replace(&mut self.device, now.clone());
        match (before.carrier, now.carrier) {
            (false, true) => self.feed(Event::LinkUp, shared),
            (true, false) => self.feed(Event::LinkDown, shared),
            _ => {}
        }
    }

    /// It was taken away. Its address went with it; init forgets it, too.
    pub(super) fn gone(mut self, shared: &Shared) {
        self.feed(Event::Gone, shared);
    }

    /// What is in force, in full: init compares. Also after a new plan, which reset some of it.
    pub(super) fn tell(&mut self, shared: &Shared) {
        let message = match self.client.held() {
            Some(held) => ToInit::Lease(applied(&self.device.name, held, has_own_name(shared))),
            None => ToInit::NoLease,
        };
        let told = shared.link.send(&message);
        if let Err(error) = &told {
            eprintln!("holdfast-agent: cannot tell init of the lease: {error}");
        }
        self.told = told.is_ok();
    }

    fn leased(&mut self, shared: &Shared) {
        self.rival = None;
        let Some(held) = self.client.held() else { return };
        if shared.network.view.borrow().leased() != Some(held.lease.address) {
            let lease = &held.lease;
            eprintln!(
                "holdfast-agent: {}: {}/{} from {}",
                self.device.name, lease.address, lease.prefix, lease.server
            );
        }
        store::keep(&self.device, held);
    }

    fn lost(&self, loss: Loss) {
        let why = match loss {
            Loss::Refused => "the server has taken its address back",
            Loss::Expired => "its lease is over and nobody has renewed it",
            Loss::Unplugged => "it was taken away",
        };
        eprintln!("holdfast-agent: {}: {why}", self.device.name);
        if loss != Loss::Unplugged {
            store::forget();
        }
    }

    fn send(&mut self, request: &Request) -> io::Result<()> {
        let name = rustix::system::uname();
        let name = name.nodename().to_str().unwrap_or_default();
        let packet = request.encode(self.device.mac, name).ok_or(io::ErrorKind::InvalidInput)?;
        let to = SocketAddrV4::new(request.what.destination(), SERVER_PORT);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.device)?,
        };
        // Not tokio's call: that one waits to be told that a new socket is writable.
        sendto(&socket, &packet, SendFlags::DONTWAIT, &to)?;
        // One that cannot send may be of an interface that was away: the next try opens another.
        self.socket = Some(socket);
        Ok(())
    }

    /// Requests repeat; what prevents them is said once.
    fn note(&mut self, sent: io::Result<()>) {
        let kind = sent.as_ref().err().map(io::Error::kind);
        if let Err(error) = sent
            && self.last_error != kind
        {
            eprintln!("holdfast-agent: {}: cannot ask for an address: {error}", self.device.name);
        }
        self.last_error = kind;
    }
}

/// Broadcasts have no route before there is an address: the socket is tied to the interface.
fn open(device: &Device) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    let socket = UdpSocket::from_std(socket)?;
    socket.bind_device(Some(device.name.as_bytes()))?;
    Ok(socket)
}

/// The next packet that is an answer to this machine.
async fn hear(socket: Option<&UdpSocket>, device: &Device) -> dhcp::Reply {
    let Some(socket) = socket else { return std::future::pending().await };
    let mut buffer = [0; MAX_REPLY_BYTES];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, from)) if from.port() == SERVER_PORT => {
                if let Some(reply) = dhcp::read(&buffer[..len], device.mac) {
                    return reply;
                }
            }
            Ok(_) => {}
            // Such as ENETDOWN, over and over.
            Err(_) => tokio::time::sleep(SOCKET_AGAIN).await,
        }
    }
}

fn until(at: Ms) -> Duration {
    Duration::from_millis(at.saturating_sub(now_ms()))
}

/// Transaction ids and jitter: nobody on the network may guess them, but no key hangs on them, so
/// the machine's start does not wait for entropy.
pub(super) fn chance() -> u64 {
    let mut bytes = [0; 8];
    let filled = getrandom(&mut bytes, GetRandomFlags::INSECURE);
    // A kernel before 5.6 has no such flag; the clock is what is left.
    if filled.is_ok() { u64::from_ne_bytes(bytes) } else { now_ms().wrapping_mul(0x9e37_79b9) }
}

/// Somebody has given the machine a name.
fn has_own_name(shared: &Shared) -> bool {
    shared.config().plan.hostname != Plan::built_in().hostname
}

/// What init would be told of an answer to this machine.
#[cfg(feature = "fuzz")]
pub(crate) fn told(packet: &[u8]) -> Option<ToInit> {
    use super::dhcp::Kind;
    // Whoever it is for: `chaddr` (RFC 2131, 2).
    let mac = packet.get(28..34)?.try_into().ok()?;
    Some(match dhcp::read(packet, mac)?.kind {
        Kind::Offer(lease) | Kind::Ack(lease) => {
            ToInit::Lease(applied("eth0", &Held::new(lease, now_ms()), false))
        }
        Kind::Nak(_) => ToInit::NoLease,
    })
}

/// What init is told: the time that is left, and the server's name for the machine only where nobody
/// else has named it.
fn applied(device: &str, held: &Held, has_own_name: bool) -> Applied {
    let lease = &held.lease;
    let mut dns = lease.dns.iter().copied();
    let left = |at: Ms| u32::try_from(at.saturating_sub(now_ms()) / 1000).unwrap_or(u32::MAX);
    let hostname = lease.hostname.as_deref().filter(|_| !has_own_name);
    let route = |route: &dhcp::lease::Route| Route {
        to: route.to,
        prefix: route.prefix,
        gateway: route.gateway,
    };
    Applied {
        network: StaticNetwork {
            device: text(device),
            address: lease.address,
            prefix: lease.prefix,
            gateway: lease.gateway,
            dns: [dns.next(), dns.next()],
        },
        // 0 would be for ever.
        lease_s: held.expires_at.map_or(0, |at| left(at).max(1)),
        mtu: lease.mtu.unwrap_or(0),
        hostname: text(hostname.unwrap_or_default()),
        domain: text(lease.domain.as_deref().unwrap_or_default()),
        routes: lease.routes.iter().map(route).take(MAX_ROUTES).collect(),
    }
}
