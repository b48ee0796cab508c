//! TLS.

use super::super::directive::{
    Choices, Directive, Effect, INT_MAX, boolean, choice, int, optional,
};

pub(crate) const AUTH_NO: i64 = 0;
const AUTH_YES: i64 = 1;
pub(crate) const AUTH_OPTIONAL: i64 = 2;
const AUTH_CLIENTS: Choices = &[("no", AUTH_NO), ("yes", AUTH_YES), ("optional", AUTH_OPTIONAL)];
const AUTH_USER_OFF: i64 = 0;
pub(crate) const AUTH_USER_CN: i64 = 1;
pub(crate) const AUTH_USER_URI: i64 = 2;
const AUTH_CLIENTS_USER: Choices =
    &[("CN", AUTH_USER_CN), ("URI", AUTH_USER_URI), ("off", AUTH_USER_OFF)];

pub(super) const DIRECTIVES: &[Directive] = &[
    int("tls-port", 0, 65535, 0).effect(Effect::ListenTls),
    file("tls-cert-file"),
    file("tls-key-file"),
    optional("tls-key-file-pass").sensitive().effect(Effect::Tls),
    file("tls-client-cert-file"),
    file("tls-client-key-file"),
    optional("tls-client-key-file-pass").sensitive().effect(Effect::Tls),
    file("tls-ca-cert-file"),
    file("tls-ca-cert-dir"),
    file("tls-dh-params-file"),
    choice("tls-auth-clients", AUTH_CLIENTS, AUTH_YES).effect(Effect::Tls),
    choice("tls-auth-clients-user", AUTH_CLIENTS_USER, AUTH_USER_OFF).effect(Effect::Tls),
    boolean("tls-replication", false).effect(Effect::Tls).not_yet(),
    boolean("tls-cluster", false).effect(Effect::Tls).not_yet(),
    optional("tls-protocols").effect(Effect::Tls),
    optional("tls-ciphers").effect(Effect::Tls),
    optional("tls-ciphersuites").effect(Effect::Tls),
    boolean("tls-prefer-server-ciphers", false).effect(Effect::Tls),
    boolean("tls-session-caching", true).effect(Effect::Tls),
    // The client keeps its session in a ticket; the server holds none that could be too many.
    int("tls-session-cache-size", 0, INT_MAX, 20 * 1024).moot(),
    int("tls-session-cache-timeout", 0, INT_MAX, 300).effect(Effect::Tls),
    int("tls-auto-reload-interval", 0, INT_MAX, 0),
];

const fn file(name: &'static str) -> Directive {
    optional(name).volatile().effect(Effect::Tls)
}
