//! The admin socket: open to whoever runs the server, whatever the clients do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;

use crate::service::manager::Manager;

fn start(arguments: &[&str]) -> Manager {
    let mut manager = Manager::new(&[arguments, &["--supervised", "no"]].concat());
    manager.set_admin();
    manager.start();
    // Our own init hears of it although `supervised` is "no".
    manager.hear_of("READY=1");
    manager
}

#[track_caller]
fn assert_pong(client: &mut Client) {
    assert_eq!(client.run("PING"), Value::status("PONG"));
}

#[test]
fn it_needs_no_password() {
    let manager = start(&["--requirepass", "secret"]);
    let refused = manager.client().run("GET key");
    assert!(matches!(refused, Value::Error(text) if text.starts_with(b"NOAUTH")));
    assert_eq!(manager.admin().run("SET key value"), Value::status("OK"));
    let mode = std::fs::metadata(manager.path("admin")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn it_is_open_when_maxclients_is_reached_and_takes_no_clients_place() {
    let manager = start(&["--maxclients", "2"]);
    let mut admins: Vec<Client> = (0..3).map(|_| manager.admin()).collect();
    admins.iter_mut().for_each(assert_pong);
    let mut clients: Vec<Client> = (0..2).map(|_| manager.client()).collect();
    clients.iter_mut().for_each(assert_pong);
    let refused = manager.client().command(&["PING"]);
    assert!(
        refused.is_err()
            || matches!(refused, Ok(Value::Error(text)) if text.ends_with(b"max number of clients reached"))
    );
    assert_pong(&mut manager.admin());
    let info = clients[0].run("INFO clients");
    let info = String::from_utf8_lossy(info.bytes().expect("text")).into_owned();
    assert!(info.contains("\nconnected_clients:2\r\n"), "{info}");
}

#[test]
fn a_pause_of_the_clients_does_not_hold_it_up() {
    let manager = start(&[]);
    let mut client = manager.client();
    assert_eq!(client.run("CLIENT PAUSE 3600000 ALL"), Value::status("OK"));
    assert_pong(&mut manager.admin());
}

#[test]
fn a_connection_too_many_is_closed_and_its_place_comes_back() {
    let manager = start(&[]);
    let mut admins: Vec<Client> = (0..16).map(|_| manager.admin()).collect();
    admins.iter_mut().for_each(assert_pong);
    assert!(manager.admin().is_closed());
    drop(admins);
    holdfast_tests::wait::expect("a place", || {
        manager.admin().command(&["PING"]).is_ok_and(|reply| reply == Value::status("PONG"))
    });
}

/// Whoever is neither root, nor the server's own user, nor the agent's.
#[test]
fn a_stranger_is_turned_away() {
    let manager = start(&["--unixsocketperm", "777"]);
    let open = |path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o777));
    open(manager.directory.path().to_path_buf()).expect("ours");
    open(manager.path("admin")).expect("ours");
    let ask = |user: &str| {
        let script = r#"$SIG{PIPE} = "IGNORE"; $s = IO::Socket::UNIX->new(shift) or die "not open to everybody: $!";
            print $s "PING\r\n"; $s->flush; print readline($s) // "closed""#;
        let mut perl = Command::new("setpriv");
        perl.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        perl.args(["/usr/bin/perl", "-MIO::Socket::UNIX", "-e", script]).arg(manager.path("admin"));
        let output = perl.output().expect("setpriv(1) of util-linux");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(ask("998"), "+PONG\r\n");
    assert_eq!(ask("997"), "closed");
    assert!(manager.log().contains("A stranger at the admin socket"), "{}", manager.log());
}
