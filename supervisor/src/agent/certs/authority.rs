//! The device's own authority as it lies in the store.

use std::io::{self, ErrorKind};

use super::bundle;
use super::constraints::Constraints;
use super::issue::{self, Pair};
use super::names::Name;
use super::pem::Source;
use super::schedule::{Authority, Unix};
use super::store::{Reader, Store, read_bounded};

pub(crate) const CERTIFICATE: &str = "ca.crt";
pub(crate) const KEY: &str = "ca.key";

pub(crate) enum Present {
    Good(Pair, Authority, Constraints),
    /// Never made, or lost: in part, or damaged.
    Lost,
}

/// An error is a disk that does not answer, which is no reason for a new authority.
pub(crate) fn read(store: &Store) -> io::Result<Present> {
    let Some(certificate) = text(store, CERTIFICATE)? else { return Ok(Present::Lost) };
    let Some(key) = text(store, KEY)? else { return Ok(Present::Lost) };
    let pair = Pair { certificate, key };
    Ok(match judge(&pair) {
        Some((authority, constraints)) => Present::Good(pair, authority, constraints),
        None => Present::Lost,
    })
}

fn text(store: &Store, name: &str) -> io::Result<Option<String>> {
    match read_bounded(&store.path(name)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FileTooLarge) => {
            Ok(None)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
    }
}

/// `None`: one is damaged, or they do not belong together.
fn judge(pair: &Pair) -> Option<(Authority, Constraints)> {
    let source = |text: &str| Source { name: String::new(), bytes: text.as_bytes().to_vec() };
    let certificate = source(&pair.certificate);
    let key = bundle::public_key(&source(&pair.key)).ok()?;
    let certificates = bundle::certificates(&certificate, "certificate").ok()?;
    let judge = |parsed: &[x509_parser::certificate::X509Certificate]| {
        let own = *key == *parsed[0].public_key().subject_public_key.data;
        let validity = parsed[0].validity();
        let authority = Authority {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        };
        own.then(|| (authority, Constraints::read(&parsed[0])))
    };
    bundle::parse(&certificate, &certificates, judge).ok()?
}

/// A new one, for these names. What was there is set aside. The key first: without it there is no
/// authority.
pub(crate) fn create(
    store: &Store,
    host: &str,
    names: &[Name],
    now: Unix,
) -> Result<(Pair, Constraints), String> {
    let constraints = Constraints::of(names);
    let made = issue::authority(host, &constraints, now);
    let pair = made.map_err(|error| format!("no authority: {error}"))?;
    let saved = (|| {
        store.set_aside(CERTIFICATE)?;
        store.set_aside(KEY)?;
        store.write(KEY, pair.key.as_bytes(), Reader::Nobody)?;
        store.write(CERTIFICATE, pair.certificate.as_bytes(), Reader::Anybody)
    })();
    saved
        .map(|()| (pair, constraints))
        .map_err(|error| format!("cannot keep the authority: {error}"))
}
