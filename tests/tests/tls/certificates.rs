//! Which certificates are taken, on both sides.

use std::fs;
use std::thread;
use std::time::Duration;

use holdfast_tests::authority::{Authority, HERE, Issued, Time};
use holdfast_tests::resp::Value;
use holdfast_tests::server::run_to_end;
use holdfast_tests::wait;

use crate::tls::rig::{Rig, output};

/// Whether a client with this identity is served, over both protocols.
#[track_caller]
fn check(rig: &Rig, identity: Option<&Issued>, is_served: bool) {
    let shown = identity
        .map(|Issued { cert, key }| format!("-cert {} -key {}", cert.display(), key.display()));
    let shown = shown.unwrap_or_default();
    for protocol in ["-tls1_2", "-tls1_3"] {
        let said = rig.s_client(&format!("-quiet {protocol} {shown}"), "PING\\r\\nQUIT\\r\\n");
        assert_eq!(said.contains("+PONG"), is_served, "{identity:?} {protocol}\n{said}");
    }
}

#[test]
fn certificates_without_version_and_names_work_as_with_openssl() {
    let authority = Authority::new();
    let (server, client) = (authority.issue_v1("redis", 365), authority.issue_v1("client", 365));
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "yes"]);
    assert!(rig.server.log().contains("names no host"), "it is said who will refuse it");
    check(&rig, None, false);
    check(&rig, Some(&client), true);
    check(&rig, Some(&server), true);
    assert_eq!(output(rig.redis_cli(Some(&client)).arg("PING")), "PONG");

    let another = Authority::new();
    check(&rig, Some(&another.issue_v1("client", 365)), false);
    // The name of our authority alone proves nothing, nor does the key of another certificate.
    let stolen = Issued { cert: client.cert.clone(), key: server.key.clone() };
    let said = rig.s_client(
        &format!("-quiet -cert {} -key {}", stolen.cert.display(), stolen.key.display()),
        "PING\\r\\n",
    );
    assert!(!said.contains("+PONG"), "{said}");
}

#[test]
fn a_certificate_without_version_ends_with_its_time() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let brief = authority.issue_v1("brief", 0);
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "yes"]);
    // Its last second is the one it was made in.
    wait::expect("the certificate has expired", || {
        thread::sleep(Duration::from_millis(100));
        let said = rig.s_client(
            &format!("-quiet -cert {} -key {}", brief.cert.display(), brief.key.display()),
            "PING\\r\\nQUIT\\r\\n",
        );
        !said.contains("+PONG")
    });
    let said = "Error accepting a client connection:";
    wait::expect(said, || rig.server.log().contains(said));
}

#[test]
fn clients_show_a_certificate_as_they_are_told_to() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let good = authority.issue("good", "extendedKeyUsage=clientAuth", Time::Now);
    let wrong_use = authority.issue("server-only", "extendedKeyUsage=serverAuth", Time::Now);
    let past = authority.issue("past", "", Time::Past);
    let future = authority.issue("future", "", Time::Future);
    let elsewhere = Authority::new();
    let stranger = elsewhere.issue("stranger", "", Time::Now);
    let bad = [wrong_use, past, future, stranger];

    let rig = Rig::start(authority, &server, &[]);
    for (mode, without) in [("yes", false), ("optional", true), ("no", true), ("yes", false)] {
        rig.set(&["tls-auth-clients", mode]);
        check(&rig, None, without);
        check(&rig, Some(&good), true);
        // Where nobody asks, nobody looks.
        bad.iter().for_each(|bad| check(&rig, Some(bad), mode == "no"));
    }
}

#[test]
fn an_authority_that_signs_through_another_is_followed() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let middle = authority.issue("middle", "basicConstraints=CA:TRUE", Time::Now);
    fs::write(authority.path("leaf"), "keyUsage=digitalSignature").expect("the directory is ours");
    authority.openssl(
        "x509 -req -in server.csr -CA middle.crt -CAkey middle.key -set_serial 7 -days 9 \
         -extfile leaf -out leaf.crt",
    );
    let chain = [fs::read(authority.path("leaf.crt")), fs::read(&middle.cert)];
    let chain: Vec<u8> = chain.into_iter().flat_map(|text| text.expect("made above")).collect();
    let deep = Issued { cert: authority.path("chain.crt"), key: server.key.clone() };
    fs::write(&deep.cert, chain).expect("the directory is ours");
    let rig = Rig::start(authority, &server, &["--tls-auth-clients", "yes"]);
    let files =
        format!("-cert {0} -cert_chain {0} -key {1}", deep.cert.display(), deep.key.display());
    let said = rig.s_client(&format!("-quiet {files}"), "PING\\r\\nQUIT\\r\\n");
    assert!(said.contains("+PONG"), "{said}");
}

#[test]
fn a_certificate_that_is_no_authority_signs_nothing_but_is_trusted_itself() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    authority.openssl("req -x509 -new -key server.key -days 9 -subj /CN=alone -out alone.crt");
    let alone = Issued { cert: authority.path("alone.crt"), key: server.key.clone() };
    let leaf = authority.issue("leaf", "basicConstraints=CA:FALSE", Time::Now);
    authority.openssl(
        "x509 -req -in server.csr -CA leaf.crt -CAkey leaf.key -set_serial 7 -days 9 -out forged.crt",
    );
    let forged = Issued { cert: authority.path("forged.crt"), key: server.key.clone() };
    let files = [authority.ca(), alone.cert.clone(), leaf.cert.clone()];
    let bundle: Vec<u8> =
        files.iter().flat_map(|file| fs::read(file).expect("made above")).collect();
    let path = authority.path("bundle.crt");
    fs::write(&path, bundle).expect("the directory is ours");
    let rig = Rig::start(authority, &server, &["--tls-ca-cert-file", &path.display().to_string()]);
    check(&rig, Some(&alone), true);
    check(&rig, Some(&leaf), true);
    check(&rig, Some(&forged), false);
}

#[test]
fn a_directory_of_authorities_is_read_and_what_else_is_in_it_left_alone() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let client = authority.issue("client", "", Time::Now);
    let dir = authority.path("authorities");
    fs::create_dir(&dir).expect("the directory is ours");
    fs::copy(authority.ca(), dir.join("ca.crt")).expect("the directory is ours");
    fs::write(dir.join("README"), "not a certificate").expect("the directory is ours");
    let dir = dir.display().to_string();
    let rig =
        Rig::start(authority, &server, &["--tls-ca-cert-file", "", "--tls-ca-cert-dir", &dir]);
    check(&rig, Some(&client), true);
    check(&rig, None, false);
    assert_ne!(rig.info("tls_ca_cert_serial"), "none");
}

#[test]
fn a_certificate_may_name_the_user() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let user = authority.issue("default", "", Time::Now);
    let nobody = authority.issue("nobody", "subjectAltName=URI:default", Time::Now);
    let args = ["--requirepass", "secret", "--tls-auth-clients-user", "CN"];
    let rig = Rig::start(authority, &server, &args);
    let password = |words: &str| {
        let mut client = rig.client();
        client.run("AUTH secret");
        client.run(words)
    };
    let ask = |identity: &Issued| {
        let config = rig.authority.client_config(Some(identity));
        let mut client = rig.connect(&config).expect("it is welcome");
        client.run("PING").error_text().map(|text| text[..6].to_owned())
    };
    let refused = Some("NOAUTH".to_owned());
    assert_eq!((ask(&user), ask(&nobody)), (None, refused.clone()));
    let stats = password("INFO stats");
    let stats = String::from_utf8_lossy(stats.bytes().expect("a text")).into_owned();
    assert!(stats.contains("acl_access_denied_tls_cert:1\r\n"), "{stats}");
    assert_eq!(password("CONFIG SET tls-auth-clients-user URI"), Value::status("OK"));
    assert_eq!((ask(&user), ask(&nobody)), (refused.clone(), None));
    assert_eq!(password("CONFIG SET tls-auth-clients-user off"), Value::status("OK"));
    assert_eq!((ask(&user), ask(&nobody)), (refused.clone(), refused));
}

#[test]
fn info_tells_of_the_certificates() {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    let client = authority.issue("client", "", Time::Now);
    let shown = authority.openssl("x509 -in server.crt -noout -serial");
    let [cert, key] = [&client.cert, &client.key].map(|path| path.display().to_string());
    let args = ["--tls-client-cert-file", &cert, "--tls-client-key-file", &key];
    let rig = Rig::start(authority, &server, &args);
    let serial = rig.info("tls_server_cert_serial");
    assert_eq!(shown.trim(), format!("serial={serial}"));
    assert_ne!(rig.info("tls_client_cert_serial"), "none");
    let left_s: i64 = rig.info("tls_ca_cert_expires_in_seconds").parse().expect("a number");
    assert!((3649 * 86400..=3650 * 86400).contains(&left_s), "{left_s}");
    let port = rig.port();
    assert_eq!(rig.info("listener1"), format!("name=tls,bind=127.0.0.1,port={port}"));
    rig.set(&["tls-port", "0"]);
    assert_eq!(rig.info("tls_server_cert_serial"), "none");
    assert_eq!(rig.info("tls_server_cert_expires_in_seconds"), "0");
}

/// A clock may be wrong at start; then TLS with a warning is better than no TLS.
#[test]
fn an_expired_certificate_begins_and_a_broken_one_does_not() {
    let authority = Authority::new();
    let past = authority.issue("past", HERE, Time::Past);
    let rig = Rig::start(authority, &past, &["--tls-auth-clients", "no"]);
    assert!(rig.server.log().contains("has expired"), "{}", rig.server.log());
    assert!(rig.s_client("-quiet", "PING\\r\\nQUIT\\r\\n").contains("+PONG"));
    let (status, log) = run_to_end(&["--port", "0", "--tls-port", "1", "--tls-auth-clients", "no"]);
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("No tls-cert-file configured!"), "{log}");
    assert!(log.contains("Failed to configure TLS. Check logs for more info."), "{log}");
}
