//! Certificates of peers: webpki's judgement, and beyond it the two kinds that OpenSSL takes and
//! webpki does not: X.509 version 1 (what `openssl x509 -req` makes without extensions), signed by an
//! authority of ours directly; and a certificate that is itself in the file of authorities.
//!
//! A peer proves that it has the key in all cases, and that the certificate is in its time.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor as verify_server;
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};

use super::certificate::Facts;

/// Whom we believe.
#[derive(Debug)]
struct Trust {
    roots: Arc<RootCertStore>,
    /// Every certificate in the files of authorities.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// In the authorities among `trusted`, and in each of `trusted` itself.
    fn new(
        trusted: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // One that is no authority signs nothing, whatever file it is in.
        for certificate in trusted.iter().filter(|certificate| is_authority(certificate)) {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { roots: Arc::new(roots), trusted, algorithms })
    }

    /// Judges the two kinds that webpki does not take; `None` for any other.
    fn judge(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), Error>> {
        if self.trusted.iter().any(|trusted| trusted == certificate) {
            let facts = Facts::read(certificate).map_err(|_| CertificateError::BadEncoding.into());
            return Some(facts.and_then(|facts| is_in_time(&facts, now)));
        }
        let facts = v1(certificate)?;
        Some(is_in_time(&facts, now).and_then(|()| {
            let mut signers = self.roots.roots.iter().filter(|root| is_issuer(root, &facts));
            match signers.any(|root| self.is_signed_by(certificate, root)) {
                true => Ok(()),
                false => Err(CertificateError::UnknownIssuer.into()),
            }
        }))
    }

    fn is_signed_by(&self, certificate: &CertificateDer<'_>, root: &TrustAnchor<'_>) -> bool {
        let (Some(signed), Some(key)) =
            (Signed::read(certificate), PublicKey::read(&root.subject_public_key_info))
        else {
            return false;
        };
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == signed.algorithm
        };
        self.algorithms
            .all
            .iter()
            .filter(fits)
            .any(|algorithm| key.verifies(*algorithm, signed.content, signed.signature))
    }

    fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match v1(certificate) {
            Some(facts) => self.verify_v1(message, &facts, signature, usize::MAX),
            None => {
                crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
            }
        }
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match v1(certificate) {
            Some(facts) if is_for_tls13(signature.scheme) => {
                // Version 1.3 binds the curve to the scheme: webpki lists that one first.
                self.verify_v1(message, &facts, signature, 1)
            }
            Some(_) => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
            None => {
                crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
            }
        }
    }

    /// The handshake's signature by the key of a version 1 certificate, with the first `candidates` of
    /// the algorithms that its scheme may mean.
    fn verify_v1(
        &self,
        message: &[u8],
        facts: &Facts<'_>,
        signature: &DigitallySignedStruct,
        candidates: usize,
    ) -> Result<HandshakeSignatureValid, Error> {
        let by_scheme = self.algorithms.mapping.iter();
        let mut by_scheme = by_scheme.filter(|(scheme, _)| *scheme == signature.scheme);
        let (_, algorithms) =
            by_scheme.next().ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let bad = Error::from(CertificateError::BadSignature);
        let (info, _) = element(facts.public_key()).ok_or(bad.clone())?;
        let key = PublicKey::read(info).ok_or(bad.clone())?;
        let mut candidates = algorithms.iter().take(candidates);
        match candidates.any(|by| key.verifies(*by, message, signature.signature())) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(bad),
        }
    }
}

/// What a server thinks of its clients' certificates.
#[derive(Debug)]
pub(super) struct Clients {
    webpki: Arc<dyn ClientCertVerifier>,
    trust: Trust,
}

impl Clients {
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        is_optional: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let trust = Trust::new(trusted, provider)?;
        let roots = Arc::clone(&trust.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        // As Valkey, we do not tell which authorities we know.
        let builder = builder.clear_root_hint_subjects();
        let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
        let webpki = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { webpki, trust })
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.trust.judge(end_entity, now) {
            Some(judgement) => judgement.map(|()| ClientCertVerified::assertion()),
            None => self.webpki.verify_client_cert(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// What a client thinks of its server's certificate. The name in it is not looked at, as by hiredis.
#[derive(Debug)]
pub(super) struct Servers {
    trust: Trust,
    is_insecure: bool,
}

impl Servers {
    /// Without anything to go by where it `is_insecure`.
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        is_insecure: bool,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        Ok(Self { trust: Trust::new(trusted, provider)?, is_insecure })
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust { roots, algorithms, .. } = &self.trust;
        match self.trust.judge(end_entity, now) {
            _ if self.is_insecure => {}
            Some(judgement) => judgement?,
            None => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server(&parsed, roots, intermediates, now, algorithms.all)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Whether it may be among those that are trusted.
pub(super) fn is_usable(certificate: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    Facts::read(certificate).is_ok_and(|facts| facts.is_v1() || facts.is_authority())
}

fn v1<'a>(certificate: &'a CertificateDer<'_>) -> Option<Facts<'a>> {
    Facts::read(certificate).ok().filter(Facts::is_v1)
}

fn is_in_time(facts: &Facts<'_>, now: UnixTime) -> Result<(), Error> {
    let (from_s, until_s) = facts.valid_unix_s();
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match () {
        () if now_s < from_s => Err(CertificateError::NotValidYet.into()),
        () if now_s > until_s => Err(CertificateError::Expired.into()),
        () => Ok(()),
    }
}

/// Names that an authority is bound to cannot be looked for where there are no extensions.
fn is_issuer(root: &TrustAnchor<'_>, facts: &Facts<'_>) -> bool {
    let issuer = element(facts.issuer()).map(|(name, _)| name);
    root.name_constraints.is_none() && issuer == Some(&root.subject)
}

/// RFC 8446, section 4.2.3: signatures of a handshake are neither PKCS #1 v1.5 nor of SHA-1.
fn is_for_tls13(scheme: SignatureScheme) -> bool {
    use SignatureScheme::*;
    matches!(
        scheme,
        RSA_PSS_SHA256
            | RSA_PSS_SHA384
            | RSA_PSS_SHA512
            | ECDSA_NISTP256_SHA256
            | ECDSA_NISTP384_SHA384
            | ECDSA_NISTP521_SHA512
            | ED25519
    )
}

/// `SubjectPublicKeyInfo`, apart: RFC 5280, section 4.1.
struct PublicKey<'a> {
    algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// From what is within the outer sequence.
    fn read(info: &'a [u8]) -> Option<Self> {
        let (algorithm, rest) = element(info)?;
        let (key, _) = element(rest)?;
        Some(Self { algorithm, key: key.strip_prefix(&[0])? })
    }

    fn verifies(
        &self,
        by: &dyn SignatureVerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        by.public_key_alg_id().as_ref() == self.algorithm
            && by.verify_signature(self.key, message, signature).is_ok()
    }
}

/// A certificate as what is signed, how, and the signature.
struct Signed<'a> {
    content: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
        let (inner, _) = element(certificate)?;
        let (_, rest) = element(inner)?;
        let content = &inner[..inner.len() - rest.len()];
        let (algorithm, rest) = element(rest)?;
        let (signature, _) = element(rest)?;
        Some(Self { content, algorithm, signature: signature.strip_prefix(&[0])? })
    }
}

/// What is within the first DER element, and what comes behind it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Longer ones do not fit into a handshake.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_element_ends_where_its_length_says() {
        assert_eq!(element(&[0x30, 2, 7, 8, 9]), Some((&[7, 8][..], &[9][..])));
        assert_eq!(element(&[0x30, 0x81, 1, 7]), Some((&[7][..], &[][..])));
        assert_eq!(element(&[0x30, 0x82, 0, 1, 7]), Some((&[7][..], &[][..])));
        assert_eq!(element(&[0x30, 3, 7]), None, "it is cut off");
        assert_eq!(element(&[0x30, 0x84, 0, 0, 0, 1, 7]), None, "longer than any handshake");
        assert_eq!(element(&[0x30]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(mut bytes in vec(any::<u8>(), 0..600), nest in 0..4_usize) {
            // Lengths that fit lead further in.
            for _ in 0..nest {
                let len = u16::try_from(bytes.len()).expect("short").to_be_bytes();
                bytes.splice(0..0, [0x30, 0x82, len[0], len[1]]);
            }
            let _ = Signed::read(&bytes);
            let _ = PublicKey::read(&bytes);
            let _ = Facts::read(&CertificateDer::from(bytes)).map(|facts| facts.summary());
        }
    }
}
