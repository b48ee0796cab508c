//! `tls-ciphers`, `tls-ciphersuites` and `tls-protocols`: OpenSSL's languages, for what rustls has.
//!
//! Of the ciphers of TLS 1.2 those with forward secrecy and authenticated encryption are here, of the
//! protocols 1.2 and 1.3. What a list names beyond that is left out, as OpenSSL leaves out what it was
//! built without; a list of which nothing remains is an error.

use rustls::SupportedCipherSuite;
use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::cipher_suite as suite;
use rustls::version::{TLS12, TLS13};

/// A cipher of TLS 1.2 by OpenSSL's name and the standard's, and what else it is called.
struct Cipher {
    suite: SupportedCipherSuite,
    names: [&'static str; 2],
    classes: &'static [&'static str],
    bits: u16,
}

/// What all of them are.
const ALL: &[&str] =
    &["ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH", "TLSv1.2", "AEAD"];

/// In the order of OpenSSL's default.
static TLS12_CIPHERS: [Cipher; 6] = [
    Cipher {
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        names: ["ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
        classes: &["aECDSA", "ECDSA", "AES", "AES256", "AESGCM", "FIPS", "SUITEB192"],
        bits: 256,
    },
    Cipher {
        suite: suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        names: ["ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
        classes: &["aRSA", "AES", "AES256", "AESGCM", "FIPS"],
        bits: 256,
    },
    Cipher {
        suite: suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        names: ["ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
        classes: &["aECDSA", "ECDSA", "CHACHA20"],
        bits: 256,
    },
    Cipher {
        suite: suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        names: ["ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"],
        classes: &["aRSA", "CHACHA20"],
        bits: 256,
    },
    Cipher {
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        names: ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
        classes: &["aECDSA", "ECDSA", "AES", "AES128", "AESGCM", "FIPS", "SUITEB128"],
        bits: 128,
    },
    Cipher {
        suite: suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        names: ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        classes: &["aRSA", "AES", "AES128", "AESGCM", "FIPS"],
        bits: 128,
    },
];

static TLS13_CIPHERS: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", suite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
];

impl Cipher {
    /// Whether all of what `item` joins with `+` names it.
    fn is(&self, item: &str) -> bool {
        item.split('+').all(|name| {
            self.names.contains(&name) || self.classes.contains(&name) || ALL.contains(&name)
        })
    }
}

/// The ciphers of both lists, the more wanted ones first.
pub(super) fn suites(tls12: &str, tls13: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    let old = tls12_suites(tls12).ok_or(format!("Failed to configure ciphers: {tls12}"))?;
    let new = tls13_suites(tls13).ok_or(format!("Failed to configure ciphersuites: {tls13}"))?;
    Ok([new, old].concat())
}

pub(super) fn tls13_suites(list: &str) -> Option<Vec<SupportedCipherSuite>> {
    if list.is_empty() {
        return Some(TLS13_CIPHERS.iter().map(|(_, suite)| *suite).collect());
    }
    let find = |name: &str| TLS13_CIPHERS.iter().find(|(known, _)| *known == name);
    let suites: Vec<_> = list.split(':').filter_map(find).map(|(_, suite)| *suite).collect();
    (!suites.is_empty()).then_some(suites)
}

pub(super) fn tls12_suites(list: &str) -> Option<Vec<SupportedCipherSuite>> {
    let chosen = choose(if list.is_empty() { "DEFAULT" } else { list });
    let suites: Vec<_> = chosen.into_iter().map(|at| TLS12_CIPHERS[at].suite).collect();
    (!suites.is_empty()).then_some(suites)
}

/// Places in [`TLS12_CIPHERS`], as openssl-ciphers(1) describes the list.
fn choose(list: &str) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut killed = [false; TLS12_CIPHERS.len()];
    // A command with `@` needs nothing between it and what is before it.
    let list = list.replace('@', ":@");
    for item in list.split([':', ',', ' ', ';']).filter(|item| !item.is_empty()) {
        let (sign, name) = match item.split_at_checked(1) {
            Some((sign @ ("-" | "+" | "!" | "@"), name)) => (sign, name),
            _ => ("", item),
        };
        let (named, others): (Vec<usize>, Vec<usize>) =
            (0..TLS12_CIPHERS.len()).partition(|at| TLS12_CIPHERS[*at].is(name));
        match sign {
            "@" if name == "STRENGTH" => {
                chosen.sort_by_cached_key(|at| usize::MAX - usize::from(TLS12_CIPHERS[*at].bits));
            }
            // Levels of security speak of keys and ciphers that are not here.
            "@" => {}
            "" => {
                let fresh = named.iter().filter(|at| !killed[**at] && !chosen.contains(at));
                let fresh: Vec<usize> = fresh.copied().collect();
                chosen.extend(fresh);
            }
            "+" => {
                let (moved, kept) =
                    chosen.iter().partition::<Vec<usize>, _>(|at| named.contains(at));
                chosen = [kept, moved].concat();
            }
            sign => {
                chosen.retain(|at| others.contains(at));
                named.iter().for_each(|at| killed[*at] |= sign == "!");
            }
        }
    }
    chosen
}

/// The protocols that a list asks for and that are here.
pub(super) fn protocols(list: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    if list.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let mut found = Vec::new();
    for word in list.split(' ') {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.3" => found.push(&TLS13),
            "tlsv1.2" => found.push(&TLS12),
            "tlsv1" | "tlsv1.1" => {}
            _ => {
                return Err("Invalid tls-protocols specified. Use a combination of 'TLSv1', \
                            'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
                    .to_owned());
            }
        }
    }
    if found.is_empty() {
        return Err(
            "tls-protocols asks for TLSv1 or TLSv1.1 alone, which are not spoken".to_owned()
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: the ciphers by E(CDSA) or R(SA) and 2(56), 1(28) or C(haCha).
    #[track_caller]
    fn check(list: &str, expected: &str) {
        let short = ["E2", "R2", "EC", "RC", "E1", "R1"];
        let chosen: Vec<&str> = choose(list).into_iter().map(|at| short[at]).collect();
        assert_eq!(chosen.join(" "), expected, "{list}");
    }

    #[test]
    fn lists_are_read_as_openssl_reads_them() {
        check("DEFAULT", "E2 R2 EC RC E1 R1");
        check("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384", "R1 R2");
        check("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "R1");
        check("HIGH:!aNULL:!MD5", "E2 R2 EC RC E1 R1");
        check("ECDHE+AESGCM:ECDHE+CHACHA20:!aRSA", "E2 E1 EC");
        check("ALL:-AES128:ECDHE-RSA-AES128-GCM-SHA256", "E2 R2 EC RC R1");
        check("ALL:!AES128:ECDHE-RSA-AES128-GCM-SHA256", "E2 R2 EC RC");
        check("ALL:+AES256", "EC RC E1 R1 E2 R2");
        check("AES128:AES256:@STRENGTH", "E2 R2 E1 R1");
        check("DEFAULT@SECLEVEL=2", "E2 R2 EC RC E1 R1");
        check("DEFAULT:-AES128-SHA256", "E2 R2 EC RC E1 R1");
        check("AES128-SHA256:NULL:EXPORT", "");
    }

    #[test]
    fn a_list_of_nothing_we_have_is_an_error() {
        assert_eq!(suites("", "").unwrap().len(), 9);
        assert_eq!(
            suites("AES128-SHA256", "").unwrap_err(),
            "Failed to configure ciphers: AES128-SHA256"
        );
        let error = suites("", "TLS_NONE").unwrap_err();
        assert_eq!(error, "Failed to configure ciphersuites: TLS_NONE");
        let some = suites("", "TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256").unwrap();
        assert_eq!(some[0], suite::TLS13_AES_128_GCM_SHA256);
    }

    #[test]
    fn protocols_by_name() {
        assert_eq!(protocols("").unwrap().len(), 2);
        assert_eq!(protocols("TLSv1.1 tlsv1.2").unwrap(), [&TLS12]);
        assert!(protocols("TLSv1").unwrap_err().contains("not spoken"));
        assert!(protocols("SSLv3").unwrap_err().starts_with("Invalid tls-protocols specified."));
    }
}
