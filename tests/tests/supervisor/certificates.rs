//! Certificates: the agent makes, renews and judges them, the server serves them, and no client
//! notices.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value as Reply;
use holdfast_tests::{tls, wait};
use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::Value;

use crate::supervisor::rig::{Rig, send};

/// A rig whose server answers over TLS, and where.
struct Secure {
    rig: Rig,
    port: PortLease,
}

impl Secure {
    fn config(&self, tls: &str) -> String {
        config(&self.rig.port, &self.port, tls)
    }

    /// Without a command: in a container its arguments would be used instead of the file's.
    fn start(tls: &str) -> Self {
        let ports = [(); 2].map(|()| PortLease::acquire().expect("a free port"));
        let [plain, port] = ports;
        let text = config(&plain, &port, tls);
        let secure = Self { rig: Rig::launch(&text, &[], plain), port };
        wait::expect("the server to be ready", || secure.rig.status()["ready"] == true);
        let plain = tls.contains("off");
        wait::expect("its port", || plain || TcpStream::connect(secure.address()).is_ok());
        secure
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port.port()).into()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.rig.root.path().join("data/holdfast/tls").join(name)
    }

    /// A client that has been given the device's authority.
    fn client(&self) -> Arc<ClientConfig> {
        tls::client(&self.file("ca.crt"), None)
    }

    fn certificates(&self) -> Value {
        self.rig.status()["certificates"].clone()
    }

    fn serial(&self) -> String {
        self.certificates()["serial"].as_str().unwrap_or_default().to_owned()
    }

    /// Another `[tls]`, taken over without a restart.
    fn reconfigure(&self, tls: &str) {
        self.rig.write_config(&self.config(tls));
        send(self.rig.init, Signal::HUP);
    }

    /// What new connections are shown.
    fn shown(&self, client: &Arc<ClientConfig>) -> Vec<u8> {
        let client = Client::connect_tls(self.address(), client).expect("a handshake");
        client.server_certificate().expect("a certificate")
    }

    fn in_use(&self) -> Vec<u8> {
        tls::certificates(&self.file("current/server.crt"))[0].to_vec()
    }

    fn wait_for_new_certificate(&self, old: &str) {
        self.wait_for_files(old, &self.client());
    }

    fn wait_for_files(&self, old: &str, client: &Arc<ClientConfig>) {
        wait::expect("a new certificate", || self.serial() != old);
        wait::expect("the server to show it", || self.shown(client) == self.in_use());
    }
}

fn config(plain: &PortLease, port: &PortLease, tls: &str) -> String {
    let (plain, port) = (plain.port(), port.port());
    format!(
        "[server]\nargs = [\"--port\", \"{plain}\", \"--bind\", \"127.0.0.1\"]\n\
         [tls]\nport = {port}\n{tls}\n"
    )
}

fn ping(client: &mut Client) -> bool {
    matches!(client.command(&["PING"]), Ok(Reply::Status(pong)) if pong == b"PONG")
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_new_device_serves_tls_with_a_certificate_of_its_own() {
    let secure = Secure::start("mode = \"self-ca\"\nnames = [\"cache.example\"]");
    let mut client = Client::connect_tls(secure.address(), &secure.client()).expect("a handshake");
    assert!(ping(&mut client));
    assert_eq!(client.server_certificate(), Some(secure.in_use()));
    let restarts = secure.rig.service("server")["restarts"].clone();
    assert_eq!(restarts, 0, "the certificate was there before the server");
    let said = secure.certificates();
    assert_eq!((&said["mode"], &said["authority"]), (&"self-ca".into(), &true.into()));
    let names = said["names"].as_array().expect("names");
    assert!(names.contains(&"cache.example".into()) && names.contains(&"127.0.0.1".into()));
    for (file, bits) in [("ca.key", 0o600), ("current/server.key", 0o640), ("ca.crt", 0o644)] {
        assert_eq!(mode(&secure.file(file)), bits, "{file}");
    }
    let (certificate, key) = (secure.file("current/client.crt"), secure.file("current/client.key"));
    let known = tls::client(&secure.file("ca.crt"), Some((&certificate, &key)));
    assert!(ping(&mut Client::connect_tls(secure.address(), &known).expect("a handshake")));
    secure.rig.stop();
}

#[test]
fn without_plaintext_only_tls_answers() {
    let secure = Secure::start("mode = \"self-ca\"\nplaintext = false\nauth_clients = \"no\"");
    let plain = SocketAddr::from(([127, 0, 0, 1], secure.rig.port.port()));
    assert!(Client::connect(plain).is_err());
    let mut client = Client::connect_tls(secure.address(), &secure.client()).expect("a handshake");
    assert!(ping(&mut client));
    secure.rig.stop();
}

/// Connections that live through all of it.
const CONNECTIONS: usize = 1_000;
const RENEWALS: usize = 5;

#[test]
fn renewal_under_a_thousand_connections_fails_no_handshake() {
    let secure = Secure::start("mode = \"self-ca\"");
    let client = secure.client();
    let address = secure.address();
    let connect = || Client::connect_tls(address, &client);
    let mut old: Vec<Client> = (0..CONNECTIONS).map(|_| connect().expect("a handshake")).collect();
    let (over, handshakes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let run = secure.rig.service("server")["run"].clone();
    thread::scope(|scope| {
        let newcomers = [(); 2].map(|()| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut client = connect().expect("no handshake fails");
                    assert!(ping(&mut client), "no connection fails");
                    handshakes.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for number in 0..RENEWALS {
            let serial = secure.serial();
            let before = handshakes.load(Ordering::Relaxed);
            secure.reconfigure(&format!("mode = \"self-ca\"\nnames = [\"n{number}.local\"]"));
            secure.wait_for_new_certificate(&serial);
            let went_on = || handshakes.load(Ordering::Relaxed) > before + 20;
            wait::expect("handshakes to go on", went_on);
            assert!(old.iter_mut().all(ping), "a connection of before was lost");
        }
        over.store(true, Ordering::Relaxed);
        for newcomer in newcomers {
            newcomer.join().expect("no handshake failed");
        }
    });
    assert_eq!(secure.rig.service("server")["run"], run, "the server went on");
    println!("{} handshakes during {RENEWALS} renewals", handshakes.load(Ordering::Relaxed));
    secure.rig.stop();
}

#[test]
fn a_lost_authority_is_made_again_and_tls_is_served() {
    let Secure { rig, port } = Secure::start("mode = \"self-ca\"");
    let folder = rig.root.path().join("data/holdfast/tls");
    let before = fs::read(folder.join("ca.crt")).expect("an authority");
    send(rig.pid("holdfast-agent"), Signal::KILL);
    fs::remove_file(folder.join("ca.key")).expect("removed");
    fs::remove_dir_all(folder.join("current").canonicalize().expect("a set")).expect("removed");
    let secure = Secure { rig, port };
    let has_authority = || secure.certificates()["authority"] == true;
    wait::expect("another authority", || {
        has_authority() && fs::read(folder.join("ca.crt")).is_ok_and(|now| now != before)
    });
    let client = secure.client();
    wait::expect("it to be served", || {
        Client::connect_tls(secure.address(), &client).is_ok_and(|mut client| ping(&mut client))
    });
    secure.rig.stop();
}

/// Files as an operator makes them, with the openssl command.
struct Operator {
    folder: PathBuf,
}

impl Operator {
    fn new(rig_root: &Path) -> Self {
        let folder = rig_root.join("etc/holdfast/tls");
        fs::create_dir_all(&folder).expect("a folder");
        let operator = Self { folder };
        operator.authority("ca");
        operator
    }

    fn openssl(&self, words: &str) {
        self.ask_openssl(words).unwrap_or_else(|why| panic!("{words}: {why}"));
    }

    /// All that it said, as an error when it was not content.
    fn ask_openssl(&self, words: &str) -> Result<String, String> {
        let mut openssl = Command::new("openssl");
        openssl.args(words.split(' ')).current_dir(&self.folder).stdin(Stdio::null());
        let output = openssl.output().expect("openssl(1)");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn key(&self, name: &str) {
        self.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"));
    }

    fn authority(&self, name: &str) {
        self.key(name);
        self.openssl(&format!(
            "req -x509 -new -key {name}.key -days 3650 -subj /CN={name} -out {name}.crt"
        ));
    }

    /// `NAME.crt` and `NAME.key`, signed by an authority, with these extensions.
    fn leaf(&self, name: &str, authority: &str, extensions: &str) {
        self.key(name);
        fs::write(self.folder.join("extensions"), extensions).expect("written");
        self.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial \
             -days 30 -extfile extensions -out {name}.crt"
        ));
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("a file of ours")
    }

    /// As careful operators do: each file appears whole.
    fn put(&self, name: &str, text: &str) {
        let building = self.folder.join("building");
        fs::write(&building, text).expect("written");
        fs::rename(building, self.folder.join(name)).expect("renamed");
    }

    fn put_pair(&self, of: &str) {
        self.put("tls.crt", &self.text(&format!("{of}.crt")));
        self.put("tls.key", &self.text(&format!("{of}.key")));
    }
}

/// A name of it that clients use, and what openssl(1) demands of it.
const OURS: [(&str, &str); 4] = [
    ("current/server.crt", "-purpose sslserver -verify_hostname cache.example"),
    ("current/server.crt", "-purpose sslserver -verify_hostname localhost"),
    ("current/server.crt", "-purpose sslserver -verify_ip 127.0.0.1"),
    ("current/client.crt", "-purpose sslclient"),
];

/// Who is impersonated, and by what. The last has a common name alone, as certificates once had.
const FORGED: [(&str, &str, &str); 6] = [
    ("named", "example.com", "subjectAltName=DNS:example.com"),
    ("beside", "example.com", "subjectAltName=DNS:cache.example,DNS:example.com"),
    ("above", "example", "subjectAltName=DNS:example"),
    ("v4", "1.1.1.1", "subjectAltName=IP:1.1.1.1"),
    ("v6", "2606:4700:4700::1111", "subjectAltName=IP:2606:4700:4700::1111"),
    ("example.com", "example.com", "keyUsage=digitalSignature"),
];

#[test]
fn a_stolen_authority_speaks_for_nobody_else_on_the_internet() {
    let secure = Secure::start("mode = \"self-ca\"\nnames = [\"cache.example\"]");
    let authority = secure.file("ca.crt");
    let thief = Operator::new(secure.rig.root.path());
    for (stolen, name) in [("ca.crt", "stolen.crt"), ("ca.key", "stolen.key")] {
        thief.put(name, &fs::read_to_string(secure.file(stolen)).expect("stolen"));
    }
    let verify = |file: &Path, words: &str| {
        let (authority, file) = (authority.display(), file.display());
        thief.ask_openssl(&format!("verify -x509_strict -CAfile {authority} {words} {file}"))
    };
    for (file, words) in OURS {
        verify(&secure.file(file), words).unwrap_or_else(|why| panic!("{file} {words}: {why}"));
    }
    tls::judge(&authority, &secure.file("current/server.crt"), "cache.example").expect("good");
    let [certificate, key] =
        ["client.crt", "client.key"].map(|name| secure.file("current").join(name));
    thief.openssl(&format!(
        "s_client -connect {} -CAfile {} -verify_return_error -verify_hostname cache.example \
         -cert {} -key {} -brief",
        secure.address(),
        authority.display(),
        certificate.display(),
        key.display()
    ));
    // It is the names that the others are refused for.
    thief.leaf("near", "stolen", "subjectAltName=DNS:printer.local,IP:192.168.7.7");
    tls::judge(&authority, &thief.folder.join("near.crt"), "printer.local").expect("permitted");
    thief.ask_openssl(&format!("verify -CAfile {} near.crt", authority.display())).expect("good");
    for (name, host, extensions) in FORGED {
        thief.leaf(name, "stolen", extensions);
        let file = format!("{name}.crt");
        let said = thief.ask_openssl(&format!("verify -CAfile {} {file}", authority.display()));
        assert!(
            said.as_ref().is_err_and(|why| why.contains("permitted subtree")),
            "{name}: {said:?}"
        );
        assert!(tls::judge(&authority, &thief.folder.join(file), host).is_err(), "{name}");
    }
    secure.rig.stop();
}

#[test]
fn a_name_that_the_authority_does_not_permit_is_left_out_and_told_until_there_is_a_new_one() {
    let secure = Secure::start("mode = \"self-ca\"");
    let (client, serial) = (secure.client(), secure.serial());
    let authority = || fs::read(secure.file("ca.crt")).expect("an authority");
    let old = authority();
    secure.reconfigure("mode = \"self-ca\"\nnames = [\"cache.example\"]");
    let is_told = || secure.rig.status()["degraded"].to_string().contains("certificate-names");
    wait::expect("it to be told", is_told);
    let said = secure.certificates();
    assert!(said["left_out"].to_string().contains("\"cache.example\""), "{said}");
    assert_eq!((&said["constrained"], secure.serial()), (&true.into(), serial.clone()));
    assert!(ping(&mut Client::connect_tls(secure.address(), &client).expect("a handshake")));

    let unsure = secure.rig.agent(&["certs", "new-authority"]);
    assert!(!unsure.status.success());
    assert!(String::from_utf8_lossy(&unsure.stderr).contains("say new-authority --yes"));
    assert!(!secure.rig.agent(&["certs", "new-authority", "--yes", "now"]).status.success());
    assert_eq!(authority(), old);

    let sure = secure.rig.agent(&["certs", "new-authority", "--yes"]);
    assert!(sure.status.success(), "{sure:?}");
    assert_eq!(fs::read(secure.file("ca.crt.previous")).expect("kept"), old);
    assert_ne!(secure.serial(), serial);
    let trusting = secure.client();
    wait::expect("it to be served", || {
        Client::connect_tls(secure.address(), &trusting).is_ok_and(|mut client| ping(&mut client))
    });
    assert!(!is_told());
    tls::judge(&secure.file("ca.crt"), &secure.file("current/server.crt"), "cache.example")
        .expect("it is named");
    assert!(Client::connect_tls(secure.address(), &client).is_err(), "it knows the old one alone");
    secure.rig.stop();
}

const FILES: &str = "mode = \"files\"\nnames = [\"cache.example\"]\n\
    certificate = \"/etc/holdfast/tls/tls.crt\"\nkey = \"/etc/holdfast/tls/tls.key\"\n\
    authority = \"/etc/holdfast/tls/tls-ca.crt\"";

const NAMED: &str = "subjectAltName=DNS:cache.example,IP:127.0.0.1";

/// What is wrong with it, and what is put in place of the certificate, the key and the authority.
fn bad_bundles(operator: &Operator) -> Vec<(&'static str, [String; 3])> {
    operator.leaf("good", "ca", NAMED);
    operator.leaf("other", "ca", NAMED);
    operator.leaf("misnamed", "ca", "subjectAltName=DNS:other.example");
    operator.leaf("client", "ca", &format!("{NAMED}\nextendedKeyUsage=clientAuth"));
    operator.leaf("issuer", "ca", &format!("{NAMED}\nbasicConstraints=CA:true"));
    operator.authority("stranger");
    operator.leaf("foreign", "stranger", NAMED);
    let text = |name: &str| operator.text(name);
    let of =
        |name: &str| [text(&format!("{name}.crt")), text(&format!("{name}.key")), text("ca.crt")];
    let [certificate, key, authority] = of("good");
    let cut = certificate[..certificate.len() / 2].to_owned();
    let garbage = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let good = || [certificate.clone(), key.clone(), authority.clone()];
    let with = |at: usize, text: String| {
        let mut files = good();
        files[at] = text;
        files
    };
    vec![
        ("tls.crt: is cut off", with(0, cut)),
        ("tls.crt: is not a PEM file", with(0, "garbage\n".into())),
        ("tls.key: is not the key of the certificate", with(1, text("other.key"))),
        ("tls.crt: does not name cache.example", of("misnamed")),
        ("tls.crt: is not for servers", of("client")),
        ("tls.crt: is an authority's certificate", of("issuer")),
        ("tls.crt: leads to \"CN=stranger\"", of("foreign")),
        ("tls-ca.crt: holds \"CN=good\", which is not an authority", with(2, text("good.crt"))),
        ("revocation list that is damaged", with(2, authority.clone() + garbage)),
        ("tls.key: is empty", with(1, String::new())),
    ]
}

#[test]
fn bad_files_of_an_operator_are_refused_by_name_and_the_old_ones_are_kept() {
    let secure = Secure::start("mode = \"off\"");
    let operator = Operator::new(secure.rig.root.path());
    operator.leaf("first", "ca", NAMED);
    operator.put_pair("first");
    operator.put("tls-ca.crt", &operator.text("ca.crt"));
    secure.reconfigure(FILES);
    wait::expect("the first to be taken", || !secure.serial().is_empty());
    let first = secure.serial();
    let client = tls::client(&operator.folder.join("ca.crt"), None);
    wait::expect("it to be served", || {
        Client::connect_tls(secure.address(), &client).is_ok_and(|mut client| ping(&mut client))
    });
    let mut witness = Client::connect_tls(secure.address(), &client).expect("a handshake");
    let anew = secure.rig.agent(&["certs", "new-authority", "--yes"]);
    assert!(String::from_utf8_lossy(&anew.stderr).contains("mode is not \"self-ca\""), "{anew:?}");
    for (sentence, [certificate, key, authority]) in bad_bundles(&operator) {
        operator.put("tls.crt", &certificate);
        operator.put("tls.key", &key);
        operator.put("tls-ca.crt", &authority);
        let renewed = secure.rig.agent(&["certs", "renew"]);
        assert!(!renewed.status.success(), "{sentence}");
        let error = secure.certificates()["last_error"].clone();
        assert!(
            error.as_str().is_some_and(|error| error.contains(sentence)),
            "{sentence}: {error}"
        );
        let degraded = secure.rig.status()["degraded"].to_string();
        assert!(degraded.contains("certificate-refused"), "{sentence}: {degraded}");
        assert_eq!(secure.serial(), first, "{sentence}");
        assert_eq!(secure.shown(&client), secure.in_use(), "{sentence}");
    }
    operator.put_pair("good");
    operator.put("tls-ca.crt", &operator.text("ca.crt"));
    secure.wait_for_files(&first, &client);
    assert_eq!(secure.certificates()["last_error"], Value::Null);
    assert!(ping(&mut witness), "the first connection went through all of it");
    secure.rig.stop();
}
