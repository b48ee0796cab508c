//! An authority for certificates, by openssl(1): what users have, down to version 1 and dates of all
//! kinds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;
use tempfile::TempDir;

use crate::commands::run;
use crate::{packages, tls};

/// What `openssl ca` wants to know. It is used because it alone takes any dates.
const OPENSSL_CNF: &str = "\
[ca]
default_ca = ours
[ours]
database = index.txt
new_certs_dir = .
default_md = sha256
rand_serial = yes
unique_subject = no
policy = any
[any]
commonName = supplied
";

/// As the names of a server on this machine.
pub const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// An authority and what it has signed, in a directory of its own.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// When a certificate is good.
#[derive(Debug, Clone, Copy)]
pub enum Time {
    Now,
    Past,
    Future,
}

impl Time {
    fn dates(self) -> [&'static str; 2] {
        match self {
            Self::Now => ["20200101000000Z", "20490101000000Z"],
            Self::Past => ["20200101000000Z", "20210101000000Z"],
            Self::Future => ["20480101000000Z", "20490101000000Z"],
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    #[track_caller]
    pub fn new() -> Self {
        packages::ensure(&["openssl"]).unwrap_or_else(|why| panic!("{why}"));
        let directory = TempDir::with_prefix("holdfast-tls-").expect("a scratch directory");
        let authority = Self { directory };
        fs::write(authority.path("openssl.cnf"), OPENSSL_CNF).expect("the directory is ours");
        fs::write(authority.path("index.txt"), "").expect("the directory is ours");
        authority.key("ca");
        let words = "req -x509 -new -key ca.key -days 3650 -out ca.crt -subj /CN=Authority";
        authority.openssl(words);
        authority
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its own certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// A certificate of version 3 with `extensions`, one a line, for the common name `name`.
    #[track_caller]
    pub fn issue(&self, name: &str, extensions: &str, time: Time) -> Issued {
        self.request(name);
        // Without any it would be version 1.
        let extensions = format!("subjectKeyIdentifier=hash\n{extensions}");
        fs::write(self.path("extensions"), extensions).expect("the directory is ours");
        let [from, until] = time.dates();
        self.openssl(&format!(
            "ca -batch -notext -config openssl.cnf -cert ca.crt -keyfile ca.key -extfile extensions \
             -startdate {from} -enddate {until} -in {name}.csr -out {name}.crt"
        ));
        self.issued(name)
    }

    /// X.509 version 1 with an RSA key: what `openssl x509 -req` makes when it is told no more.
    #[track_caller]
    pub fn issue_v1(&self, name: &str, days: u32) -> Issued {
        self.openssl(&format!("genrsa -out {name}.key 2048"));
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj /C=US/CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt \
             -days {days} -sha256"
        ));
        let text = self.openssl(&format!("x509 -in {name}.crt -noout -text"));
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
        self.issued(name)
    }

    /// Runs openssl(1) with these words in the authority's directory.
    #[track_caller]
    pub fn openssl(&self, words: &str) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(words.split_ascii_whitespace()).current_dir(self.directory.path());
        run(&mut openssl).unwrap_or_else(|why| panic!("{why}"))
    }

    fn key(&self, name: &str) {
        self.openssl(&format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"
        ));
    }

    fn request(&self, name: &str) {
        self.key(name);
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={name}"));
    }

    fn issued(&self, name: &str) -> Issued {
        Issued { cert: self.path(&format!("{name}.crt")), key: self.path(&format!("{name}.key")) }
    }

    /// What a client that trusts this authority begins with, as `identity` if that is asked for.
    #[track_caller]
    pub fn client_config(&self, identity: Option<&Issued>) -> Arc<ClientConfig> {
        let identity = identity.map(|Issued { cert, key }| (cert.as_path(), key.as_path()));
        tls::client(&self.ca(), identity)
    }
}
