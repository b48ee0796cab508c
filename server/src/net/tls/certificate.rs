//! What a certificate says of itself. Read leniently: the protocol's own checks are rustls'.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::config::settings::AuthUser;
use crate::engine::Certificate;

/// A certificate, parsed.
pub(super) struct Facts<'a>(X509Certificate<'a>);

impl<'a> Facts<'a> {
    pub(super) fn read(der: &'a CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        Ok(Self(certificate))
    }

    /// X.509 version 1 knows no extensions. webpki, and so rustls, takes none but version 3.
    pub(super) fn is_v1(&self) -> bool {
        self.0.version() == X509Version::V1
    }

    /// Whether it may sign others.
    pub(super) fn is_authority(&self) -> bool {
        self.0.is_ca()
    }

    /// Whether it tells for which hosts it is, as all clients but OpenSSL's want to know.
    pub(super) fn names_a_host(&self) -> bool {
        let names = self.alternative_names();
        names.iter().any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    }

    /// Not before this and not after that, in Unix time.
    pub(super) fn valid_unix_s(&self) -> (i64, i64) {
        let validity = self.0.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    }

    /// `SubjectPublicKeyInfo`, whole.
    pub(super) fn public_key(&self) -> &'a [u8] {
        self.0.tbs_certificate.subject_pki.raw
    }

    /// The DER of the issuer's name.
    pub(super) fn issuer(&self) -> &'a [u8] {
        self.0.tbs_certificate.issuer.as_raw()
    }

    /// What INFO tells.
    pub(super) fn summary(&self) -> Certificate {
        let digits = self.0.raw_serial().iter().skip_while(|byte| **byte == 0);
        let serial: String = digits.map(|byte| format!("{byte:02X}")).collect();
        let serial = if serial.is_empty() { "0".to_owned() } else { serial };
        Certificate { serial, expires_unix_s: self.valid_unix_s().1 }
    }

    /// The names that it may give a user, in their order. Whole, with any NUL: what the authority
    /// signed is what is compared.
    pub(super) fn user_names(&self, by: AuthUser) -> Vec<Vec<u8>> {
        match by {
            AuthUser::Off => Vec::new(),
            AuthUser::CommonName => {
                let first = self.0.subject().iter_common_name().next();
                let name = first.map(|name| name.as_slice().to_vec());
                name.into_iter().filter(|name| !name.is_empty()).collect()
            }
            AuthUser::Uri => {
                let uri = |name: &GeneralName<'_>| match name {
                    GeneralName::URI(uri) if !uri.is_empty() && !uri.contains('\0') => {
                        Some(uri.as_bytes().to_vec())
                    }
                    _ => None,
                };
                self.alternative_names().iter().filter_map(uri).collect()
            }
        }
    }

    fn alternative_names(&self) -> &[GeneralName<'a>] {
        let extension = self.0.subject_alternative_name().ok().flatten();
        extension.map_or(&[], |extension| &extension.value.general_names)
    }
}
