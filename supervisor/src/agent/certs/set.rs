//! A set of files that the server is given, and the one that is in use.

use std::path::Path;

use super::bundle::{Bundle, Facts};
use super::fault::{Fault, Kind};
use super::pem::Source;
use super::store::{Reader, Store, read_bounded};

pub(crate) const CERTIFICATE: &str = "server.crt";
pub(crate) const KEY: &str = "server.key";
pub(crate) const AUTHORITY: &str = "ca.crt";
const CLIENT_CERTIFICATE: &str = "client.crt";
const CLIENT_KEY: &str = "client.key";

#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) bundle: Bundle,
    /// Where the device signs itself it makes a client's as well: certificate and key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// What the server has.
#[derive(Debug, Clone)]
pub(crate) struct InUse {
    pub(crate) facts: Facts,
    pub(crate) set: Set,
}

impl Set {
    pub(crate) fn install(&self, store: &Store) -> Result<(), String> {
        let bundle = &self.bundle;
        let mut files = vec![
            (CERTIFICATE, &bundle.certificate.bytes[..], Reader::Anybody),
            (KEY, &bundle.key.bytes, Reader::Server),
        ];
        if let Some(authority) = &bundle.authority {
            files.push((AUTHORITY, &authority.bytes, Reader::Anybody));
        }
        if let Some((certificate, key)) = &self.client {
            files.push((CLIENT_CERTIFICATE, certificate, Reader::Anybody));
            // The server must not be able to pass for those who look after it.
            files.push((CLIENT_KEY, key, Reader::Nobody));
        }
        let installed = store.install(&files);
        installed.map(drop).map_err(|error| format!("cannot keep the certificate: {error}"))
    }

    /// The server would get the same bytes.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let bytes = |set: &Self| {
            let bundle = set.bundle.clone();
            let authority = bundle.authority.map(|authority| authority.bytes);
            (bundle.certificate.bytes, bundle.key.bytes, authority)
        };
        bytes(self) == bytes(other)
    }
}

impl InUse {
    /// `None` before the first; an error when what is in use is damaged. Dates are not judged: an
    /// expired certificate is still what there is.
    pub(crate) fn load(store: &Store) -> Result<Option<Self>, String> {
        let current = store.current();
        if !current.exists() {
            return Ok(None);
        }
        let authority = current.join(AUTHORITY);
        let authority = authority.exists().then_some(authority);
        let read = read(&current.join(CERTIFICATE), &current.join(KEY), authority.as_deref());
        let bundle = read.map_err(|faults| sentence(&faults))?;
        let facts = bundle.check(&[], None).map_err(|faults| sentence(&faults))?;
        let client = read_bounded(&current.join(CLIENT_CERTIFICATE)).ok();
        let client = client.zip(read_bounded(&current.join(CLIENT_KEY)).ok());
        Ok(Some(Self { facts, set: Set { bundle, client } }))
    }
}

/// All faults in one line.
pub(crate) fn sentence(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

pub(crate) fn read(
    certificate: &Path,
    key: &Path,
    authority: Option<&Path>,
) -> Result<Bundle, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut read = |path: &Path| {
        let name = path.display().to_string();
        match read_bounded(path) {
            Ok(bytes) => Source { name, bytes },
            Err(error) => {
                faults.push(Fault::new(
                    &name,
                    Kind::Unreadable,
                    format!("cannot be read: {error}"),
                ));
                Source { name, bytes: Vec::new() }
            }
        }
    };
    let bundle =
        Bundle { certificate: read(certificate), key: read(key), authority: authority.map(read) };
    if faults.is_empty() { Ok(bundle) } else { Err(faults) }
}
