//! Users' own files (tests/seeds/), byte for byte, with our image under the official one's name.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use holdfast_image::{ensure_packages, oci};
use holdfast_tests::paths;
use holdfast_tests::wait;
use tempfile::TempDir;

use crate::container::daemon::Docker;
use crate::container::{both, run, stdout};

/// What their files call the image.
const OFFICIAL: &str = "redis:7.4-alpine";
/// The password that they have where none is chosen.
const PASSWORD: &str = "changeme";
/// In a secret's file, with what only quotes keep together.
const SECRET: &str = "s3cret $PASS  it's\\";

/// A user with a docker host, and a copy of the files.
struct User {
    docker: Docker,
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        ensure_packages(&["docker-compose", "redis-tools"]).unwrap();
        let docker = Docker::with_networks();
        docker.load();
        docker.ok(&["tag", oci::NAME, OFFICIAL]);
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(paths::tests().join("seeds")).unwrap().flatten() {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self { docker, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types a line into the shell of the host; what is printed.
    #[track_caller]
    fn types(&self, line: &str) -> String {
        let mut shell = Command::new("bash");
        shell.env("DOCKER_HOST", self.docker.host()).env_remove("REDIS_PASSWORD");
        both(&run(shell.current_dir(self.folder.path()).args(["-c", line])))
    }

    /// By `docker exec`: the answer of the server in `container`.
    #[track_caller]
    fn asks(&self, container: &str, password: &str, words: &[&str]) -> String {
        self.docker.ok(&[&cli(container, password)[..], words].concat())
    }

    /// It serves, though not at once.
    #[track_caller]
    fn expects_pong(&self, container: &str, password: &str) {
        let ping = [&cli(container, password)[..], &["ping"]].concat();
        wait::expect(&format!("{container} to answer"), || {
            stdout(&self.docker.client(&ping)).trim() == "PONG"
        });
    }

    /// On the port that is published on the host.
    #[track_caller]
    fn expects_pong_at_port(&self, password: &str) {
        let cli = [&["redis-cli", "-h", "127.0.0.1"], &auth(password)[..], &["ping"]].concat();
        let out = self.docker.beside(&cli);
        assert_eq!(stdout(&out), "PONG\n", "{}", both(&out));
    }
}

fn cli<'a>(container: &'a str, password: &'a str) -> Vec<&'a str> {
    [&["exec", container, "redis-cli"], &auth(password)[..]].concat()
}

fn auth(password: &str) -> Vec<&str> {
    if password.is_empty() { vec![] } else { vec!["--no-auth-warning", "-a", password] }
}

#[test]
fn the_standalone_compose_file_runs() {
    let user = User::new();
    let name = "redis-standalone";
    user.types("docker-compose up -d");
    user.expects_pong(name, PASSWORD);
    user.expects_pong_at_port(PASSWORD);
    assert_eq!(user.asks(name, "wrong", &["get", "k"]), "NOAUTH Authentication required.");
    assert_eq!(user.asks(name, PASSWORD, &["set", "k", "v w"]), "OK");
    user.types("docker-compose restart --timeout 5");
    user.expects_pong(name, PASSWORD);
    assert_eq!(user.asks(name, PASSWORD, &["get", "k"]), "v w");
    user.docker.is_soon_healthy(name);
    user.docker.stops_in_a_second(name);
    user.types("docker-compose down --volumes");
}

/// Its command is `sh -c '… "$(cat /run/secrets/redis_password)" …'`.
#[test]
fn the_secrets_compose_file_runs() {
    let user = User::new();
    fs::create_dir(user.at("secrets")).unwrap();
    fs::write(user.at("secrets/redis_password.txt"), format!("{SECRET}\n")).unwrap();
    let compose = "docker-compose -p hf -f docker-compose-secrets.yml";
    let name = "hf_redis_1";
    user.types(&format!("{compose} up -d"));
    user.expects_pong(name, SECRET);
    assert_eq!(user.asks(name, SECRET, &["set", "k", "v"]), "OK");
    assert_eq!(user.asks(name, "s3cret", &["get", "k"]), "NOAUTH Authentication required.");
    // The container's own process is init with the server's words, and no sh is between them.
    let pid = user.docker.inspect(name, "{{.State.Pid}}");
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let server = format!("/usr/bin/holdfast-init\0redis-server\0--requirepass\0{SECRET}\0");
    assert!(words.starts_with(&server), "{words}");
    user.docker.is_soon_healthy(name);

    user.types(&format!("{compose} down && {compose} up -d"));
    user.expects_pong(name, SECRET);
    assert_eq!(user.asks(name, SECRET, &["get", "k"]), "v");
    types_into_sh(&user, name);
    user.docker.stops_in_a_second(name);
    user.types(&format!("{compose} down --volumes"));
    ends_as_the_server_does(&user);
}

/// `docker exec CONTAINER sh -c '…'`, as health checks in shell form are run.
fn types_into_sh(user: &User, name: &str) {
    let sh = |more: &[&str], text: &str| {
        let out = user.docker.client(&[&["exec"], more, &[name, "sh", "-c", text]].concat());
        (out.status.code(), both(&out))
    };
    let ping = "REDISCLI_AUTH=\"$(cat /run/secrets/redis_password)\" redis-cli ping || exit 1";
    assert_eq!(sh(&[], ping), (Some(0), "PONG\n".to_owned()));
    assert_eq!(sh(&[], "redis-cli -p 1 ping >/dev/null 2>&1 || exit 7"), (Some(7), String::new()));
    assert_eq!(sh(&[], "redis-cli -p ${PORT:-1} ping").0, Some(1));
    for (text, status, says) in [
        ("redis-cli ping | grep PONG", 126, "sh: | grep PONG: not supported"),
        ("cd /data", 126, "sh: cd: not supported"),
        ("redis-benchmark -q", 127, "sh: redis-benchmark: not found"),
        ("redis-cli 'ping", 2, "sh: Syntax error: Unterminated quoted string"),
        ("redis-cli -a \"$(cat /no/such)\" ping", 1, "sh: /no/such: No such file"),
    ] {
        let (seen, text) = sh(&[], text);
        assert!(seen == Some(status) && text.starts_with(says), "{seen:?} {text}");
    }
    let (status, text) = sh(&["-e", "HOLDFAST_SH=off"], "redis-cli ping");
    assert!(status == Some(126) && text.contains("HOLDFAST_SH=off"), "{status:?} {text}");
}

/// Called by docker or by init, with or without an entry point of the user's own.
fn ends_as_the_server_does(user: &User) {
    let ends = |words: &[&str], status: i32| {
        let out = user.docker.client(&[&["run", "--rm"], words].concat());
        assert_eq!(out.status.code(), Some(status), "{words:?}:\n{}", both(&out));
    };
    ends(&[OFFICIAL, "sh", "-c", "redis-server --port x"], 1);
    ends(&["--entrypoint", "sh", OFFICIAL, "-c", "exec redis-server --port x || exit 3"], 1);
    ends(&["--init", OFFICIAL, "sh", "-c", "redis-cli -p 1 ping || exit 3"], 3);
    ends(&[OFFICIAL, "sh", "-c", "redis-server || exit 3"], 126);
}

/// The files are the user's to the byte; that the server's user may read the keys is up to him, with the
/// official image as with ours. The health check is a line for a shell.
#[test]
fn the_tls_compose_file_runs() {
    ensure_packages(&["openssl"]).unwrap();
    let user = User::new();
    user.types("bash generate-tls-certs.sh");
    for file in fs::read_dir(user.at("certs")).unwrap().flatten() {
        chown(file.path(), Some(999), None).unwrap();
    }
    let compose = "docker-compose -f docker-compose-tls.yml";
    user.types(&format!("{compose} up -d"));
    let certs = |name: &str| user.at("certs").join(name).to_str().unwrap().to_owned();
    let ca = certs("ca.crt");
    let cli = ["--tls", "--cacert", &ca, "--no-auth-warning", "-a", PASSWORD];
    wait::expect("the port of the TLS stack", || {
        let ping = [&["redis-cli", "-h", "127.0.0.1"], &cli[..], &["ping"]].concat();
        stdout(&user.docker.beside(&ping)) == "PONG\n"
    });
    user.docker.is_soon_healthy("redis-tls");
    user.docker.stops_in_a_second("redis-tls");
    user.types(&format!("{compose} down --volumes"));
}

/// The `docker run` lines, and the `docker exec` that goes with the first of them. All publish one port, so
/// one runs at a time.
#[test]
fn the_docker_run_lines_run() {
    ensure_packages(&["bsdutils"]).unwrap();
    let user = User::new();
    let script = fs::read_to_string(user.at("docker-run-commands.sh")).unwrap();
    let lines = |start: &str| -> Vec<String> {
        let blocks = script.split("\n\n").filter_map(|block| block.split_once('\n'));
        let blocks = blocks.map(|(_comment, line)| line.to_owned());
        blocks.filter(|line| line.starts_with(start)).collect()
    };
    // Redis takes the `${REDIS_PASSWORD}` of a redis.conf as it is written.
    let literal = "${REDIS_PASSWORD}";
    let passwords = ["", "my-secret-password", "", literal, ""];
    let runs = lines("docker run -d");
    assert_eq!(runs.len(), passwords.len(), "{runs:?}");
    for (line, password) in runs.iter().zip(passwords) {
        let name = line.split("--name ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        user.types(line);
        user.expects_pong(name, password);
        user.expects_pong_at_port(password);
        match name {
            "redis-dev" => {
                assert_eq!(user.asks(name, password, &["set", "k", "v w"]), "OK");
                let exec = lines("docker exec");
                let words: Vec<&str> = exec[0].split(' ').skip(1).collect();
                assert!(user.docker.typed(&words).contains("\"v w\""), "{words:?}");
            }
            "redis-persistent" => {
                assert_eq!(user.asks(name, password, &["set", "kept", "yes"]), "OK");
            }
            // The volume and its log are the other container's.
            "redis-custom" => assert_eq!(user.asks(name, password, &["get", "kept"]), "yes"),
            "redis-limited" => {
                let limit = user.asks(name, password, &["config", "get", "maxmemory"]);
                assert_eq!(limit, format!("maxmemory\n{}", 1900 << 20));
            }
            _ => {}
        }
        user.docker.stops_in_a_second(name);
        user.docker.ok(&["rm", "--volumes", name]);
    }
}
