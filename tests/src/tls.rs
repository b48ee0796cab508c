//! The two ends of TLS: a server with an identity, and whom a client believes and says it is.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, Error, RootCertStore};

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
    let config = ClientConfig::builder().with_root_certificates(roots(authority));
    Arc::new(match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).expect("a private key");
            config.with_client_auth_cert(certificates(certificate), key).expect("an identity")
        }
    })
}

fn roots(authority: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority) {
        roots.add(certificate).expect("an authority");
    }
    roots
}

/// What such a client thinks of a certificate that is shown to it as `host`'s.
pub fn judge(authority: &Path, certificate: &Path, host: &str) -> Result<(), Error> {
    let verifier = WebPkiServerVerifier::builder(Arc::new(roots(authority))).build();
    let certificates = certificates(certificate);
    let host = ServerName::try_from(host.to_owned()).expect("a name");
    let verifier = verifier.expect("an authority");
    verifier
        .verify_server_cert(&certificates[0], &certificates[1..], &host, &[], UnixTime::now())
        .map(drop)
}

pub fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let reader = BufReader::new(File::open(file).expect("a PEM file"));
    CertificateDer::pem_reader_iter(reader).map(|der| der.expect("a certificate")).collect()
}
