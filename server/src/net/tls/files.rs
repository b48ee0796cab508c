//! The files of TLS: certificates, keys and authorities in PEM. Errors are Valkey's lines of the log.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use sha2::{Digest as _, Sha256};

use super::certificate::Facts;
use crate::config::settings;

/// Bytes of a file that are read at most; a bundle of every public authority has a quarter of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Files of a directory of authorities that are looked at.
const MAX_FILES: usize = 10_000;

/// A certificate with what stands between it and its authority, and its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<dyn SigningKey>,
}

/// Reads a certificate and the key that is its own.
pub(super) fn identity(cert: &Path, key: &Path, password: &[u8]) -> Result<Identity, String> {
    let no_certificate =
        |why: String| format!("Failed to load certificate: {}: {why}", cert.display());
    let no_key = |why: String| format!("Failed to load private key: {}: {why}", key.display());
    let chain = certificates_of(cert).map_err(no_certificate)?;
    let own = Facts::read(&chain[0]).map_err(no_certificate)?;
    let key = key_of(key, password).map_err(no_key)?;
    if !is_key_of(key.as_ref(), &own) {
        return Err(no_key(format!(
            "key values mismatch: it is not the key of {}",
            cert.display()
        )));
    }
    Ok(Identity { chain, key })
}

/// Reads a private key.
pub(super) fn key_of(path: &Path, password: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let der = private_key(&read(path)?, password)?;
    any_supported_type(&der).map_err(|error| error.to_string())
}

pub(super) fn is_key_of(key: &dyn SigningKey, certificate: &Facts<'_>) -> bool {
    key.public_key().is_none_or(|key| key.as_ref() == certificate.public_key())
}

/// Whether it takes a password to read that key.
pub(super) fn is_encrypted(path: &Path) -> bool {
    read(path).is_ok_and(|text| encrypted_section(&text).is_some())
}

/// The authorities of a file and of a directory, each once.
pub(super) fn authorities(
    settings: &settings::Tls,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |path: &Path, why: String| {
        let path = path.display();
        format!("Failed to configure CA certificate(s) file/directory: {path}: {why}")
    };
    let mut found = Vec::new();
    if let Some(path) = &settings.ca_file {
        found.extend(certificates_of(path).map_err(|why| failed(path, why))?);
    }
    if let Some(dir) = &settings.ca_dir {
        found.extend(certificates_in(dir).map_err(|error| failed(dir, error.to_string()))?);
    }
    found.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    found.dedup();
    Ok(found)
}

/// The certificates of a file, at least one.
pub(super) fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates(&read(path)?)
}

/// Those in the files of a directory. What is no certificate there is somebody else's.
pub(super) fn certificates_in(dir: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let files = files_of(dir)?;
    Ok(files.iter().flat_map(|file| certificates_of(file).unwrap_or_default()).collect())
}

/// All of them, and at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    match parsed {
        Ok(list) if list.is_empty() => Err("no certificate in it".to_owned()),
        Ok(list) => Ok(list),
        Err(error) => Err(error.to_string()),
    }
}

fn private_key(text: &[u8], password: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if let Some(section) = encrypted_section(text) {
        return decrypt(section, password).map(PrivateKeyDer::from);
    }
    if contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err("it is encrypted in OpenSSL's old form, which is not read; \
                    `openssl pkcs8 -topk8 -in FILE` writes it in the new one"
            .to_owned());
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => "no private key in it".to_owned(),
        error => error.to_string(),
    })
}

/// The text of an encrypted PKCS #8 key, with its first and last line.
fn encrypted_section(text: &[u8]) -> Option<&str> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(text).ok()?;
    let begin = text.find(BEGIN)?;
    let end = begin + text[begin..].find(END)? + END.len();
    Some(&text[begin..end])
}

fn decrypt(section: &str, password: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, String> {
    if password.is_empty() {
        return Err("it is encrypted, and no password is set for it".to_owned());
    }
    let (_, document) = pkcs8::SecretDocument::from_pem(section).map_err(|e| e.to_string())?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let opened = key.map_err(|error| error.to_string())?.decrypt(password);
    let opened = opened.map_err(|error| format!("it cannot be decrypted: {error}"))?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = || {
        let mut text = Vec::new();
        fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error: io::Error| error.to_string())?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is longer than {MAX_FILE_BYTES} bytes"));
    }
    Ok(text)
}

/// Plain files and links to such, in the order of their names.
fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.take(MAX_FILES);
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| fs::metadata(path).is_ok_and(|found| found.is_file()));
    files.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(files)
}

/// Tells whether anything was changed in the files, or where they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(settings: &settings::Tls) -> Self {
        let mut hash = Sha256::new();
        let identities = [&settings.server, &settings.client];
        let paths = identities.into_iter().flat_map(|of| [&of.cert_file, &of.key_file]);
        for path in paths.chain([&settings.ca_file]).flatten() {
            add(&mut hash, path);
        }
        if let Some(dir) = &settings.ca_dir {
            let place = fs::metadata(dir).map(|of| (of.ino(), of.mtime(), of.mtime_nsec()));
            hash.update(format!("{place:?}"));
            files_of(dir).unwrap_or_default().iter().for_each(|file| add(&mut hash, file));
        }
        Self(hash.finalize().into())
    }
}

fn add(hash: &mut Sha256, path: &Path) {
    let text = read(path);
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update([0, u8::from(text.is_ok())]);
    let text = text.unwrap_or_default();
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}
