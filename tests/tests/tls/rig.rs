//! A server that listens for TLS beside its plain port.

use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use holdfast_tests::authority::{Authority, Issued};
use holdfast_tests::binaries::debian_program;
use holdfast_tests::client::Client;
use holdfast_tests::commands::run;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::tls;
use rustls::ClientConfig;

pub(crate) struct Rig {
    pub(crate) authority: Authority,
    pub(crate) server: Server,
    lease: PortLease,
}

impl Rig {
    /// A server with this identity of that authority, and `args`.
    #[track_caller]
    pub(crate) fn start(authority: Authority, identity: &Issued, args: &[&str]) -> Self {
        let (server, lease) = tls::server(&authority, identity, args);
        Self { authority, server, lease }
    }

    pub(crate) fn port(&self) -> u16 {
        self.lease.port()
    }

    /// Over the plain port.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// Over TLS; the handshake is over when this returns.
    pub(crate) fn connect(&self, config: &Arc<ClientConfig>) -> io::Result<Client> {
        connect(self.port(), config)
    }

    /// redis-cli over TLS, that trusts our authority.
    pub(crate) fn redis_cli(&self, identity: Option<&Issued>) -> Command {
        self.program("redis-cli", identity)
    }

    /// One of Debian's programs, over TLS.
    pub(crate) fn program(&self, name: &str, identity: Option<&Issued>) -> Command {
        let mut program = Command::new(debian_program(name));
        program.args(["-p", &self.port().to_string(), "--tls"]).stdin(Stdio::null());
        program.arg("--cacert").arg(self.authority.ca());
        if let Some(Issued { cert, key }) = identity {
            program.arg("--cert").arg(cert).arg("--key").arg(key);
        }
        program
    }

    /// What `openssl s_client` with these words says when it sends `input`.
    pub(crate) fn s_client(&self, words: &str, input: &str) -> String {
        let port = self.port();
        let ca = self.authority.ca().display().to_string();
        let line = format!(
            "printf '{input}' | openssl s_client -connect 127.0.0.1:{port} -CAfile {ca} {words} 2>&1"
        );
        // It fails where the handshake fails, and that is what is asked for.
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &line]).output().expect("there is a shell");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A field of INFO.
    #[track_caller]
    pub(crate) fn info(&self, field: &str) -> String {
        let reply = self.client().run("INFO everything");
        let text = String::from_utf8_lossy(reply.bytes().expect("a text")).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {field} in:\n{text}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn set(&self, args: &[&str]) {
        assert_eq!(self.try_set(args), Value::status("OK"), "{args:?}\n{}", self.server.log_tail());
    }

    pub(crate) fn try_set(&self, args: &[&str]) -> Value {
        let args = [&["CONFIG", "SET"], args].concat();
        self.client().command(&args).expect("the server answers")
    }
}

pub(crate) fn connect(port: u16, config: &Arc<ClientConfig>) -> io::Result<Client> {
    Client::connect_tls((Ipv4Addr::LOCALHOST, port).into(), config)
}

#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    run(command).unwrap_or_else(|why| panic!("{why}")).trim().to_owned()
}
