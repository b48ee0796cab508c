//! A machine's own holdfast.toml, on the data partition: whatever it has become, init gets a plan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use holdfast_supervisor::channel::ToInit;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::network::rig::Cable;

const SITE: &str = "/data/holdfast/holdfast.toml";
const IMAGE: &str = "/etc/holdfast/holdfast.toml";

fn site(cable: &Cable) -> PathBuf {
    cable.path(SITE.trim_start_matches('/'))
}

/// A new agent, and what it says of the configuration that it has told init.
fn start(cable: &mut Cable) -> Value {
    let answers = |cable: &Cable| cable.count(|m| matches!(m, ToInit::Plan(_) | ToInit::KeepPlan));
    let before = answers(cable);
    cable.start_agent();
    cable.wait("an answer to init", |cable| answers(cable) > before);
    cable.wait("status", |cable| cable.status()["config"].is_object());
    let status = cable.status();
    cable.kill_agent();
    status
}

#[track_caller]
fn assert_from(status: &Value, path: &str, hostname: &str, cable: &Cable) {
    assert_eq!(status["config"]["path"], path, "{status:#}");
    assert_eq!(cable.last_hostname().as_deref(), Some(hostname), "{status:#}");
}

/// Makes something of that path.
type Put<'a> = &'a dyn Fn(&Path);

fn is_refused(status: &Value) -> bool {
    let degraded = status["degraded"].as_array().expect("a list");
    degraded.iter().any(|each| each["code"] == "config-refused")
}

#[test]
fn the_site_s_file_replaces_the_image_s_for_as_long_as_it_is_there() {
    let mut cable = Cable::new("", "hostname = \"image\"\n");
    assert_from(&start(&mut cable), IMAGE, "image", &cable);
    fs::write(site(&cable), "hostname = \"site\"\n").unwrap();
    let status = start(&mut cable);
    assert_from(&status, SITE, "site", &cable);
    assert!(!is_refused(&status), "{status:#}");
    fs::remove_file(site(&cable)).unwrap();
    assert_from(&start(&mut cable), IMAGE, "image", &cable);
}

#[test]
fn whatever_the_site_s_file_has_become_the_last_good_one_or_the_image_s_is_used() {
    let mut cable = Cable::new("", "hostname = \"image\"\n");
    let deep = format!("a = {}", "[".repeat(5_000));
    let long = format!("# {}\n", "x".repeat(64 * 1024));
    let bad: [(&str, Put); 6] = [
        ("a syntax error", &|at| fs::write(at, "hostname = \n").unwrap()),
        ("nested", &|at| fs::write(at, &deep).unwrap()),
        ("long", &|at| fs::write(at, &long).unwrap()),
        ("bytes", &|at| fs::write(at, [0xff, 0, 0x1b]).unwrap()),
        ("a directory", &|at| fs::create_dir(at).unwrap()),
        ("a pipe", &|at| mknodat(CWD, at, FileType::Fifo, Mode::RUSR, 0).unwrap()),
    ];
    for kept in [None, Some("hostname = \"kept\"\n")] {
        let last_good = site(&cable).with_extension("toml.last-good");
        match kept {
            Some(text) => fs::write(&last_good, text).unwrap(),
            None => assert!(!last_good.exists()),
        }
        let expected = if kept.is_some() { "kept" } else { "image" };
        for (what, put) in &bad {
            put(&site(&cable));
            let status = start(&mut cable);
            assert_from(&status, SITE, expected, &cable);
            assert!(is_refused(&status), "{what}: {status:#}");
            assert_eq!(status["config"]["errors"][0]["line"], 1, "{what}: {status:#}");
            let _ = fs::remove_file(site(&cable)).or_else(|_| fs::remove_dir(site(&cable)));
        }
    }
}

#[test]
fn a_file_is_put_in_its_place_only_without_mistakes_and_taken_away_again() {
    let mut cable = Cable::new("", "hostname = \"image\"\n");
    cable.start_agent();
    cable.wait("status", |cable| cable.status()["config"].is_object());
    let file = cable.path("file");
    let put = |text: &str| {
        fs::write(&file, text).unwrap();
        cable.command(&["config", "put", &file.display().to_string()])
    };
    let said = |output: &Output| {
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
    };
    let long = "#".repeat(64 * 1024 + 1);
    let wrong = [
        ("hostname = \"x\"\n\n typo = 1\n", "3:2: unknown key typo"),
        ("[server\n", "1:8: "),
        (&long, "longer than 65536 bytes"),
    ];
    for (text, why) in wrong {
        let output = put(text);
        assert_eq!(output.status.code(), Some(1), "{text:.40}");
        assert!(said(&output).contains(why), "{}", said(&output));
        assert!(!site(&cable).exists(), "{text:.40}");
    }

    let output = put("hostname = \"site\"\n");
    assert!(output.status.success() && said(&output).contains(SITE), "{}", said(&output));
    cable.wait("the plan of the site", |cable| cable.last_hostname().as_deref() == Some("site"));
    let shown = said(&cable.command(&["config"]));
    assert_eq!(shown, format!("# {SITE}\nhostname = \"site\"\n"));
    let output = cable.command(&["config", "reset"]);
    assert!(output.status.success() && said(&output).contains(IMAGE), "{}", said(&output));
    cable.wait("the image's plan", |cable| cable.last_hostname().as_deref() == Some("image"));
    assert!(!site(&cable).exists());
}
