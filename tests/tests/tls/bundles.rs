//! Bundles that are no good: refused as Valkey refuses them, and what was in force stays.

use std::fs;
use std::net::Ipv4Addr;

use holdfast_tests::authority::{Authority, HERE, Issued, Time};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::wait;

use crate::tls::rig::{Rig, connect};

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Refused with Valkey's error, `said` in the log, and the first certificate goes on.
#[track_caller]
fn check(rig: &Rig, args: &[&str], said: &str) {
    let before = rig.info("tls_server_cert_serial");
    let kept = rig.client().run("CONFIG GET tls-*");
    let logged = rig.server.log().len();
    let expected = format!(
        "ERR CONFIG SET failed (possibly related to argument '{}') - Unable to update TLS \
         configuration. Check server logs.",
        args[0]
    );
    assert_eq!(rig.try_set(args), Value::Error(expected.into_bytes()), "{args:?}");
    let log = rig.server.log()[logged..].to_owned();
    assert!(log.contains(said), "{args:?}: no {said:?} in\n{log}");
    assert!(!log.contains("Failed restoring"), "{log}");
    assert_eq!(rig.info("tls_server_cert_serial"), before);
    assert_eq!(rig.client().run("CONFIG GET tls-*"), kept);
    let mut client = rig
        .connect(&rig.authority.client_config(None))
        .unwrap_or_else(|error| panic!("{args:?}: {error}"));
    assert_eq!(client.run("PING"), Value::status("PONG"));
}

#[test]
fn a_bad_bundle_is_refused_and_the_old_one_stays() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let other = authority.issue("other", HERE, Time::Now);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "optional"]);
    let authority = &rig.authority;
    let write = |name: &str, bytes: &[u8]| {
        let path = authority.path(name);
        fs::write(&path, bytes).expect("the directory is ours");
        text(&path)
    };
    let pair = |Issued { cert, key }: &Issued| [text(cert), text(key)];
    let set = |[cert, key]: &[String; 2], said: &str| {
        check(&rig, &["tls-cert-file", cert, "tls-key-file", key], said);
    };

    // 1 to 3: not there, empty, not a certificate.
    check(
        &rig,
        &["tls-cert-file", &text(&authority.path("missing"))],
        "Failed to load certificate:",
    );
    check(&rig, &["tls-cert-file", &write("empty", b"")], "Failed to load certificate:");
    check(&rig, &["tls-cert-file", &write("noise", &[0xa5; 999])], "Failed to load certificate:");
    // 4: cut off while it was copied.
    let whole = fs::read(&other.cert).expect("made above");
    let half = write("half", &whole[..whole.len() / 2]);
    set(&[half, text(&other.key)], "Failed to load certificate:");
    // 5: damaged within.
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let damaged = write("damaged", &damaged);
    authority.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out lone.key");
    set(&[damaged, text(&authority.path("lone.key"))], "Failed to load");
    // 6 and 7: a new certificate with the old key, and the other way round.
    check(&rig, &["tls-cert-file", &text(&other.cert)], "Failed to load private key:");
    check(&rig, &["tls-key-file", &text(&other.key)], "key values mismatch");
    // 8: no key in the file of the key.
    check(&rig, &["tls-key-file", &text(&server.cert)], "no private key in it");
    // 9: a key whose password is missing, or another.
    authority.openssl("pkcs8 -topk8 -in server.key -passout pass:1234 -out sealed.key");
    let sealed = text(&authority.path("sealed.key"));
    check(&rig, &["tls-key-file", &sealed], "it is encrypted, and no password is set");
    let wrong = ["tls-key-file", sealed.as_str(), "tls-key-file-pass", "4321"];
    check(&rig, &wrong, "it cannot be decrypted");
    // 10 and 11: out of its time.
    set(&pair(&authority.issue("past", HERE, Time::Past)), "The new certificate has expired");
    set(&pair(&authority.issue("future", HERE, Time::Future)), "is not valid yet");
    // 12 and 13: authorities that are none.
    check(&rig, &["tls-ca-cert-file", &write("none", b"")], "Failed to configure CA certificate");
    check(&rig, &["tls-ca-cert-file", "", "tls-ca-cert-dir", ""], "must be specified when");
    // And what is no file: lists of which nothing is here.
    check(&rig, &["tls-ciphers", "AES128-SHA256"], "Failed to configure ciphers: AES128-SHA256");
    check(&rig, &["tls-ciphersuites", "NONE"], "Failed to configure ciphersuites: NONE");
    check(&rig, &["tls-protocols", "SSLv3"], "Invalid tls-protocols specified.");

    // A good one is taken after all that.
    let [cert, key] = pair(&other);
    rig.set(&["tls-cert-file", &cert, "tls-key-file", &key]);
    let right =
        ["tls-cert-file", &text(&server.cert), "tls-key-file", &sealed, "tls-key-file-pass"];
    rig.set(&[&right[..], &["1234"]].concat());
}

#[test]
fn a_file_that_breaks_under_its_name_is_refused_when_it_is_set_again() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let other = authority.issue("other", HERE, Time::Now);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "no"]);
    let before = rig.info("tls_server_cert_serial");
    let whole = fs::read(&server.cert).expect("made above");
    fs::write(&server.cert, &whole[..100]).expect("the directory is ours");
    check(&rig, &["tls-cert-file", &text(&server.cert)], "Failed to load certificate:");
    fs::copy(&other.cert, &server.cert).expect("the directory is ours");
    fs::copy(&other.key, &server.key).expect("the directory is ours");
    rig.set(&["tls-cert-file", &text(&server.cert)]);
    assert_ne!(rig.info("tls_server_cert_serial"), before);
}

#[test]
fn a_port_that_is_taken_is_refused_and_the_old_one_stays() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "no"]);
    let plain = rig.server.port().to_string();
    let reply = rig.try_set(&["tls-port", &plain]);
    let expected = "ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to \
                    listen on this port. Check server logs.";
    assert_eq!(reply, Value::Error(expected.into()));
    let config = rig.authority.client_config(None);
    let mut client = rig.connect(&config).expect("it listens as before");
    assert_eq!(client.run("PING"), Value::status("PONG"));
    // Both ports change their roles without an address being let go.
    let tls = rig.port().to_string();
    assert_eq!(client.run(&format!("CONFIG SET port {tls} tls-port {plain}")), Value::status("OK"));
    wait::expect("TLS at the other port", || connect(rig.server.port(), &config).is_ok());
    let mut plain = Client::connect((Ipv4Addr::LOCALHOST, rig.port()).into()).expect("it listens");
    assert_eq!(plain.run("PING"), Value::status("PONG"));
}

/// A port's number may change its protocol in two steps, as fast as a client can ask.
#[test]
fn a_port_that_is_let_go_is_free_when_the_reply_comes() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "no"]);
    let config = rig.authority.client_config(None);
    let mut asking = rig.client();
    for _ in 0..50 {
        let port = rig.port();
        for (old, new) in [("tls-port", "port"), ("port", "tls-port")] {
            assert_eq!(asking.run(&format!("CONFIG SET {old} 0")), Value::status("OK"));
            assert!(Client::connect((Ipv4Addr::LOCALHOST, port).into()).is_err(), "it listens");
            assert_eq!(asking.run(&format!("CONFIG SET {new} {port}")), Value::status("OK"));
            let client = match new {
                "port" => Client::connect((Ipv4Addr::LOCALHOST, port).into()),
                _ => connect(port, &config),
            };
            assert_eq!(client.expect("it listens").run("PING"), Value::status("PONG"));
        }
    }
    assert!(!rig.server.log().contains("Accepting client connection"), "{}", rig.server.log());
}
