//! From a server's certificate, signature by signature, to an authority that clients know.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::bundle::{certificates, out_of_date, parse};
use super::fault::{Fault, Kind};
use super::pem::Source;
use super::schedule::Unix;

/// Certificates between the server's and the authority. Nobody has more than two or three.
const MAX_BETWEEN: usize = 8;

/// The authority's file: certificates, and revocation lists where there are any.
pub(crate) struct Anchors<'s> {
    source: &'s Source,
    certificates: Vec<Vec<u8>>,
    revocation_lists: Vec<Vec<u8>>,
}

impl<'s> Anchors<'s> {
    pub(crate) fn read(source: &'s Source) -> Result<Self, Fault> {
        let certificates = certificates(source, "authority's certificate")?;
        let revocation_lists = source.sections()?.revocation_lists;
        Ok(Self { source, certificates, revocation_lists })
    }

    /// `chain`: the server's certificate, then those between it and the authority in any order.
    pub(crate) fn judge(
        &self,
        file: &str,
        chain: &[X509Certificate],
        now: Option<Unix>,
    ) -> Vec<Fault> {
        let judged = parse(self.source, &self.certificates, |anchors| {
            let mut faults = self.judge_anchors(anchors, now);
            faults.extend(self.judge_revocations(file, chain, anchors));
            if faults.is_empty() {
                faults.extend(self.walk(file, chain, anchors, now));
            }
            faults
        });
        judged.unwrap_or_else(|fault| vec![fault])
    }

    fn judge_anchors(&self, anchors: &[X509Certificate], now: Option<Unix>) -> Vec<Fault> {
        let none = anchors.iter().find(|anchor| !may_sign(anchor)).map(|anchor| {
            let text = format!("holds \"{}\", which is not an authority", anchor.subject());
            self.source.fault(Kind::NotAnAuthority, text)
        });
        // Of several, old ones may stay behind.
        let stale =
            anchors.iter().map(|anchor| out_of_date(anchor, now)).collect::<Option<Vec<_>>>();
        let stale = stale.and_then(|stale| stale.into_iter().next());
        none.into_iter()
            .chain(
                stale.map(|(kind, text)| self.source.fault(kind, format!("the authority {text}"))),
            )
            .collect()
    }

    fn walk(
        &self,
        file: &str,
        chain: &[X509Certificate],
        anchors: &[X509Certificate],
        now: Option<Unix>,
    ) -> Option<Fault> {
        let mut at = &chain[0];
        for _ in 0..=MAX_BETWEEN {
            if anchors.iter().any(|anchor| signed(at, anchor) && out_of_date(anchor, now).is_none())
            {
                return None;
            }
            match chain[1..].iter().find(|between| may_sign(between) && signed(at, between)) {
                Some(between) => at = between,
                None => break,
            }
            if let Some((kind, text)) = out_of_date(at, now) {
                return Some(Fault::new(file, kind, format!("\"{}\" {text}", at.subject())));
            }
        }
        let issuer = at.issuer();
        let known = anchors.iter().any(|anchor| anchor.subject() == issuer);
        let why =
            if known { "is of the same name, but did not sign it" } else { "does not hold it" };
        let text = format!("leads to \"{issuer}\", and {} {why}", self.source.name);
        Some(Fault::new(file, Kind::NoChain, text))
    }

    fn judge_revocations(
        &self,
        file: &str,
        chain: &[X509Certificate],
        anchors: &[X509Certificate],
    ) -> Vec<Fault> {
        let judge = |der: &Vec<u8>| match CertificateRevocationList::from_der(der) {
            Ok(([], list)) => self.judge_revocation(file, &list, chain, anchors),
            _ => Some(self.bad_list("holds a revocation list that is damaged")),
        };
        self.revocation_lists.iter().filter_map(judge).collect()
    }

    fn judge_revocation(
        &self,
        file: &str,
        list: &CertificateRevocationList,
        chain: &[X509Certificate],
        anchors: &[X509Certificate],
    ) -> Option<Fault> {
        let issuers =
            anchors.iter().chain(&chain[1..]).filter(|one| one.subject() == list.issuer());
        if !issuers.clone().any(|issuer| list.verify_signature(issuer.public_key()).is_ok()) {
            return Some(
                self.bad_list("holds a revocation list that no authority in it has signed"),
            );
        }
        let revoked = |one: &&X509Certificate| {
            let same = |entry: &str| entry == one.raw_serial_as_string();
            one.issuer() == list.issuer()
                && list.iter_revoked_certificates().any(|entry| same(&entry.raw_serial_as_string()))
        };
        let revoked = chain.iter().find(revoked)?;
        let text = format!("\"{}\" is revoked by {}", revoked.subject(), self.source.name);
        Some(Fault::new(file, Kind::Revoked, text))
    }

    fn bad_list(&self, text: &str) -> Fault {
        self.source.fault(Kind::BadRevocationList, text)
    }
}

fn signed(certificate: &X509Certificate, by: &X509Certificate) -> bool {
    certificate.issuer() == by.subject()
        && certificate.verify_signature(Some(by.public_key())).is_ok()
}

/// Version 1 has no word for it: there, an authority is what signs itself.
fn may_sign(certificate: &X509Certificate) -> bool {
    let usage = certificate.key_usage().ok().flatten();
    let by_usage = usage.is_none_or(|usage| usage.value.key_cert_sign());
    let extended = certificate.version() == x509_parser::x509::X509Version::V3;
    let by_kind = if extended { certificate.is_ca() } else { signed(certificate, certificate) };
    by_kind && by_usage
}
