//! TLS.

use super::super::directive::{Choices, Directive, INT_MAX, boolean, choice, int, optional};

const AUTH_YES: i64 = 1;
const AUTH_CLIENTS: Choices = &[("no", 0), ("yes", AUTH_YES), ("optional", 2)];
const AUTH_USER_OFF: i64 = 0;
const AUTH_CLIENTS_USER: Choices = &[("CN", 1), ("URI", 2), ("off", AUTH_USER_OFF)];

pub(super) const DIRECTIVES: &[Directive] = &[
    int("tls-port", 0, 65535, 0).not_yet(),
    optional("tls-cert-file").not_yet(),
    optional("tls-key-file").not_yet(),
    optional("tls-key-file-pass").sensitive().not_yet(),
    optional("tls-client-cert-file").not_yet(),
    optional("tls-client-key-file").not_yet(),
    optional("tls-client-key-file-pass").sensitive().not_yet(),
    optional("tls-ca-cert-file").not_yet(),
    optional("tls-ca-cert-dir").not_yet(),
    optional("tls-dh-params-file").not_yet(),
    choice("tls-auth-clients", AUTH_CLIENTS, AUTH_YES).not_yet(),
    choice("tls-auth-clients-user", AUTH_CLIENTS_USER, AUTH_USER_OFF).not_yet(),
    boolean("tls-replication", false).not_yet(),
    boolean("tls-cluster", false).not_yet(),
    optional("tls-protocols").not_yet(),
    optional("tls-ciphers").not_yet(),
    optional("tls-ciphersuites").not_yet(),
    boolean("tls-prefer-server-ciphers", false).not_yet(),
    boolean("tls-session-caching", true).not_yet(),
    int("tls-session-cache-size", 0, INT_MAX, 20 * 1024).not_yet(),
    int("tls-session-cache-timeout", 0, INT_MAX, 300).not_yet(),
    int("tls-auto-reload-interval", 0, INT_MAX, 0).not_yet(),
];
