//! The two ends of TLS: a server with an identity, and whom a client believes and says it is.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::authority::{Authority, Issued};
use crate::ports::PortLease;
use crate::server::Server;

/// A server with this identity of that authority, and `args`; the port that speaks TLS.
#[track_caller]
pub fn server(authority: &Authority, identity: &Issued, args: &[&str]) -> (Server, PortLease) {
    let lease = PortLease::acquire().expect("a free port");
    let files = [identity.cert.clone(), identity.key.clone(), authority.ca()];
    let [cert, key, ca] = files.map(|file| file.display().to_string());
    let port = lease.port().to_string();
    let mut all = vec!["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
    all.extend(["--tls-ca-cert-file", &ca]);
    all.extend(args);
    (Server::start(&all), lease)
}

/// A client that knows one authority, and shows a certificate (with its key) where it has one.
pub fn client(authority: &Path, identity: Option<(&Path, &Path)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority) {
        roots.add(certificate).expect("an authority");
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).expect("a private key");
            config.with_client_auth_cert(certificates(certificate), key).expect("an identity")
        }
    })
}

pub fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let reader = BufReader::new(File::open(file).expect("a PEM file"));
    CertificateDer::pem_reader_iter(reader).map(|der| der.expect("a certificate")).collect()
}
