//! TLS: what its directives and files ask for ([`Tls`]), and how a socket becomes a connection that
//! speaks it ([`accept`]). And the other end, which redis-cli is ([`connect`]).
//!
//! To read: [`files`] (certificates and keys), [`certificate`] (what one says), [`verify`] (those of
//! peers), [`ciphers`] (OpenSSL's lists), [`build`] (all of it together), [`accept`], [`stream`];
//! [`connect`], [`session`], [`reasons`].
//!
//! A configuration is built as a whole and takes the place of the one before in one step, or not at
//! all. Connections keep the one they began with.

pub mod accept;
mod build;
mod certificate;
mod ciphers;
pub(crate) mod connect;
mod files;
mod reasons;
mod session;
mod stream;
mod tickets;
mod verify;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;

use crate::config::settings::{self, AuthUser};
use crate::engine::Certificates;
use crate::log;

/// TLS as it is in force. Shared by whoever accepts and whoever configures.
#[derive(Default)]
pub struct Tls {
    active: RwLock<Option<Arc<Active>>>,
    /// Sockets that are no clients yet.
    handshakes: AtomicUsize,
}

/// One configuration, with all that was read for it.
struct Active {
    config: Arc<ServerConfig>,
    auth_user: AuthUser,
    certificates: Certificates,
    /// Not before this and not after that, in Unix time: the server's certificate.
    valid_unix_s: (i64, i64),
    fingerprint: files::Fingerprint,
}

impl Tls {
    /// Builds TLS anew; an error leaves it as it was. The log says why.
    pub fn configure(&self, settings: &settings::Tls) -> Result<(), String> {
        if !settings.is_on() {
            self.put(None);
            return Ok(());
        }
        log::debug!(
            "{}",
            if self.active().is_some() { "Reconfiguring TLS" } else { "Configuring TLS" }
        );
        let built = self.build(settings).inspect_err(|reason| log::warning!("{reason}"))?;
        self.put(Some(built));
        Ok(())
    }

    /// Builds TLS if it is needed and not there.
    pub fn ensure(&self, settings: &settings::Tls) -> Result<(), String> {
        match (settings.is_on(), self.active()) {
            (true, Some(_)) => Ok(()),
            _ => self.configure(settings),
        }
    }

    /// Reads the files again; whether they had changed. On an error the old ones stay in force.
    pub fn reload(&self, settings: &settings::Tls) -> Result<bool, String> {
        let Some(active) = self.active().filter(|_| settings.is_on()) else { return Ok(false) };
        if files::Fingerprint::of(settings) == active.fingerprint {
            log::debug!("TLS reload skipped: materials unchanged");
            return Ok(false);
        }
        log::notice!("TLS materials changed, reloading in background");
        let built = self.build(settings).inspect_err(|reason| {
            log::warning!("{reason}");
            log::warning!("Background TLS reload failed");
        })?;
        self.put(Some(built));
        log::notice!("TLS materials reloaded successfully");
        Ok(true)
    }

    /// Of the configuration in force.
    pub fn certificates(&self) -> Certificates {
        self.active().map_or_else(Certificates::default, |active| active.certificates.clone())
    }

    fn build(&self, settings: &settings::Tls) -> Result<Arc<Active>, String> {
        let built = build::build(settings)?;
        if let Some(active) = self.active() {
            build::is_no_worse(&built, &active)?;
        }
        Ok(Arc::new(built))
    }

    fn active(&self) -> Option<Arc<Active>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, active: Option<Arc<Active>>) {
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = active;
    }

    /// How many sockets are in their handshake.
    fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }
}
