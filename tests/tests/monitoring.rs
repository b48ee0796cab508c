//! Prometheus' exporter reads INFO, CONFIG and the rest as it reads them of Debian's Redis.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis};
use holdfast_tests::packages;
use holdfast_tests::ports::PortLease;
use holdfast_tests::server::Server;
use holdfast_tests::wait::{self, PATIENCE};

struct Exporter {
    child: Child,
    lease: PortLease,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exporter {
    fn start(server: &Server) -> Self {
        packages::ensure(&["prometheus-redis-exporter"]).unwrap_or_else(|why| panic!("{why}"));
        let lease = PortLease::acquire().expect("a free port");
        let child = Command::new("/usr/bin/prometheus-redis-exporter")
            .args(["-redis.addr", &format!("redis://{}", server.address())])
            .args(["-web.listen-address", &format!("127.0.0.1:{}", lease.port())])
            .stderr(Stdio::null())
            .spawn()
            .expect("the exporter can be executed");
        Self { child, lease }
    }

    fn scrape(&self) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.lease.port())).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }
}

/// The exporter's page about a server that has done a little of everything.
fn page(flavour: Flavour) -> String {
    let server = Server::start_flavour(flavour, &[]);
    let mut client = server.client();
    for command in ["SET a 1 EX 1000", "GET a", "GET missing", "INCR b", "INCR a b"] {
        client.run(command);
    }
    let exporter = Exporter::start(&server);
    wait::until(PATIENCE, || exporter.scrape()).expect("the exporter answers")
}

fn families(page: &str) -> BTreeSet<&str> {
    let names = page.lines().filter(|line| line.starts_with("redis_"));
    names.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

#[test]
fn the_exporter_finds_what_it_finds_of_redis() {
    let (redis, holdfast) = (page(Redis), page(Holdfast));
    assert!(holdfast.contains("\nredis_up 1\n"), "{holdfast}");
    assert!(holdfast.contains("\nredis_exporter_last_scrape_error{err=\"\"} 0\n"), "{holdfast}");
    assert!(holdfast.contains("redis_mode=\"standalone\""), "{holdfast}");
    assert!(holdfast.contains("\nredis_db_keys{db=\"db0\"} 2\n"), "{holdfast}");
    assert!(holdfast.contains("\nredis_db_keys_expiring{db=\"db0\"} 1\n"), "{holdfast}");
    assert!(holdfast.contains("\nredis_keyspace_misses_total 1\n"), "{holdfast}");
    assert!(holdfast.contains("\nredis_errors_total{err=\"ERR\"} "), "{holdfast}");
    let (theirs, ours) = (families(&redis), families(&holdfast));
    let missing: Vec<&str> = theirs.difference(&ours).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}
