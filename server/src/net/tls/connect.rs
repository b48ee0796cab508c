//! The other end of TLS: what `redis-cli --tls` and its companions ask for, and how a connected socket
//! becomes a session. Errors are the original's words.

use std::env;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_cli::{AskPassword, TlsFailure, TlsOptions, TlsSession};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection};

use super::certificate::Facts;
use super::session::Session;
use super::verify::{self, Servers};
use super::{ciphers, files};

/// Where systems keep all authorities in one file; the first that is there counts.
const FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// And where each is a file.
const DIRECTORIES: &str = "/etc/ssl/certs";
/// What of OpenSSL's environment counts instead: a file, and directories with `:` between them.
const FILE_BY: &str = "SSL_CERT_FILE";
const DIRECTORIES_BY: &str = "SSL_CERT_DIR";

const BAD_AUTHORITIES: &str = "Invalid CA Certificate File/Directory";

/// Begins a session as a client.
pub(crate) fn connect(
    options: &TlsOptions,
    socket: File,
    ask: AskPassword<'_>,
) -> Result<Arc<dyn TlsSession>, TlsFailure> {
    let config = Arc::new(config(options, ask).map_err(TlsFailure::Options)?);
    let name = match &options.sni {
        Some(name) => ServerName::try_from(name.clone()),
        // Not sent.
        None => Ok(ServerName::from(Ipv4Addr::LOCALHOST)),
    };
    let name = name.map_err(|_| TlsFailure::Options("Failed to configure SNI"))?;
    let connection = ClientConnection::new(config, name)
        .map_err(|_| TlsFailure::Options("Failed to create SSL object"))?;
    let session = Session::new(connection, socket);
    session.shake_hands().map_err(TlsFailure::Handshake)?;
    Ok(Arc::new(session))
}

fn config(options: &TlsOptions, ask: AskPassword<'_>) -> Result<ClientConfig, &'static str> {
    let mut provider = default_provider();
    let authorities = match (&options.ca_file, &options.ca_dir) {
        (None, None) => defaults(),
        _ => asked_for(options)?,
    };
    let servers = Servers::new(authorities, options.is_insecure, &provider);
    let servers = servers.map_err(|_| BAD_AUTHORITIES)?;
    let identity = identity(options, ask)?;
    provider.cipher_suites = suites(options)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| "Failed to create SSL_CTX")?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(servers));
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = options.sni.is_some();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The authorities of file and directory.
fn asked_for(options: &TlsOptions) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let of_file = options.ca_file.as_deref().map(files::certificates_of).transpose();
    let mut found = of_file.map_err(|_| BAD_AUTHORITIES)?.unwrap_or_default();
    found.extend(options.ca_dir.as_deref().map(in_directory).unwrap_or_default());
    Ok(found)
}

/// The authorities of the system, if it has any. What it has that cannot be used is no mistake of ours.
fn defaults() -> Vec<CertificateDer<'static>> {
    let file = env::var_os(FILE_BY).map(|file| vec![PathBuf::from(file)]);
    let files = file.unwrap_or_else(|| FILES.map(PathBuf::from).to_vec());
    let found = files.iter().find_map(|file| files::certificates_of(file).ok());
    let mut found = found.unwrap_or_default();
    found.retain(verify::is_usable);
    let directories = env::var_os(DIRECTORIES_BY).unwrap_or_else(|| DIRECTORIES.into());
    found.extend(env::split_paths(&directories).flat_map(|directory| in_directory(&directory)));
    found
}

/// A directory that cannot be read has none.
fn in_directory(directory: &Path) -> Vec<CertificateDer<'static>> {
    let mut found = files::certificates_in(directory).unwrap_or_default();
    found.retain(verify::is_usable);
    found
}

/// What we show to the server that asks. A certificate without its key is none, and the reverse.
fn identity(
    options: &TlsOptions,
    ask: AskPassword<'_>,
) -> Result<Option<CertifiedKey>, &'static str> {
    let chain = options.cert_file.as_deref().map(files::certificates_of);
    let chain = chain.transpose().map_err(|_| "Invalid client certificate")?;
    let Some(path) = &options.key_file else { return Ok(None) };
    let password = if files::is_encrypted(path) { ask() } else { None };
    let key = files::key_of(path, &password.unwrap_or_default());
    let key = key.map_err(|_| "Invalid private key")?;
    let Some(chain) = chain else { return Ok(None) };
    let certificate = Facts::read(&chain[0]).map_err(|_| "Invalid client certificate")?;
    match files::is_key_of(key.as_ref(), &certificate) {
        true => Ok(Some(CertifiedKey::new(chain, key))),
        false => Err("Invalid private key"),
    }
}

fn suites(options: &TlsOptions) -> Result<Vec<rustls::SupportedCipherSuite>, &'static str> {
    let old = ciphers::tls12_suites(options.ciphers.as_deref().unwrap_or_default());
    let new = ciphers::tls13_suites(options.ciphersuites.as_deref().unwrap_or_default());
    let old = old.ok_or("Error while configuring ciphers")?;
    let new = new.ok_or("Error while setting cypher suites")?;
    Ok([new, old].concat())
}
