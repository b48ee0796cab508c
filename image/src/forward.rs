//! The host's port for the guest's server: takes clients as they come, hands them on one by one.
//!
//! QEMU's user network forwards ports by itself, but listens with a backlog of one. Of a burst of
//! clients (redis-benchmark opens 50 at once) Linux drops the rest halfway: they believe that they
//! are connected, and what they send is thrown away for seconds, up to minutes. So clients connect
//! here, to a listener with room, and connections to QEMU's are opened one at a time, again and again
//! until there was room.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::net;

/// Clients that may wait to be taken; the kernel's own default limit is not below.
const BACKLOG: i32 = 1024;

/// Clients at one time, two threads each. The server of so small a machine has room for no more.
const CLIENTS: usize = 2048;

/// QEMU's listener answers within microseconds if it has room, and not at all if it has none.
const ATTEMPT: Duration = Duration::from_millis(20);

/// How long QEMU may have no room for a client.
const PATIENCE: Duration = Duration::from_secs(30);

/// A relay's threads only copy.
const STACK_BYTES: usize = 128 * 1024;

/// A listener on 127.0.0.1, closed when this is dropped. Its clients stay until QEMU is gone.
#[derive(Debug)]
pub(crate) struct Forward {
    listener: Arc<TcpListener>,
    acceptor: Option<JoinHandle<()>>,
    port: u16,
}

impl Forward {
    /// Listens on `port`, or a free one if that is 0, and hands its clients on to `to`.
    pub(crate) fn start(port: u16, to: u16) -> Result<Self> {
        let listening = || -> io::Result<(TcpListener, u16)> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            net::listen(&listener, BACKLOG)?;
            let port = listener.local_addr()?.port();
            Ok((listener, port))
        };
        let (listener, port) =
            listening().with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        let listener = Arc::new(listener);
        let target = Target::new(to);
        let accepting = Arc::clone(&listener);
        let acceptor = Some(thread::spawn(move || accept(&accepting, &target)));
        Ok(Self { listener, acceptor, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // On Linux this ends a blocked accept().
        let _ = net::shutdown(&*self.listener, net::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, target: &Arc<Target>) {
    loop {
        match listener.accept() {
            // One `Arc` is the acceptor's. Whoever finds no room is hung up on.
            Ok((client, _)) if Arc::strong_count(target) <= CLIENTS => {
                let target = Arc::clone(target);
                spawn(move || serve(&client, &target));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // A client that is gone again, or no descriptors left: these become free.
            Err(_) => thread::sleep(ATTEMPT),
        }
    }
}

/// A client that no thread can be had for is hung up on.
fn spawn(work: impl FnOnce() + Send + 'static) {
    let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
}

/// Where QEMU listens.
#[derive(Debug)]
struct Target {
    address: SocketAddr,
    /// Two at a time could fill the backlog between the one's question and its answer.
    one_at_a_time: Mutex<()>,
}

impl Target {
    fn new(port: u16) -> Arc<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Arc::new(Self { address, one_at_a_time: Mutex::new(()) })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let _turn = self.one_at_a_time.lock().expect("connecting does not panic");
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect_timeout(&self.address, ATTEMPT) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < end => {}
                outcome => return outcome,
            }
        }
    }
}

/// Copies both ways until both are through.
fn serve(client: &TcpStream, target: &Target) {
    let relayed = || -> io::Result<()> {
        let guest = target.connect()?;
        for stream in [client, &guest] {
            stream.set_nodelay(true)?;
        }
        let replies = (guest.try_clone()?, client.try_clone()?);
        let back = thread::Builder::new().stack_size(STACK_BYTES);
        let back = back.spawn(move || copy(&replies.0, &replies.1))?;
        copy(client, &guest);
        let _ = back.join();
        Ok(())
    };
    // What failed is closed, which is all that a client can be told.
    let _ = relayed();
}

/// Passes on bytes, and then the end of them. A failure ends the other way, too.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    if io::copy(&mut from, &mut to).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
        return;
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A listener as QEMU's is.
    fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        net::listen(&listener, 1).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_burst_of_clients_reaches_a_listener_that_has_no_room_for_them() {
        const BURST: usize = 100;
        let (target, port) = listener();
        let forward = Forward::start(0, port).unwrap();
        let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, forward.port())).unwrap();
        let mut clients: Vec<TcpStream> = (0..BURST).map(connect).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            client.write_all(&[at as u8]).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        // Only now is anybody accepted.
        for _ in 0..BURST {
            let (mut stream, _) = target.accept().unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        }
        for (at, client) in clients.iter_mut().enumerate() {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, [at as u8]);
        }
    }

    #[test]
    fn the_end_of_what_a_client_sends_is_passed_on_and_replies_still_come() {
        let (target, port) = listener();
        let forward = Forward::start(0, port).unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, forward.port())).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut stream, _) = target.accept().unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        assert_eq!(request, "PING\r\n");
        stream.write_all(b"+PONG\r\n").unwrap();
        drop(stream);
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "+PONG\r\n");
    }

    #[test]
    fn clients_are_hung_up_on_when_qemu_is_gone_and_the_port_is_free_after_the_end() {
        let (target, port) = listener();
        drop(target);
        let forward = Forward::start(0, port).unwrap();
        let ours = forward.port();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, ours)).unwrap();
        let mut reply = Vec::new();
        // Hung up on in good order or not, according to who was faster.
        let _ = client.read_to_end(&mut reply);
        assert_eq!(reply, b"");
        drop((client, forward));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, ours)).is_err());
    }
}
