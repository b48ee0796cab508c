//! The tools of the image, by docker.

use holdfast_image::machine::free_port;
use holdfast_image::{ensure_packages, oci};
use holdfast_tests::wait;

use crate::container::daemon::Docker;
use crate::container::hardened::HARD;
use crate::container::{both, stdout};

/// What compose files and scripts do with the official image: a health check by redis-cli, `docker exec`
/// of it, and the image run for a tool alone.
#[test]
fn docker_finds_redis_cli_and_its_kin_in_the_image() {
    ensure_packages(&["bsdutils"]).unwrap();
    let docker = Docker::start();
    docker.load();
    let port = free_port().unwrap().to_string();
    let cli = ["redis-cli", "-p", &port, "-a", "changeme", "--no-auth-warning"];
    docker.build("checked", &format!("FROM {}\n{}", oci::NAME, health_check(&cli)));
    let server = ["redis-server", "--port", &port, "--requirepass", "changeme"];
    docker.ok(&[&HARD[..], &["--detach", "--name", "redis", "checked"], &server].concat());
    docker.is_soon_healthy("redis");
    let logs = || both(&docker.client(&["logs", "redis"]));
    let seen = docker.inspect("redis", "{{range .State.Health.Log}}{{.Output}}{{end}}");
    assert!(seen.ends_with("PONG"), "{seen}\n{}", logs());

    let exec = |words: &[&str]| docker.ok(&[&["exec", "redis"], &cli[..], words].concat());
    assert_eq!(exec(&["SET", "k", "v w"]), "OK");
    assert_eq!(exec(&["DBSIZE"]), "1");
    assert_eq!(exec(&["CONFIG", "GET", "requirepass"]), "requirepass\nchangeme");
    assert!(exec(&["INFO", "server"]).contains("redis_version:"));
    assert_eq!(exec(&["BGSAVE"]), "Background saving started");
    let saved = || exec(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:0");
    wait::expect("the background save to end", saved);
    assert!(exec(&["LASTSAVE"]).parse::<u64>().is_ok());
    assert!(docker.typed(&[&["exec", "-it", "redis"], &cli[..]].concat()).contains("\"v w\""));

    docker.has_tools(&cli);
    docker.ok(&["rm", "--force", "--volumes", "redis"]);
}

fn health_check(cli: &[&str]) -> String {
    let words: Vec<String> = cli.iter().map(|word| format!("{word:?}")).collect();
    format!("HEALTHCHECK --interval=1s --timeout=60s CMD [{}, \"ping\"]\n", words.join(", "))
}

impl Docker {
    /// The image run for one tool: its words, its output and its exit status, and nothing of init's.
    fn tool(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let of_server = ["--rm", "--volumes-from", "redis", "--workdir", "/data", oci::NAME];
        let out = self.client(&[&HARD[..], &of_server, words].concat());
        (out.status.code(), stdout(&out), String::from_utf8_lossy(&out.stderr).into_owned())
    }

    fn has_tools(&self, cli: &[&str]) {
        let pong = (Some(0), "PONG\n".to_owned(), String::new());
        assert_eq!(self.tool(&[cli, &["ping"]].concat()), pong);
        assert_eq!(self.tool(&[&["valkey-cli"], &cli[1..], &["ping"]].concat()), pong);
        let nobody = "Could not connect to Redis at 127.0.0.1:1: Connection refused\n";
        let refused = (Some(1), String::new(), nobody.to_owned());
        assert_eq!(self.tool(&["redis-cli", "-p", "1", "ping"]), refused);
        let (status, text, _) = self.tool(&["redis-check-rdb", "dump.rdb"]);
        assert!(status == Some(0) && text.contains("RDB looks OK"), "{status:?} {text}");
        let (status, text, _) = self.tool(&["valkey-check-rdb", "/etc/passwd"]);
        assert!(status == Some(1), "{status:?} {text}");
    }
}
