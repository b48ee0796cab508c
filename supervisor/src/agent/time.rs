//! The true time, from servers on the network: asked here, judged here, applied by init.
//!
//! A container's clock is its host's; there this does nothing.

mod discipline;
mod resolve;
mod select;
mod sntp;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::degraded::Degraded;
use tokio::net::UdpSocket;

use crate::run::{Shared, kernel_words};
use discipline::{Adjust, Discipline};
use select::{Agreed, Sample};
use sntp::Query;

#[cfg(feature = "fuzz")]
pub(crate) use sntp::judged;
pub(crate) use view::{Report, View};

const PORT: u16 = 123;
/// Asked at once; a majority of them must agree.
const MAX_SERVERS: usize = 8;
/// An answer that takes longer is worth little.
const PATIENCE: Duration = Duration::from_secs(3);
/// Packets on one socket that are not the answer; more is somebody guessing.
const MAX_STRAYS: usize = 16;

/// Asked where neither the file nor DHCP names any: public, and run by three who do not know of each
/// other, so that one alone cannot move the clock.
pub(crate) const USUAL: [&str; 3] = ["time.cloudflare.com", "time.google.com", "time.facebook.com"];

pub(crate) async fn keep(shared: &Rc<Shared>) {
    // Answers on a machine only.
    if kernel_words(shared).await.is_none() {
        return std::future::pending().await;
    }
    let mut servers_of_dhcp = shared.network.time_servers.subscribe();
    let mut loaded = shared.loaded.subscribe();
    let mut discipline = Discipline::new(clock_is_set(shared));
    loop {
        let servers = servers(shared);
        let agreed = ask_all(&servers).await;
        let (next, adjust) = discipline.step(agreed);
        discipline = next;
        if let (Some(agreed), Some(adjust)) = (agreed, adjust) {
            apply(shared, agreed, adjust);
        }
        let wait = Duration::from_secs(discipline.wait_s().into());
        shared.time.replace(View::new(&servers, agreed, shared.time.take(), wait));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = servers_of_dhcp.changed() => discipline = discipline.listen_again(),
            Ok(()) = loaded.changed() => {}
        }
    }
}

/// init remembers, also for an agent that was started again.
fn clock_is_set(shared: &Shared) -> bool {
    let snapshot = shared.snapshot.borrow();
    snapshot.as_ref().is_some_and(|s| !s.degraded.contains(Degraded::ClockUnset))
}

/// The file's; else those that DHCP named; else the usual ones.
fn servers(shared: &Shared) -> Vec<String> {
    if let Some(configured) = &shared.config().time_servers {
        return configured.clone();
    }
    let of_dhcp = shared.network.time_servers.borrow();
    let names: Vec<_> = of_dhcp.iter().map(ToString::to_string).collect();
    if names.is_empty() { USUAL.map(str::to_owned).to_vec() } else { names }
}

async fn ask_all(servers: &[String]) -> Option<Agreed> {
    let addresses = resolve::all(servers).await;
    let asked: Vec<_> = addresses
        .into_iter()
        .take(MAX_SERVERS)
        .map(|address| tokio::task::spawn_local(ask(address)))
        .collect();
    let mut samples = Vec::new();
    for each in asked {
        samples.extend(each.await.ok().flatten());
    }
    select::agree(&samples)
}

async fn ask(server: IpAddr) -> Option<Sample> {
    tokio::time::timeout(PATIENCE, exchange(server)).await.ok()?.ok()?
}

/// One question, one answer. The socket is connected, so that the kernel drops what comes from
/// elsewhere; its port and the query's number are random, so that nobody else can answer.
async fn exchange(server: IpAddr) -> std::io::Result<Option<Sample>> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(SocketAddr::new(server, PORT)).await?;
    let query = Query::new()?;
    socket.send(&query.encode()).await?;
    let mut buffer = [0; 128];
    for _ in 0..MAX_STRAYS {
        let len = socket.recv(&mut buffer).await?;
        if let Some(sample) = query.read(&buffer[..len]) {
            return Ok(Some(sample));
        }
    }
    Ok(None)
}

/// init sets clocks; the agent may not.
fn apply(shared: &Shared, agreed: Agreed, adjust: Adjust) {
    let offset_ms = agreed.offset_us as f64 / 1000.0;
    let message = match adjust {
        Adjust::Slew => ToInit::SlewClock { offset_us: agreed.offset_us },
        Adjust::Step => {
            eprintln!(
                "holdfast-agent: the clock is off by {offset_ms:+.1} ms, as {} of {} servers say",
                agreed.servers, agreed.answers
            );
            ToInit::StepClock { unix_ms: true_unix_ms(agreed.offset_us) }
        }
    };
    if let Err(error) = shared.link.send(&message) {
        eprintln!("holdfast-agent: cannot tell init the time: {error}");
    }
}

fn true_unix_ms(offset_us: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    now_us.saturating_add(offset_us).unsigned_abs() / 1000
}
