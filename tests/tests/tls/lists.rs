//! Protocols and ciphers, as `openssl s_client` finds them.

use holdfast_tests::authority::{Authority, HERE, Time};

use crate::tls::rig::Rig;

/// The protocol and the cipher that a client with these words ends up with; none if it is refused.
fn agreed(rig: &Rig, words: &str) -> Option<(String, String)> {
    let said = rig.s_client(&format!("{words} -ign_eof"), "PING\\r\\nQUIT\\r\\n");
    if !said.contains("+PONG") {
        return None;
    }
    let line = said.lines().find_map(|line| line.strip_prefix("New, "))?;
    let (protocol, cipher) = line.split_once(", Cipher is ")?;
    Some((protocol.to_owned(), cipher.to_owned()))
}

#[track_caller]
fn check(rig: &Rig, words: &str, expected: Option<(&str, &str)>) {
    let expected = expected.map(|(protocol, cipher)| (protocol.to_owned(), cipher.to_owned()));
    assert_eq!(agreed(rig, words), expected, "{words}");
}

#[test]
fn protocols_and_ciphers_are_what_the_lists_say() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "no"]);
    check(&rig, "", Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384")));
    check(&rig, "-tls1_2", Some(("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")));
    check(&rig, "-tls1_1 -cipher ALL:@SECLEVEL=0", None);

    rig.set(&["tls-protocols", "TLSv1.2"]);
    check(&rig, "-tls1_3", None);
    check(&rig, "", Some(("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")));
    rig.set(&["tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"]);
    check(&rig, "-cipher ECDHE-ECDSA-AES256-GCM-SHA384", None);
    let both = "-cipher ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
    check(&rig, both, Some(("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")));
    rig.set(&["tls-prefer-server-ciphers", "yes"]);
    check(&rig, both, Some(("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")));

    rig.set(&["tls-protocols", "TLSv1.3", "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]);
    check(&rig, "-tls1_2", None);
    check(&rig, "", Some(("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")));
}
