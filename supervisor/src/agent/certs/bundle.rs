//! Judges a server's certificate, its key and its authority before anything is served with them.
//!
//! Stricter than a TLS library, which finds out with the first client; and milder in one thing:
//! version 1 certificates and certificates without alternative names, as many scripts make them,
//! are good unless names are demanded.

use std::net::IpAddr;

use rcgen::{KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::chain;
use super::fault::{Fault, Kind};
use super::names::{self, Name};
use super::pem::Source;
use super::schedule::Unix;

#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) certificate: Source,
    pub(crate) key: Source,
    /// Without one, who signed the certificate is not judged.
    pub(crate) authority: Option<Source>,
}

/// What a good bundle's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) serial: String,
    pub(crate) not_before: Unix,
    pub(crate) not_after: Unix,
    pub(crate) names: Vec<Name>,
    pub(crate) jitter: u8,
}

impl Bundle {
    /// All faults at once, so that a bundle is mended once. Without `now` no dates are judged.
    pub(crate) fn check(&self, names: &[Name], now: Option<Unix>) -> Result<Facts, Vec<Fault>> {
        let mut faults = Vec::new();
        let chain = collect(certificates(&self.certificate, "certificate"), &mut faults);
        let public = collect(public_key(&self.key), &mut faults);
        let anchors = self.authority.as_ref().map(chain::Anchors::read);
        let anchors = anchors.and_then(|anchors| collect(anchors, &mut faults));
        let parsed = chain.map(|chain| {
            parse(&self.certificate, &chain, |chain| {
                let leaf = &chain[0];
                self.judge_leaf(leaf, names, now, &mut faults);
                if public.is_some_and(|key| key != *leaf.public_key().subject_public_key.data) {
                    let text =
                        format!("is not the key of the certificate in {}", self.certificate.name);
                    faults.push(self.key.fault(Kind::KeyMismatch, text));
                }
                if let Some(anchors) = &anchors {
                    faults.extend(anchors.judge(&self.certificate.name, chain, now));
                }
                facts(leaf)
            })
        });
        match parsed {
            Some(Ok(facts)) if faults.is_empty() => Ok(facts),
            Some(Err(fault)) => Err([vec![fault], faults].concat()),
            _ => Err(faults),
        }
    }

    fn judge_leaf(
        &self,
        leaf: &X509Certificate,
        wanted: &[Name],
        now: Option<Unix>,
        faults: &mut Vec<Fault>,
    ) {
        let mut fault = |kind, text: String| faults.push(self.certificate.fault(kind, text));
        if let Some((kind, text)) = out_of_date(leaf, now) {
            fault(kind, text);
        }
        if leaf.is_ca() {
            fault(Kind::IsAuthority, "is an authority's certificate, not a server's".into());
        }
        if let Some(text) = wrong_usage(leaf) {
            fault(Kind::WrongUsage, text.into());
        }
        let present = names_of(leaf);
        for name in names::missing(wanted, &present) {
            fault(Kind::WrongName, format!("does not name {name}; it names {}", list(&present)));
        }
    }
}

/// What is wrong with one file that is certificate, key and authority.
#[cfg(feature = "fuzz")]
pub(crate) fn faults(pem: &[u8]) -> Vec<String> {
    let source = Source { name: "file".to_owned(), bytes: pem.to_vec() };
    let bundle =
        Bundle { certificate: source.clone(), key: source.clone(), authority: Some(source) };
    let names: Vec<Name> = Name::parse("edge.example").into_iter().collect();
    let checked = bundle.check(&names, Some(holdfast_supervisor::clock::BUILT_AT));
    checked.err().into_iter().flatten().map(|fault| fault.to_string()).collect()
}

fn collect<T>(result: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// At least one.
pub(crate) fn certificates(source: &Source, what: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let certificates = source.sections()?.certificates;
    if certificates.is_empty() { Err(source.without(what)) } else { Ok(certificates) }
}

/// Gives `then` the certificates of a non-empty list, parsed.
pub(crate) fn parse<T>(
    source: &Source,
    certificates: &[Vec<u8>],
    then: impl FnOnce(&[X509Certificate]) -> T,
) -> Result<T, Fault> {
    let parsed =
        certificates.iter().enumerate().map(|(at, der)| match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(certificate),
            _ => {
                let text = format!("PEM section {} is damaged: it is not a certificate", at + 1);
                Err(source.fault(Kind::Garbage, text))
            }
        });
    parsed.collect::<Result<Vec<_>, _>>().map(|parsed| then(&parsed))
}

pub(crate) fn public_key(source: &Source) -> Result<Vec<u8>, Fault> {
    let keys = source.sections()?.keys;
    let key = keys.first().ok_or_else(|| source.without("private key"))?;
    let pair = KeyPair::try_from(key)
        .map_err(|_| source.fault(Kind::Garbage, "is damaged or no key for TLS servers"))?;
    Ok(pair.der_bytes().to_vec())
}

pub(crate) fn out_of_date(
    certificate: &X509Certificate,
    now: Option<Unix>,
) -> Option<(Kind, String)> {
    let now = now?;
    let validity = certificate.validity();
    if now > validity.not_after.timestamp() {
        return Some((
            Kind::Expired,
            format!("has expired: it was valid until {}", validity.not_after),
        ));
    }
    (now < validity.not_before.timestamp()).then(|| {
        (Kind::NotYetValid, format!("is not valid yet: only from {}", validity.not_before))
    })
}

/// Without these extensions a certificate may be used for anything.
fn wrong_usage(leaf: &X509Certificate) -> Option<&'static str> {
    let signs = leaf.key_usage().ok().flatten().is_none_or(|usage| usage.value.digital_signature());
    let purposes = leaf.extended_key_usage().ok().flatten();
    let serves = purposes.is_none_or(|purpose| purpose.value.any || purpose.value.server_auth);
    match (signs, serves) {
        (false, _) => Some("may not sign handshakes: its key usage lacks digitalSignature"),
        (_, false) => Some("is not for servers: its extended key usage lacks serverAuth"),
        _ => None,
    }
}

fn names_of(leaf: &X509Certificate) -> Vec<Name> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName| match general {
        GeneralName::DNSName(name) => Name::parse(name),
        GeneralName::IPAddress(bytes) => address(bytes).map(Name::Ip),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn list(names: &[Name]) -> String {
    let names: Vec<String> = names.iter().map(Name::to_string).collect();
    if names.is_empty() { "nothing (no subject alternative name)".into() } else { names.join(", ") }
}

fn facts(leaf: &X509Certificate) -> Facts {
    Facts {
        serial: serial(leaf.raw_serial()),
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
        names: names_of(leaf),
        jitter: leaf.raw_serial().last().copied().unwrap_or_default(),
    }
}

/// As openssl and INFO write it.
fn serial(bytes: &[u8]) -> String {
    let from = bytes.iter().position(|&byte| byte != 0).unwrap_or(0);
    bytes[from..].iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests;
