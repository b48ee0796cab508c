//! Makes the device's own authority and what it signs. P-256 throughout: keys take no time to make
//! and every client knows them.

use std::time::Duration;

use holdfast_supervisor::clock::BUILT_AT;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::constraints::Constraints;
use super::names::Name;
use super::schedule::{BACKDATE_S, DAY_S, Unix};

/// Clients are given the authority once, by hand.
const AUTHORITY_LIFE_S: i64 = 3653 * DAY_S;

/// Year 9000: dates in certificates end with year 9999, and clocks show anything.
const LAST_INSTANT: Unix = 221_845_392_000;

/// X.520's bound of a common name.
const MAX_COMMON_NAME: usize = 64;

/// A certificate and its key, both PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) type Signer = Issuer<'static, KeyPair>;

/// An authority for `host`. It is valid from the build on, so that no correction of the clock puts
/// it into the future.
pub(crate) fn authority(
    host: &str,
    constraints: &Constraints,
    now: Unix,
) -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = named(&format!("Holdfast CA {} {host}", fingerprint(&key)));
    set_validity(&mut params, BUILT_AT.min(now) - BACKDATE_S, now + AUTHORITY_LIFE_S);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.custom_extensions.extend(constraints.extension());
    let certificate = params.self_signed(&key)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Tells authorities of one host apart: a client may know an old and a new one.
fn fingerprint(key: &KeyPair) -> String {
    let point = key.public_key_raw();
    point[point.len().saturating_sub(4)..].iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn signer(authority: &Pair) -> Result<Signer, rcgen::Error> {
    Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)
}

/// The server's. It is a client's as well: replicas and cluster nodes show it to each other.
pub(crate) fn server(
    signer: &Signer,
    names: &[Name],
    now: Unix,
    life_s: i64,
) -> Result<Pair, rcgen::Error> {
    // Constraints of DNS names may be applied to this, too, and an address looks like one.
    let host = names.iter().find(|name| matches!(name, Name::Dns(_)));
    let mut params = named(&host.map_or_else(|| "localhost".to_owned(), Name::to_string));
    params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf(params, signer, now, life_s)
}

/// For those who look after the machine. A common name of one label is no DNS name, which would be
/// constrained.
pub(crate) fn client(signer: &Signer, now: Unix, life_s: i64) -> Result<Pair, rcgen::Error> {
    let mut params = named("holdfast-client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    leaf(params, signer, now, life_s)
}

fn leaf(
    mut params: CertificateParams,
    signer: &Signer,
    now: Unix,
    life_s: i64,
) -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate()?;
    set_validity(&mut params, now - BACKDATE_S, now + life_s);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, signer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let end = common_name.len().min(MAX_COMMON_NAME);
    params.distinguished_name.push(DnType::CommonName, &common_name[..end]);
    params
}

fn set_validity(params: &mut CertificateParams, from: Unix, until: Unix) {
    let since_1970 = |at: Unix| Duration::from_secs(at.clamp(0, LAST_INSTANT).unsigned_abs());
    let start = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = start + since_1970(from);
    params.not_after = start + since_1970(until);
}

fn alternative(name: &Name) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
        Name::Ip(address) => SanType::IpAddress(*address),
    })
}
