//! One whole configuration from directives and files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::certificate::Facts;
use super::files::{self, Fingerprint, Identity};
use super::tickets::Tickets;
use super::verify::Clients;
use super::{Active, ciphers};
use crate::config::settings::{self, AuthClients};
use crate::engine::{Certificate, Certificates};
use crate::log;

/// Tickets that a client gets for each session.
const TICKETS: usize = 1;

/// Reads all files. An error is a line of the log that says why not.
pub(super) fn build(settings: &settings::Tls) -> Result<Active, String> {
    // Before the files: what changes while they are read is seen by the next look.
    let fingerprint = Fingerprint::of(settings);
    let identity = server_identity(settings)?;
    let authorities = files::authorities(settings)?;
    let client = client_identity(settings)?;
    let certificates = Certificates {
        server: Some(facts(&identity.chain[0])?.summary()),
        client: client.map(|client| facts(&client.chain[0]).map(|it| it.summary())).transpose()?,
        ca: first_to_expire(&authorities),
    };
    let valid_unix_s = facts(&identity.chain[0])?.valid_unix_s();
    warn(settings, &identity);
    let config = Arc::new(server_config(settings, identity, authorities)?);
    Ok(Active { config, auth_user: settings.auth_user, certificates, valid_unix_s, fingerprint })
}

/// A certificate out of its time may begin (a clock may be wrong), but never takes the place of a
/// good one.
pub(super) fn is_no_worse(new: &Active, old: &Active) -> Result<(), String> {
    let now_s = unix_s();
    let is_good = |(from_s, until_s): (i64, i64)| (from_s..=until_s).contains(&now_s);
    if is_good(new.valid_unix_s) || !is_good(old.valid_unix_s) {
        return Ok(());
    }
    let why = if now_s < new.valid_unix_s.0 { "is not valid yet" } else { "has expired" };
    Err(format!("The new certificate {why}, the one in use has not: it stays."))
}

fn server_identity(settings: &settings::Tls) -> Result<Identity, String> {
    let settings::Identity { cert_file, key_file, key_pass } = &settings.server;
    let cert = cert_file.as_deref().ok_or("No tls-cert-file configured!")?;
    let key = key_file.as_deref().ok_or("No tls-key-file configured!")?;
    let asks = settings.auth_clients != AuthClients::No;
    let knows_authorities = settings.ca_file.is_some() || settings.ca_dir.is_some();
    if (asks || settings.cluster || settings.replication) && !knows_authorities {
        return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when \
                    tls-cluster, tls-replication or tls-auth-clients are enabled!"
            .to_owned());
    }
    files::identity(cert, key, key_pass)
}

/// Nothing connects to others yet; it is read so that a mistake in it is heard of.
fn client_identity(settings: &settings::Tls) -> Result<Option<Identity>, String> {
    let settings::Identity { cert_file, key_file, key_pass } = &settings.client;
    let (Some(cert), Some(key)) = (cert_file, key_file) else { return Ok(None) };
    files::identity(cert, key, key_pass).map(Some)
}

fn facts<'a>(certificate: &'a CertificateDer<'_>) -> Result<Facts<'a>, String> {
    Facts::read(certificate)
}

fn first_to_expire(authorities: &[CertificateDer<'_>]) -> Option<Certificate> {
    let summaries =
        authorities.iter().filter_map(|authority| Some(Facts::read(authority).ok()?.summary()));
    summaries.min_by_key(|summary| summary.expires_unix_s)
}

fn server_config(
    settings: &settings::Tls,
    identity: Identity,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<ServerConfig, String> {
    let failed = |error: rustls::Error| format!("Failed to configure TLS: {error}");
    let protocols = ciphers::protocols(&settings.protocols)?;
    let mut provider = default_provider();
    provider.cipher_suites = ciphers::suites(&settings.ciphers, &settings.ciphersuites)?;
    let provider = Arc::new(provider);
    let verifier: Arc<dyn ClientCertVerifier> = match settings.auth_clients {
        AuthClients::No => Arc::new(NoClientAuth),
        asks => {
            let is_optional = asks == AuthClients::Optional;
            let verifier = Clients::new(authorities, is_optional, &provider);
            Arc::new(verifier.map_err(|why| {
                format!("Failed to configure CA certificate(s) file/directory: {why}")
            })?)
        }
    };
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&protocols).map_err(failed)?;
    // Not `with_single_cert`: it refuses version 1. That key and certificate fit was looked at.
    let only = SingleCertAndKey::from(CertifiedKey::new(identity.chain, identity.key));
    let builder = builder.with_client_cert_verifier(verifier);
    let mut config = builder.with_cert_resolver(Arc::new(only));
    config.ignore_client_order = settings.prefer_server_ciphers;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if settings.session_lifetime.is_zero() {
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = Arc::new(Tickets::new(settings.session_lifetime).map_err(failed)?);
        config.send_tls13_tickets = TICKETS;
    }
    Ok(config)
}

/// What works, and not for everybody or not for long.
fn warn(settings: &settings::Tls, identity: &Identity) {
    if let Some(path) = &settings.dh_params_file {
        let path = path.display();
        log::warning!("tls-dh-params-file {path} is not used: no cipher here needs one.");
    }
    let Ok(facts) = facts(&identity.chain[0]) else { return };
    let path = settings.server.cert_file.as_deref().unwrap_or(Path::new(""));
    let path = path.display();
    let now_s = unix_s();
    match facts.valid_unix_s() {
        (_, until_s) if now_s > until_s => {
            log::warning!("WARNING: the certificate {path} has expired.");
        }
        (from_s, _) if now_s < from_s => {
            log::warning!("WARNING: the certificate {path} is not valid yet.");
        }
        _ => {}
    }
    if facts.is_v1() || !facts.names_a_host() {
        log::warning!(
            "WARNING: the certificate {path} names no host (subjectAltName). Clients that check \
             whom they talk to refuse it; those of Redis and Valkey do not check. With names it is \
             made by: openssl x509 -req ... -extfile <(printf 'subjectAltName=DNS:NAME,IP:ADDRESS')"
        );
    }
}

fn unix_s() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}
