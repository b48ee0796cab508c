//! What the agent's own report gives to think about.

use serde_json::Value;

use super::Finding;

/// Every part of the report that can be amiss.
pub(crate) fn findings(status: &Value) -> Vec<Finding> {
    let mut found = vec![ready(status)];
    found.extend(services(status));
    found.extend(config(status));
    found.extend(backup(status));
    found.extend(certificates(status));
    found.extend(update(status));
    found.extend(boot(status));
    found.extend(watchdog(status));
    found.extend(degraded(status));
    found
}

fn ready(status: &Value) -> Finding {
    let error = status["probe"]["error"].as_str().unwrap_or("it has not been asked yet");
    match status["ready"] == true {
        true => Finding::ok("server", "it answers PING"),
        false => {
            Finding::fail("server", format!("it is not ready: {error}"), "see the server's log")
        }
    }
}

fn services(status: &Value) -> Vec<Finding> {
    let services = status["services"].as_object();
    services.into_iter().flatten().flat_map(|(name, service)| of_service(name, service)).collect()
}

fn of_service(name: &str, service: &Value) -> Vec<Finding> {
    let count = |key: &str| service[key].as_u64().unwrap_or(0);
    let (restarts, hangs, ooms) = (count("restarts"), count("hangs"), count("oom_kills"));
    let last = service["last_exit"]["text"].as_str();
    let told = last.map(|last| format!("; the last run {last}")).unwrap_or_default();
    let seen =
        format!("{name}: {restarts} restarts, {hangs} hangs, {ooms} out-of-memory kills{told}");
    let mut found = vec![match service["state"].as_str() {
        Some("failed") => Finding::fail(
            "service",
            format!("{name} was given up{told}"),
            "see its log, then `start`",
        ),
        Some("backoff") => {
            Finding::fail("service", format!("{name} keeps ending{told}"), "see its log")
        }
        Some("down") => {
            Finding::warn("service", format!("{name} is down"), "`start` brings it back")
        }
        _ if ooms > 0 => Finding::warn("service", seen, "set maxmemory below the memory limit"),
        _ if hangs > 0 => Finding::warn("service", seen, "see its log: it did not answer for long"),
        _ if restarts > 0 && last.is_some() => Finding::warn("service", seen, "see its log"),
        _ => Finding::ok("service", seen),
    }];
    if service["pending_restart"] == true {
        let seen = format!("{name} runs with an older configuration");
        found.push(Finding::warn("config", seen, "`restart` puts the new one into effect"));
    }
    found
}

fn config(status: &Value) -> Vec<Finding> {
    let path = status["config"]["path"].as_str().unwrap_or("holdfast.toml");
    let errors = status["config"]["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let told = errors.iter().map(|error| {
        let (line, column) = (&error["line"], &error["column"]);
        let seen = format!("{path}:{line}:{column}: {}", error["message"].as_str().unwrap_or("?"));
        Finding::fail("config", seen, "correct it, then `reload`; what ran before goes on")
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        vec![Finding::ok("config", format!("{path} has no mistakes"))]
    } else {
        told
    }
}

/// More than two periods without one: something is wrong, even if nothing failed.
fn backup(status: &Value) -> Vec<Finding> {
    let backup = &status["backup"];
    let mut found = Vec::new();
    if let Some(notice) = backup["notice"].as_str() {
        found.push(Finding::warn("backup", notice, "see whether the data is what you expect"));
    }
    let count = backup["count"].as_u64().unwrap_or(0);
    found.push(match (backup["error"].as_str(), backup["every_ms"].as_u64()) {
        (Some(error), _) => {
            Finding::fail("backup", format!("the last failed: {error}"), "`backup` tries again")
        }
        (None, None) if count == 0 => Finding::warn(
            "backup",
            "there is none, and no schedule",
            "set `[backup] every`, or copy one elsewhere with `backup --to`",
        ),
        (None, None) => Finding::ok("backup", format!("{count}, by hand")),
        (None, Some(_)) => Finding::ok("backup", format!("{count}, on schedule")),
    });
    found
}

/// As the certificates' own part of the report tells; null where `[tls]` is off.
fn certificates(status: &Value) -> Option<Finding> {
    let told = status.get("certificates").filter(|told| told.is_object())?;
    Some(match told["last_error"].as_str() {
        Some(error) => Finding::fail("certificates", error, "see `certs`; the old one is kept"),
        None => Finding::ok("certificates", "in place"),
    })
}

fn update(status: &Value) -> Option<Finding> {
    let last = status["update"].get("last").filter(|last| last["outcome"] == "rolled-back")?;
    let (version, reason) = (last["version"].as_str(), last["reason"].as_str());
    let seen = format!("{} was rolled back: {}", version.unwrap_or("?"), reason.unwrap_or("?"));
    Some(Finding::warn("update", seen, "see `logs` of then on the data partition; try another one"))
}

fn boot(status: &Value) -> Option<Finding> {
    let last = status["boot"]["last_end"].as_str()?;
    let advice = "see the log of the time before the reboot";
    let missed = match status["boot"]["missed"].as_str() {
        Some(missed @ ("agent" | "disk")) => format!("; what it missed: the {missed}"),
        _ => String::new(),
    };
    Some(match last {
        "watchdog" => {
            Finding::warn("boot", format!("the watchdog reset the machine{missed}"), advice)
        }
        "panic" => Finding::warn("boot", "the machine rebooted after a panic", advice),
        "power-lost" => {
            Finding::warn("boot", "the power went before the shutdown was over", advice)
        }
        other => Finding::ok("boot", format!("the last end was {other}")),
    })
}

/// Only a machine can have one; that it has none is one of its degraded guarantees.
fn watchdog(status: &Value) -> Option<Finding> {
    let timeout_s = status["watchdog"]["timeout_s"].as_u64().filter(|seconds| *seconds > 0)?;
    let starved = status["watchdog"]["starved"].as_str().unwrap_or("no");
    Some(match starved {
        "no" => Finding::ok("watchdog", format!("it is fed, and waits for {timeout_s} s")),
        why => {
            let seen = format!("it is not fed any more ({why}): the machine is about to be reset");
            Finding::fail("watchdog", seen, "see the log for what hangs")
        }
    })
}

/// Each by its code; those that lose data are failures.
fn degraded(status: &Value) -> Vec<Finding> {
    const GRAVE: [&str; 4] = ["data-read-only", "data-unsound", "data-full", "no-data-directory"];
    let each = status["degraded"].as_array().into_iter().flatten();
    let told = each.map(|degraded| {
        let (code, text) = (degraded["code"].as_str().unwrap_or("?"), degraded["text"].as_str());
        let seen = format!("{} ({code})", text.unwrap_or("?"));
        let advice = advice(code);
        match GRAVE.contains(&code) {
            true => Finding::fail("guarantee", seen, advice),
            false => Finding::warn("guarantee", seen, advice),
        }
    });
    told.collect()
}

fn advice(code: &str) -> &'static str {
    match code {
        "no-cgroups" | "partial-cgroups" => {
            "give the container a writable cgroup (docker: --security-opt writable-cgroups=true)"
        }
        "volatile-data" => "give the machine a partition named holdfast-data",
        "no-network" | "no-lease" => "see `[network]` of holdfast.toml, the cable, the DHCP server",
        "address-conflict" => "give this machine or the other one another address",
        "data-read-only" | "data-unsound" => "copy a backup elsewhere, then replace the disk",
        "data-full" => "delete what was set aside by restores, or lower `[backup] keep`",
        "clock-unset" => "let the machine reach a time server: `[time] ntp`",
        "certificate-names" => "see `certs`; take the name out, or `certs new-authority --yes`",
        "no-watchdog" => "enable the board's watchdog, or take the risk",
        "backup-failed" => "see the line about the backup",
        _ => "see the supervisor's README",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use serde_json::json;

    fn worst(status: &Value) -> Option<Level> {
        findings(status).iter().map(|finding| finding.level).max()
    }

    fn well() -> Value {
        json!({
            "ready": true,
            "services": {"server": {"state": "ready", "restarts": 0}},
            "config": {"path": "/x", "errors": []},
            "backup": {"every_ms": 5, "count": 1},
            "update": {"running": "a", "last": null},
            "boot": {"last_end": "clean", "missed": "no"},
            "watchdog": {"timeout_s": 30, "starved": "no"},
            "degraded": [],
        })
    }

    #[test]
    fn a_machine_that_is_well_gives_no_more_than_ok() {
        assert_eq!(worst(&well()), Some(Level::Ok));
    }

    #[test]
    fn each_thing_amiss_is_seen() {
        let cases = [
            ("/ready", json!(false), Level::Fail),
            ("/services/server/state", json!("backoff"), Level::Fail),
            ("/services/server/restarts", json!(0), Level::Ok),
            ("/config/errors", json!([{"line": 1, "column": 2, "message": "m"}]), Level::Fail),
            ("/backup/count", json!(1), Level::Ok),
            ("/backup/every_ms", json!(null), Level::Ok),
            ("/update/last", json!({"outcome": "kept"}), Level::Ok),
            ("/update/last", json!({"outcome": "rolled-back", "reason": "r"}), Level::Warn),
            ("/boot/last_end", json!("watchdog"), Level::Warn),
            ("/watchdog/starved", json!("disk"), Level::Fail),
            ("/degraded", json!([{"code": "data-full", "text": "full"}]), Level::Fail),
            ("/degraded", json!([{"code": "no-watchdog", "text": "none"}]), Level::Warn),
        ];
        for (place, value, expected) in cases {
            let mut status = well();
            *status.pointer_mut(place).expect("in the report") = value;
            assert_eq!(worst(&status), Some(expected), "{place}");
        }
    }

    #[test]
    fn a_report_of_another_shape_does_not_panic() {
        for odd in [json!(null), json!([]), json!({"services": 7, "degraded": [7]})] {
            assert_eq!(worst(&odd), Some(Level::Fail));
        }
    }
}
