//! The process: `# Server`, `# CPU`.

use super::{Text, View};
use crate::SERVER_NAME;
use crate::config::cli::{REDIS_VERSION, VALKEY_VERSION};
use crate::config::settings::Supervised;
use crate::engine::Certificates;
use crate::process::CpuTime;

pub(super) fn server(text: &mut Text, view: &View<'_>) {
    let settings = view.engine.config.settings();
    let uptime_s = (view.now.ms() - view.engine.stats.started_ms) / 1000;
    let unix_s = view.now.unix_ms() / 1000;
    text.field("redis_version", REDIS_VERSION);
    text.field("server_name", SERVER_NAME);
    text.field("valkey_version", VALKEY_VERSION);
    text.field("valkey_release_stage", "ga");
    text.field("holdfast_version", env!("CARGO_PKG_VERSION"));
    text.field("redis_git_sha1", "00000000");
    text.field("redis_git_dirty", 0);
    text.field("redis_build_id", concat!("holdfast-", env!("CARGO_PKG_VERSION")));
    text.field("redis_mode", "standalone");
    text.field("server_mode", "standalone");
    text.field("os", &view.process.os);
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", "epoll");
    // What Redis shows when another compiler built it.
    text.field("gcc_version", "0.0.0");
    text.field("process_id", view.process.id);
    let supervised = match settings.supervised {
        Supervised::Systemd | Supervised::Auto if view.process.has_notify_socket => "systemd",
        _ => "no",
    };
    text.field("process_supervised", supervised);
    text.field("run_id", &view.engine.run_id);
    text.field("tcp_port", if settings.port != 0 { settings.port } else { settings.tls.port });
    text.field("server_time_usec", view.now.us + view.now.wall_offset_ms * 1000);
    text.field("uptime_in_seconds", uptime_s);
    text.field("uptime_in_days", uptime_s / (24 * 3600));
    text.field("hz", settings.hz);
    text.field("configured_hz", settings.hz);
    // Idle clients are looked for once a second.
    text.field("clients_hz", 1);
    text.field("lru_clock", unix_s & 0xff_ffff);
    text.field("executable", &view.process.executable);
    let file = view.engine.config.file();
    text.field("config_file", file.unwrap_or("".as_ref()).display());
    text.field("io_threads_active", 0);
    text.field("availability_zone", String::from_utf8_lossy(&settings.availability_zone));
    listeners(text, view);
}

/// `listener0:name=tcp,bind=*,bind=-::*,port=6379`
fn listeners(text: &mut Text, view: &View<'_>) {
    let settings = view.engine.config.settings();
    let mut listeners = Vec::new();
    let binds: String = settings
        .bind
        .iter()
        .map(|bind| format!(",bind={}{}", if bind.optional { "-" } else { "" }, bind.host))
        .collect();
    if settings.port != 0 {
        listeners.push(format!("name=tcp{binds},port={}", settings.port));
    }
    if let Some(path) = &settings.unix_socket {
        listeners.push(format!("name=unix,bind={}", path.display()));
    }
    if settings.tls.port != 0 {
        listeners.push(format!("name=tls{binds},port={}", settings.tls.port));
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        text.line(format_args!("listener{index}:{listener}"));
    }
}

pub(super) fn tls(text: &mut Text, view: &View<'_>) {
    let Certificates { server, client, ca } = view.engine.host.certificates();
    let unix_s = view.now.unix_ms() / 1000;
    for (which, certificate) in [("server", server), ("client", client), ("ca", ca)] {
        let serial = certificate.as_ref().map_or("none", |certificate| &certificate.serial);
        let left_s = certificate.as_ref().map_or(0, |it| (it.expires_unix_s - unix_s).max(0));
        text.field(&format!("tls_{which}_cert_serial"), serial);
        text.field(&format!("tls_{which}_cert_expires_in_seconds"), left_s);
    }
}

/// Commands are executed by all threads alike, so the "main thread" is the process.
pub(super) fn cpu(text: &mut Text, view: &View<'_>) {
    let mut times = |suffix: &str, time: CpuTime| {
        let [system, user] = [time.system, time.user].map(|time| time.as_secs_f64());
        text.line(format_args!("used_cpu_sys{suffix}:{system:.6}"));
        text.line(format_args!("used_cpu_user{suffix}:{user:.6}"));
    };
    times("", view.process.cpu);
    times("_children", view.process.children_cpu);
    times("_main_thread", view.process.cpu);
    let active_s = view.engine.stats.turns.us as f64 / 1e6;
    text.line(format_args!("used_active_time_main_thread:{active_s:.6}"));
}
