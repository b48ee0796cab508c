//! Bundles that are refused, each for its reason and by name, and good ones that are not.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};

use super::*;
use crate::certs::constraints::Constraints;
use crate::certs::issue::{self, Pair};
use crate::certs::schedule::{BACKDATE_S, DAY_S};

const NOW: Unix = 1_800_000_000;
const LIFE_S: i64 = 14 * DAY_S;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

fn bundle(leaf: &Pair, authority: &str) -> Bundle {
    Bundle {
        certificate: source("server.crt", &leaf.certificate),
        key: source("server.key", &leaf.key),
        authority: Some(source("ca.crt", authority)),
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// An authority and a server's certificate of it, for edge.example and 10.0.0.7.
fn good() -> (Pair, Pair) {
    let authority = issue::authority("edge", &Constraints::default(), NOW).expect("an authority");
    let leaf =
        issue::server(&signer(&authority), &[name("edge.example"), name("10.0.0.7")], NOW, LIFE_S);
    (authority, leaf.expect("a leaf"))
}

fn signer(authority: &Pair) -> issue::Signer {
    issue::signer(authority).expect("a signer")
}

fn good_bundle() -> Bundle {
    let (authority, leaf) = good();
    bundle(&leaf, &authority.certificate)
}

/// A leaf that differs in one thing.
fn leaf_with(change: impl FnOnce(&mut CertificateParams)) -> Bundle {
    let authority = issue::authority("edge", &Constraints::default(), NOW).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["edge.example".to_owned()]).expect("params");
    change(&mut params);
    let certificate = params.signed_by(&key, &signer(&authority)).expect("signed").pem();
    bundle(&Pair { certificate, key: key.serialize_pem() }, &authority.certificate)
}

#[track_caller]
fn refused(bundle: &Bundle, kind: Kind, sentence: &str) {
    refused_at(bundle, NOW, kind, sentence);
}

#[track_caller]
fn refused_at(bundle: &Bundle, now: Unix, kind: Kind, sentence: &str) {
    let faults = bundle.check(&[name("edge.example")], Some(now)).expect_err("refused");
    let said: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(faults.len(), 1, "{said:?}");
    assert_eq!(faults[0].kind, kind, "{said:?}");
    assert!(said[0].starts_with(sentence), "said {said:?}, expected {sentence:?}");
}

#[test]
fn a_good_bundle_is_good() {
    let facts =
        good_bundle().check(&[name("edge.example"), name("10.0.0.7")], Some(NOW)).expect("good");
    assert_eq!(facts.names, [name("edge.example"), name("10.0.0.7")]);
    assert_eq!((facts.not_before, facts.not_after), (NOW - BACKDATE_S, NOW + LIFE_S));
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let good = good_bundle();
    for end in [40, good.certificate.bytes.len() / 2, good.certificate.bytes.len() - 20] {
        let mut bundle = good.clone();
        bundle.certificate.bytes.truncate(end);
        refused(&bundle, Kind::Truncated, "server.crt: is cut off: PEM section 1 has no");
    }
    let mut bundle = good.clone();
    bundle.key.bytes.truncate(100);
    refused(&bundle, Kind::Truncated, "server.key: is cut off");
    bundle.key.bytes.clear();
    refused(&bundle, Kind::Truncated, "server.key: is empty");
}

#[test]
fn what_is_said_of_a_file_is_one_line_whatever_is_in_it() {
    let mut bundle = good_bundle();
    bundle.certificate.bytes = b"-----BEGIN CERTIFICATE\x1b[2J\n-----\nx".to_vec();
    let faults = bundle.check(&[], Some(NOW)).expect_err("no certificate");
    let said: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(!said.concat().contains(char::is_control), "{said:?}");
    bundle.certificate.bytes = b"-----BEGIN -----BEGIN CERT\x1f-----\nx".to_vec();
    refused(
        &bundle,
        Kind::Truncated,
        "server.crt: is cut off: PEM section 1 has no \"-----BEGIN CERT?\"",
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mut bundle = good_bundle();
    bundle.key = good_bundle().key;
    let sentence = "server.key: is not the key of the certificate in server.crt";
    refused(&bundle, Kind::KeyMismatch, sentence);
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let good = good_bundle();
    let sentence = "server.crt: has expired: it was valid until ";
    refused_at(&good, NOW + LIFE_S + 1, Kind::Expired, sentence);
    let sentence = "server.crt: is not valid yet: only from ";
    refused_at(&good, NOW - BACKDATE_S - 1, Kind::NotYetValid, sentence);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let bundle = leaf_with(|params| params.subject_alt_names.clear());
    let sentence = "server.crt: does not name edge.example; it names nothing";
    refused(&bundle, Kind::WrongName, sentence);
    let faults = good_bundle().check(&[name("10.0.0.8")], Some(NOW)).expect_err("refused");
    let expected = "server.crt: does not name 10.0.0.8; it names edge.example, 10.0.0.7";
    assert_eq!(faults[0].to_string(), expected);
}

#[test]
fn a_certificate_that_no_signature_ties_to_the_authority_is_refused() {
    let mut bundle = good_bundle();
    let stranger = issue::authority("other", &Constraints::default(), NOW).expect("an authority");
    bundle.authority = Some(source("ca.crt", &stranger.certificate));
    let sentence = "server.crt: leads to \"CN=Holdfast CA ";
    refused(&bundle, Kind::NoChain, sentence);
}

#[test]
fn an_authority_of_the_same_name_with_another_key_is_refused() {
    let (authority, leaf) = good();
    let double = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let real = source("ca.crt", &authority.certificate);
    let certificates = certificates(&real, "certificate").expect("one");
    let subject = parse(&real, &certificates, |parsed| {
        parsed[0]
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .map(str::to_owned)
    });
    let subject = subject.expect("parsed").expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    let double = params.self_signed(&double).expect("signed").pem();
    let faults = bundle(&leaf, &double).check(&[], Some(NOW)).expect_err("refused");
    assert_eq!(faults[0].kind, Kind::NoChain);
    assert!(
        faults[0].text.ends_with("ca.crt is of the same name, but did not sign it"),
        "{faults:?}"
    );
}

#[test]
fn an_authority_where_the_servers_certificate_belongs_is_refused() {
    let bundle = leaf_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    refused(&bundle, Kind::IsAuthority, "server.crt: is an authority's certificate");
}

#[test]
fn a_certificate_for_another_use_is_refused() {
    let bundle = leaf_with(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    refused(&bundle, Kind::WrongUsage, "server.crt: is not for servers");
    let bundle = leaf_with(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    refused(&bundle, Kind::WrongUsage, "server.crt: may not sign handshakes");
}

#[test]
fn garbage_is_refused() {
    for (text, sentence) in [
        ("\u{0}\u{1}garbage", "server.crt: is not a PEM file"),
        (
            "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
            "server.crt: PEM section 1",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "server.crt: PEM section 1 is damaged",
        ),
    ] {
        let mut bundle = good_bundle();
        bundle.certificate = source("server.crt", text);
        refused(&bundle, Kind::Garbage, sentence);
    }
    let mut bundle = good_bundle();
    bundle.key =
        source("server.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    refused(&bundle, Kind::Garbage, "server.key: is damaged or no key");
}

#[test]
fn files_in_each_others_place_are_refused() {
    let mut bundle = good_bundle();
    std::mem::swap(&mut bundle.certificate.bytes, &mut bundle.key.bytes);
    let faults = bundle.check(&[], Some(NOW)).expect_err("refused");
    let said: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(said, ["server.crt: holds no certificate", "server.key: holds no private key"]);
    let mut bundle = good_bundle();
    let begin =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    bundle.key = source("server.key", begin);
    refused(&bundle, Kind::Absent, "server.key: holds a key behind a password");
}

#[test]
fn an_authority_that_is_none_or_out_of_date_is_refused() {
    let (_, leaf) = good();
    let sentence = "ca.crt: holds \"CN=edge.example\", which is not an authority";
    refused(&bundle(&leaf, &leaf.certificate), Kind::NotAnAuthority, sentence);
    let old = issue::authority("edge", &Constraints::default(), NOW - 4000 * DAY_S)
        .expect("an authority");
    let young = issue::server(&signer(&old), &[name("edge.example")], NOW, LIFE_S).expect("a leaf");
    let expired = bundle(&young, &old.certificate);
    refused(&expired, Kind::Expired, "ca.crt: the authority has expired");
}

fn revoking(authority: &Pair, serial: &[u8]) -> String {
    let start = rcgen::date_time_ymd(2027, 1, 1);
    let list = CertificateRevocationListParams {
        this_update: start,
        next_update: rcgen::date_time_ymd(2028, 1, 1),
        crl_number: SerialNumber::from(1u64),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: start,
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&signer(authority)).expect("signed").pem().expect("PEM")
}

#[test]
fn revocation_lists_are_read_and_garbage_in_their_place_is_refused() {
    let (authority, leaf) = good();
    let with = |list: &str| bundle(&leaf, &format!("{}{list}", authority.certificate));
    let garbage = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let sentence = "ca.crt: holds a revocation list that is damaged";
    refused(&with(garbage), Kind::BadRevocationList, sentence);
    let (stranger, _) = good();
    let sentence = "ca.crt: holds a revocation list that no authority in it has signed";
    refused(&with(&revoking(&stranger, &[1])), Kind::BadRevocationList, sentence);
    with(&revoking(&authority, &[1])).check(&[], Some(NOW)).expect("another one is revoked");
    let serial = with("").check(&[], Some(NOW)).expect("good").serial;
    let byte = |at: usize| u8::from_str_radix(&serial[at..at + 2], 16).expect("hex");
    let serial: Vec<u8> = (0..serial.len()).step_by(2).map(byte).collect();
    let revoked = with(&revoking(&authority, &serial));
    refused(&revoked, Kind::Revoked, "server.crt: \"CN=edge.example\" is revoked by ca.crt");
}

#[test]
fn a_chain_with_an_authority_in_between_is_good_and_without_it_is_refused() {
    let root = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "root");
    let root_pem = params.self_signed(&root).expect("signed").pem();
    let root = Issuer::new(params.clone(), root);
    let key = KeyPair::generate().expect("a key");
    params.distinguished_name.push(DnType::CommonName, "between");
    let certificate = params.signed_by(&key, &root).expect("signed").pem();
    let between = Pair { certificate, key: key.serialize_pem() };
    let mut leaf =
        issue::server(&signer(&between), &[name("edge.example")], NOW, LIFE_S).expect("a leaf");
    refused(&bundle(&leaf, &root_pem), Kind::NoChain, "server.crt: leads to \"CN=between\"");
    leaf.certificate.push_str(&between.certificate);
    bundle(&leaf, &root_pem).check(&[], Some(NOW)).expect("good");
}

#[test]
fn all_faults_are_told_at_once() {
    let mut bundle = leaf_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    bundle.key = good_bundle().key;
    bundle.authority = good_bundle().authority;
    let faults = bundle.check(&[name("x")], Some(NOW)).expect_err("refused");
    let kinds: Vec<Kind> = faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [Kind::IsAuthority, Kind::WrongName, Kind::KeyMismatch, Kind::NoChain]);
}

#[test]
fn a_version_1_certificate_is_good_where_no_names_are_demanded() {
    let bundle = Bundle {
        certificate: source("redis.crt", include_str!("testdata/v1.crt")),
        key: source("redis.key", include_str!("testdata/v1.key")),
        authority: Some(source("ca.crt", include_str!("testdata/v1-ca.crt"))),
    };
    let facts = bundle.check(&[], Some(1_796_000_000)).expect("good");
    assert_eq!(facts.names, []);
    let faults = bundle.check(&[name("redis")], Some(1_796_000_000)).expect_err("refused");
    assert_eq!(faults[0].kind, Kind::WrongName);
}

proptest! {
    #[test]
    fn a_damaged_bundle_never_panics(
        file in 0usize..3,
        at in 0usize..900,
        with in prop::collection::vec(any::<u8>(), 1..4),
    ) {
        let (authority, leaf) = good();
        let mut bundle = bundle(&leaf, &authority.certificate);
        let bytes = match file {
            0 => &mut bundle.certificate.bytes,
            1 => &mut bundle.key.bytes,
            _ => &mut bundle.authority.as_mut().expect("there").bytes,
        };
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        if let Err(faults) = bundle.check(&[], Some(NOW)) {
            prop_assert!(!faults.is_empty());
        }
    }
}
