//! A PEM file as the sections in it, all of them or a fault.

use rustls_pki_types::pem::{Error, PemObject, SectionKind};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::fault::{Fault, Kind};

/// As many as all public authorities together, twice.
const MAX_SECTIONS: usize = 512;

/// A file's name, for sentences, and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// DER of each kind, in the file's order. Other kinds are skipped.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) keys: Vec<PrivateKeyDer<'static>>,
    pub(crate) revocation_lists: Vec<Vec<u8>>,
}

impl Source {
    pub(crate) fn sections(&self) -> Result<Sections, Fault> {
        let mut sections = Sections::default();
        for (at, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.bytes).enumerate() {
            let (kind, der) = section.map_err(|error| self.damaged(at + 1, &error))?;
            if at == MAX_SECTIONS {
                let text = format!("has more than {MAX_SECTIONS} sections");
                return Err(self.fault(Kind::Garbage, text));
            }
            sections.add(kind, der);
        }
        Ok(sections)
    }

    fn damaged(&self, number: usize, error: &Error) -> Fault {
        match error {
            Error::MissingSectionEnd { end_marker } => {
                let end = String::from_utf8_lossy(end_marker);
                let text = format!("is cut off: PEM section {number} has no \"{}\"", end.trim());
                self.fault(Kind::Truncated, text)
            }
            Error::IllegalSectionStart { .. } => {
                self.fault(Kind::Garbage, format!("PEM section {number} begins with nonsense"))
            }
            _ => self.fault(Kind::Garbage, format!("PEM section {number} is not base64")),
        }
    }

    pub(crate) fn fault(&self, kind: Kind, text: impl Into<String>) -> Fault {
        Fault::new(&self.name, kind, text)
    }

    /// Why nothing of `what` was found.
    pub(crate) fn without(&self, what: &str) -> Fault {
        let holds = |marker: &[u8]| self.bytes.windows(marker.len()).any(|at| at == marker);
        match () {
            () if self.bytes.is_empty() => self.fault(Kind::Truncated, "is empty"),
            () if holds(b"-----BEGIN ENCRYPTED PRIVATE KEY") => {
                self.fault(Kind::Absent, "holds a key behind a password; store it without one")
            }
            () if holds(b"-----BEGIN ") => self.fault(Kind::Absent, format!("holds no {what}")),
            () => self.fault(Kind::Garbage, format!("is not a PEM file: it holds no {what}")),
        }
    }
}

impl Sections {
    fn add(&mut self, kind: SectionKind, der: Vec<u8>) {
        match kind {
            SectionKind::Certificate => self.certificates.push(der),
            SectionKind::Crl => self.revocation_lists.push(der),
            SectionKind::PrivateKey => self.keys.push(PrivatePkcs8KeyDer::from(der).into()),
            SectionKind::RsaPrivateKey => self.keys.push(PrivatePkcs1KeyDer::from(der).into()),
            SectionKind::EcPrivateKey => self.keys.push(PrivateSec1KeyDer::from(der).into()),
            _ => {}
        }
    }
}
