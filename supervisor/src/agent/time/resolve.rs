//! Names of time servers become addresses, by the C library, which may take its time.

use std::net::{IpAddr, ToSocketAddrs};

/// Of a list that is one name, such as a pool's: each address is another server.
const MAX_OF_ONE: usize = 4;

/// One address of each name, so that each has one vote. One thread at a time, whatever the name
/// servers do: nobody asks again before this is through.
pub(super) async fn all(names: &[String]) -> Vec<IpAddr> {
    let each = if names.len() == 1 { MAX_OF_ONE } else { 1 };
    let literal: Option<Vec<IpAddr>> = names.iter().map(|name| name.parse().ok()).collect();
    if let Some(addresses) = literal {
        return addresses;
    }
    let names = names.to_vec();
    let looked_up = tokio::task::spawn_blocking(move || {
        names.iter().flat_map(|name| look_up(name, each)).collect()
    });
    looked_up.await.unwrap_or_default()
}

/// The C library puts first what can be reached.
fn look_up(name: &str, most: usize) -> Vec<IpAddr> {
    let found = (name, super::PORT).to_socket_addrs();
    let mut addresses: Vec<_> =
        found.into_iter().flatten().map(|address| address.ip()).take(most).collect();
    addresses.dedup();
    addresses
}
