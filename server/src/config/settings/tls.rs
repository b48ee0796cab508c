//! What the directives `tls-*` ask for.

use std::path::PathBuf;
use std::time::Duration;

use super::Values;
use crate::config::directives;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Zero: nothing listens.
    pub port: u16,
    /// Who we are to those who connect.
    pub server: Identity,
    /// Who we are where we connect; the server's where it is not set.
    pub client: Identity,
    pub ca_file: Option<PathBuf>,
    pub ca_dir: Option<PathBuf>,
    pub dh_params_file: Option<PathBuf>,
    pub auth_clients: AuthClients,
    pub auth_user: AuthUser,
    pub replication: bool,
    pub cluster: bool,
    /// Empty, here and in the lists of ciphers: what is safe.
    pub protocols: String,
    pub ciphers: String,
    pub ciphersuites: String,
    pub prefer_server_ciphers: bool,
    /// How long a client may take up its last session again; zero: never.
    pub session_lifetime: Duration,
    /// How often files that changed are looked for; zero: never.
    pub reload_interval: Duration,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Empty: the key is not encrypted.
    pub key_pass: Vec<u8>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthClients {
    No,
    /// One that is shown has to be good.
    Optional,
    Yes,
}

/// What of a client's certificate names its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthUser {
    Off,
    CommonName,
    Uri,
}

impl Tls {
    pub(super) fn new(v: &Values<'_>) -> Self {
        let lifetime = Duration::from_secs(v.int("tls-session-cache-timeout"));
        Self {
            port: v.int("tls-port"),
            server: Identity::new(v, "tls-cert-file", "tls-key-file", "tls-key-file-pass"),
            client: Identity::new(
                v,
                "tls-client-cert-file",
                "tls-client-key-file",
                "tls-client-key-file-pass",
            ),
            ca_file: v.path("tls-ca-cert-file"),
            ca_dir: v.path("tls-ca-cert-dir"),
            dh_params_file: v.path("tls-dh-params-file"),
            auth_clients: match v.choice("tls-auth-clients") {
                directives::AUTH_NO => AuthClients::No,
                directives::AUTH_OPTIONAL => AuthClients::Optional,
                _ => AuthClients::Yes,
            },
            auth_user: match v.choice("tls-auth-clients-user") {
                directives::AUTH_USER_CN => AuthUser::CommonName,
                directives::AUTH_USER_URI => AuthUser::Uri,
                _ => AuthUser::Off,
            },
            replication: v.bool("tls-replication"),
            cluster: v.bool("tls-cluster"),
            protocols: v.words("tls-protocols"),
            ciphers: v.words("tls-ciphers"),
            ciphersuites: v.words("tls-ciphersuites"),
            prefer_server_ciphers: v.bool("tls-prefer-server-ciphers"),
            session_lifetime: if v.bool("tls-session-caching") { lifetime } else { Duration::ZERO },
            reload_interval: Duration::from_secs(v.int("tls-auto-reload-interval")),
        }
    }

    /// Whether anything needs TLS: then its files have to be good.
    pub fn is_on(&self) -> bool {
        self.port != 0 || self.replication || self.cluster
    }
}

impl Identity {
    fn new(v: &Values<'_>, cert: &str, key: &str, pass: &str) -> Self {
        let key_pass = v.text(pass).to_vec();
        Self { cert_file: v.path(cert), key_file: v.path(key), key_pass }
    }
}
