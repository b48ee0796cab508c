//! The words of the kernel command line that Holdfast understands.
//!
//! Words are split at blanks; `"` keeps blanks together, as in the kernel (bootparam(7)). Whatever
//! is not ours is left alone.

use core::net::Ipv4Addr;

use crate::plan::{Ipv4, StaticNetwork, text};

/// How long a machine whose data is on a disk waits for that disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataHint {
    /// Nothing said: take a data partition if it is there now.
    Unsaid,
    /// `holdfast.data=disk`: the disk will come, wait for it.
    Disk,
    /// `holdfast.data=tmpfs`: do not look.
    Memory,
}

/// The values of every `KEY=` word, in order, quotes removed at both ends.
pub fn values<'a>(line: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    words(line).filter_map(move |word| {
        let word = word.strip_prefix('"').unwrap_or(word);
        let value = word.strip_prefix(key)?.strip_prefix('=')?;
        let value = value.strip_prefix('"').unwrap_or(value);
        Some(value.strip_suffix('"').unwrap_or(value))
    })
}

/// The last one wins, as in the kernel.
pub fn value<'a>(line: &'a str, key: &'a str) -> Option<&'a str> {
    values(line, key).last()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |letter: char| {
        quoted ^= letter == '"';
        letter.is_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

pub fn data_hint(line: &str) -> DataHint {
    match value(line, "holdfast.data") {
        Some("disk") => DataHint::Disk,
        Some("tmpfs") => DataHint::Memory,
        _ => DataHint::Unsaid,
    }
}

/// `ip=` in a form that nobody here does, such as BOOTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported;

/// `ip=client:server:gateway:mask:host:device:autoconf:dns0:dns1`, or the autoconf word alone
/// (Documentation/admin-guide/nfs). An address beats the word for how to find one.
pub fn ip(line: &str) -> Option<Result<Ipv4, Unsupported>> {
    Some(parse_ip(value(line, "ip")?))
}

fn parse_ip(value: &str) -> Result<Ipv4, Unsupported> {
    if !value.contains(':') {
        return autoconf(value, "");
    }
    let mut fields = value.split(':');
    let mut next = || fields.next().unwrap_or("");
    let (client, _server, gateway, mask) = (next(), next(), next(), next());
    let (_host, device, how, dns0, dns1) = (next(), next(), next(), next(), next());
    if client.is_empty() {
        return autoconf(how, device);
    }
    let (Ok(address), Some(prefix)) = (client.parse(), prefix_of(mask)) else {
        return Err(Unsupported);
    };
    if !matches!(how, "" | "off" | "none") {
        return Err(Unsupported);
    }
    Ok(Ipv4::Static(StaticNetwork {
        device: text(device),
        address,
        prefix,
        gateway: gateway.parse().ok(),
        dns: [dns0.parse().ok(), dns1.parse().ok()],
    }))
}

/// "on" and "any" leave the protocol to us, and an empty word is "any".
fn autoconf(how: &str, device: &str) -> Result<Ipv4, Unsupported> {
    match how {
        "off" | "none" => Ok(Ipv4::Off),
        "dhcp" | "on" | "any" | "both" | "" => Ok(Ipv4::Dhcp { device: text(device) }),
        _ => Err(Unsupported),
    }
}

/// 255.255.255.0 is 24; no mask at all is 24 too, as nobody means a class any more.
fn prefix_of(mask: &str) -> Option<u8> {
    if mask.is_empty() {
        return Some(24);
    }
    let bits = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    (bits.leading_ones() == bits.count_ones()).then_some(bits.count_ones() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "console=ttyS0 ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3 \
                        holdfast.arg=--save holdfast.arg=\"\" \"holdfast.arg=60 1\" \
                        holdfast.data=disk quiet\n";

    #[test]
    fn words_keep_their_order_and_lose_their_quotes() {
        let words: std::vec::Vec<_> = values(LINE, "holdfast.arg").collect();
        assert_eq!(words, ["--save", "", "60 1"]);
        assert_eq!(value(LINE, "holdfast.absent"), None);
        assert_eq!(value("a=1 a=2", "a"), Some("2"));
        assert_eq!(data_hint(LINE), DataHint::Disk);
        assert_eq!(data_hint("holdfast.data=tmpfs"), DataHint::Memory);
    }

    #[test]
    fn ip_is_read_as_the_kernel_reads_it() {
        let Some(Ok(Ipv4::Static(network))) = ip(LINE) else { panic!("a static address") };
        assert_eq!(network.device, "eth0");
        assert_eq!(network.address, Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(network.prefix, 24);
        assert_eq!(network.gateway, Some(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(network.dns, [Some(Ipv4Addr::new(10, 0, 2, 3)), None]);
    }

    #[test]
    fn forms_of_ip_that_are_not_static_are_told_apart() {
        assert_eq!(ip("quiet"), None);
        for off in ["ip=off", "ip=none", "ip=::::::off"] {
            assert_eq!(ip(off), Some(Ok(Ipv4::Off)), "{off}");
        }
        for (word, device) in [
            ("ip=dhcp", ""),
            ("ip=on", ""),
            ("ip=any", ""),
            ("ip=:::::eth1:dhcp", "eth1"),
            ("ip=:::::eth1", "eth1"),
            ("ip=1.2.3.4:::255.255.255.0 ip=dhcp", ""),
        ] {
            assert_eq!(ip(word), Some(Ok(Ipv4::Dhcp { device: text(device) })), "{word}");
        }
        for odd in ["ip=bootp", "ip=1.2.3.4::::::dhcp", "ip=1.2.3.4:::255.0.255.0", "ip=a:b"] {
            assert_eq!(ip(odd), Some(Err(Unsupported)), "{odd}");
        }
    }
}
