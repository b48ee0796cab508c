//! The process: configuration, runtime, data, listeners, background tasks, signals, the end.

mod help;
mod host;
mod recorded;
mod start;
mod tls;
mod tools;
mod watched;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::alloc;
use crate::clock::{self, Clock};
use crate::commands::Names;
use crate::config::cli::{self, Invocation, Launch};
use crate::config::{Config, Settings, load};
use crate::engine::{Engine, Seed};
use crate::log;
use crate::net::courier::Couriers;
use crate::net::inherited::Inherited;
use crate::net::listen::Listeners;
use crate::net::sockets::{Bound, BoundUnix, Sockets};
use crate::net::tls::Tls;
use crate::net::{Shared, admin};
use crate::process::manager::{self, Handed, Manager};
use crate::process::{self, descriptors, service, title};
use crate::task;
use crate::timer::Timers;

use host::{Files, Process, Request};
use recorded::Recorded;

/// How often the wall clock is compared with the server's timeline.
const WALL_CLOCK_CHECK: Duration = Duration::from_millis(500);
/// How long connections wait at start for data to be loaded, before they are let in to hear LOADING.
const QUIET_LOAD: Duration = Duration::from_millis(50);

/// Runs the program; its exit status.
pub fn main(args: &[OsString]) -> ExitCode {
    // Nothing is handed to a tool, and `sh` leaves what it was given to the program it becomes.
    if let Some(status) = tools::run(args) {
        return status;
    }
    // Before anything is opened that could be taken for what was handed over.
    let handed = manager::take_over();
    title::prepare(args);
    let mut launch = match cli::parse(args.get(1..).unwrap_or_default()) {
        Invocation::Help => return say(cli::HELP),
        Invocation::Version => return say(&cli::version()),
        Invocation::Unsupported(reason) => return fail(&reason),
        Invocation::Run(launch) => launch,
    };
    if let Some(defaults) = std::env::var_os("HOLDFAST_DEFAULTS") {
        launch.defaults = defaults.into_vec();
    }
    match start(&launch, handed) {
        Ok(status) => ExitCode::from(status),
        Err(reason) => fail(&reason),
    }
}

fn say(text: &str) -> ExitCode {
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn fail(reason: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{reason}");
    ExitCode::FAILURE
}

fn start(launch: &Launch, handed: Vec<Handed>) -> Result<u8, String> {
    let mut config =
        load::load(launch, &mut load::SystemFiles).map_err(|fatal| fatal.to_string())?;
    let settings = config.settings().clone();
    log::configure(&settings.log);
    let manager = manager::manager();
    let is_supervised = manager.is_served(settings.supervised);
    if settings.daemonize && !is_supervised {
        service::to_background().map_err(|error| format!("Can't go to the background: {error}"))?;
    }
    title::show(|called| config.proc_title(called));
    announce(launch, &config);
    fit_max_clients(&mut config)?;
    let supervisor = is_supervised.then_some(manager);
    // Who connects from here on is not refused, but waits.
    let open = Open::new(&settings, Inherited::from_manager(handed), supervisor)?;
    let runtime = runtime(&settings)?;
    let status = runtime.block_on(serve(config, open, supervisor))?;
    if let Some(path) = &settings.pid_file {
        // Written by us if at all; another process may have removed it.
        let _ = std::fs::remove_file(path);
    }
    log::warning!("Holdfast is now ready to exit, bye bye...");
    // Connections and their buffers go with the process.
    runtime.shutdown_background();
    Ok(status)
}

fn announce(launch: &Launch, config: &Config) {
    let version = env!("CARGO_PKG_VERSION");
    let pid = std::process::id();
    let port = match config.settings().port {
        0 => config.settings().tls.port,
        port => port,
    };
    log::notice!("Holdfast is starting");
    log::notice!("Holdfast {version}, PID: {pid}, port: {port}");
    if launch.file.is_none() && !launch.stdin {
        log::warning!(
            "Warning: no config file specified, using the default config. In order to specify a config file use holdfast-server /path/to/redis.conf"
        );
    }
    for warning in config.warnings() {
        log::warning!("{warning}");
    }
}

/// Lowers `maxclients` to what the system has file descriptors for.
fn fit_max_clients(config: &mut Config) -> Result<(), String> {
    let wanted = config.settings().max_clients;
    let possible = descriptors::make_room_for(wanted);
    if possible >= wanted {
        return Ok(());
    }
    if possible == 0 {
        return Err("Your current 'ulimit -n' is not enough for the server to start. Please \
                    increase your open file limit."
            .into());
    }
    log::warning!(
        "maxclients has been reduced from {wanted} to {possible} to compensate for low ulimit. \
         If you need higher maxclients increase 'ulimit -n'."
    );
    config.reduce_max_clients(possible);
    Ok(())
}

/// One worker for each CPU this process may use, or as many as `io-threads` asks for.
fn runtime(settings: &Settings) -> Result<Runtime, String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if settings.io_threads > 1 { settings.io_threads.min(cpus) } else { cpus };
    // One worker needs none of the machinery that lets several share tasks.
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(workers)
        .thread_name("holdfast")
        .enable_io()
        .on_thread_unpark(clock::slept)
        .build()
        .map_err(|error| format!("Cannot start the runtime: {error}"))
}

/// Everything that listens, before anything is accepted.
struct Open {
    tls: Arc<Tls>,
    sockets: Sockets,
    tcp: Vec<Bound>,
    unix: Option<BoundUnix>,
}

impl Open {
    fn new(
        settings: &Settings,
        mut inherited: Inherited,
        supervisor: Option<&Manager>,
    ) -> Result<Self, String> {
        let tls = Arc::new(Tls::default());
        if tls.configure(&settings.tls).is_err() {
            let reason = "Failed to configure TLS. Check logs for more info.";
            log::warning!("{reason}");
            return Err(reason.into());
        }
        let mut sockets = Sockets::default();
        let mut tcp = sockets.bind(settings, &mut inherited)?;
        let bind_unix = |path: &PathBuf| {
            let (mode, backlog) = (settings.unix_socket_mode, settings.tcp_backlog);
            BoundUnix::bind(path, mode, backlog, &mut inherited)
        };
        let unix = settings.unix_socket.as_ref().map(bind_unix).transpose()?;
        if tcp.sockets.is_empty() && unix.is_none() {
            let reason = "Configured to not listen anywhere, exiting.";
            log::warning!("{reason}");
            return Err(reason.into());
        }
        inherited.warn_of_rest();
        tcp.forgets = inherited.has_held_rest();
        if let Some(manager) = supervisor {
            watched::keep_sockets(manager, &tcp, unix.as_ref());
        }
        Ok(Self { tls, sockets, tcp: tcp.sockets, unix })
    }
}

async fn serve(
    config: Config,
    open: Open,
    supervisor: Option<&'static Manager>,
) -> Result<u8, String> {
    let settings = config.settings().clone();
    let names = Names::with_renames(config.renames());
    let clock = Clock::start();
    let (requests, mut inbox) = mpsc::unbounded_channel();
    let files = Files::new();
    let Open { tls, sockets, tcp, unix } = open;
    let host = Process::new(requests, files.clone(), sockets, Arc::clone(&tls), &settings);
    let mut engine = Engine::new(config, names, seed()?, Box::new(host), clock.now());
    engine.memory_ceiling = memory_ceiling(&settings);
    let timers = Timers::new().map_err(|error| format!("Cannot make a timer: {error}"))?;
    let shared = Arc::new(Shared::new(engine, clock, timers));
    files.log_comes_for(Recorded::by(&shared));

    if let Some(path) = &settings.pid_file
        && let Err(error) = std::fs::write(path, format!("{}\n", std::process::id()))
    {
        log::warning!("Failed to write PID file {}: {error}", path.display());
    }
    log::notice!("Server initialized");
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut int = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    task::spawn(wake_sleepers(Arc::clone(&shared)));
    task::spawn(background(Arc::clone(&shared)));
    task::spawn(follow_wall_clock(Arc::clone(&shared)));
    let couriers = Arc::<Couriers>::default();
    task::spawn(Arc::clone(&couriers).look_after(Arc::clone(&shared)));
    task::spawn(tls::follow_files(Arc::clone(&shared), Arc::clone(&tls)));

    let mut load = start::load(&shared, &files, &settings);
    if let Some(manager) = supervisor {
        task::spawn(watched::keep_alive(Arc::clone(&shared), manager));
        task::spawn(watched::follow_loading(Arc::clone(&shared), manager));
    }
    if let Some(path) = &manager::manager().admin {
        admin::listen(path, &shared);
    }
    // Data that is there soon is there before anybody is let in, and nobody need know of LOADING.
    let early = shared.timers.timeout(QUIET_LOAD, &mut load).await;
    let mut listeners = Listeners::new(Arc::clone(&tls));
    listeners.replace_tcp(tcp, &shared).map_err(|error| error.to_string())?;
    let unix_twin = unix.as_ref().map(BoundUnix::twin).transpose().map_err(|e| e.to_string())?;
    if let Some(unix) = unix {
        listeners.accept_unix(unix, &shared).map_err(|error| error.to_string())?;
    }
    let is_loaded = match early {
        Some(loaded) => start::outcome(loaded).map(|()| true)?,
        None => tokio::select! {
            loaded = &mut load => start::outcome(loaded).map(|()| true)?,
            _ = term.recv() => false,
            _ = int.recv() => false,
        },
    };
    if is_loaded {
        tell_ready(&settings, supervisor);
    }
    let status = loop {
        if !is_loaded {
            break 0;
        }
        let flags = tokio::select! {
            _ = term.recv() => {
                log::warning!("Received SIGTERM, scheduling shutdown...");
                shared.engine().config.settings().shutdown_on_term
            }
            _ = int.recv() => {
                log::warning!("Received SIGINT, scheduling shutdown...");
                shared.engine().config.settings().shutdown_on_int
            }
            _ = hangup.recv() => {
                reload(&shared, &tls, supervisor).await;
                continue;
            }
            Some(request) = inbox.recv() => match request {
                Request::Exit(status) => break status,
                Request::Listen(binding) => {
                    if let Some(manager) = supervisor {
                        watched::keep_sockets(manager, &binding, unix_twin.as_ref());
                    }
                    if let Err(error) = listeners.replace_tcp(binding.sockets, &shared) {
                        log::warning!("Cannot listen anew: {error}");
                    }
                    continue;
                }
                Request::Transfer(transfer) => {
                    task::spawn(Arc::clone(&couriers).carry(Arc::clone(&shared), transfer));
                    continue;
                }
                Request::Written(task, result) => {
                    let now = shared.clock.now();
                    shared.engine().snapshot_is_written(task, result, now);
                    continue;
                }
            },
        };
        if shared.engine().shut_down(flags.save, flags.force, shared.clock.now()).is_ok() {
            break 0;
        }
        log::warning!(
            "Errors trying to shut down the server. Check the logs for more information."
        );
    };
    log::warning!("User requested shutdown...");
    if let Some(manager) = supervisor {
        manager.tell("STOPPING=1\n");
    }
    drop(listeners);
    files.close_log();
    // With a manager the socket may live on: who connects now is served by our next run.
    if let Some(path) = settings.unix_socket.as_ref().filter(|_| supervisor.is_none()) {
        log::notice!("Removing the unix socket file.");
        let _ = std::fs::remove_file(path);
    }
    Ok(status)
}

/// What SIGHUP asks for: certificates are read again. (Redis ignores it.)
async fn reload(shared: &Shared, tls: &Arc<Tls>, supervisor: Option<&Manager>) {
    log::notice!("Received SIGHUP, reading certificates again.");
    supervisor.inspect(|manager| watched::tell_reloading(manager));
    tls::reload(shared, tls).await;
    supervisor.inspect(|manager| manager.tell("READY=1\n"));
}

fn tell_ready(settings: &Settings, supervisor: Option<&Manager>) {
    if settings.port != 0 {
        log::notice!("Ready to accept connections tcp");
    }
    if settings.unix_socket.is_some() {
        log::notice!("Ready to accept connections unix");
    }
    if settings.tls.port != 0 {
        log::notice!("Ready to accept connections tls");
    }
    if let Some(manager) = supervisor {
        manager.tell("STATUS=Ready to accept connections\nREADY=1\n");
    }
    process::release_text();
}

/// What `maxmemory` is while it is not set but a cgroup limits the process: so much that all of the
/// process stays below the limit, by the promise that RSS keeps to 1.05 of `maxmemory` and 8 MB.
fn memory_ceiling(settings: &Settings) -> u64 {
    const FIXED_BYTES: u64 = 8 << 20;
    let Some(limit) = process::cgroup::memory_limit() else { return 0 };
    let ceiling = (limit.saturating_sub(FIXED_BYTES) / 105 * 100).max(1 << 20);
    if settings.max_memory == 0 {
        log::notice!(
            "maxmemory is not set; the cgroup's limit of {limit} bytes leaves {ceiling} for the data (maxmemory-policy {}).",
            settings.eviction.name
        );
    }
    ceiling
}

async fn wake_sleepers(shared: Arc<Shared>) {
    shared.timers.run().await;
}

async fn background(shared: Arc<Shared>) {
    let bell = Arc::clone(&shared.engine().cron_bell);
    loop {
        let (pause, takes_too_much) = {
            // The lock first: waiting for it is no part of the slice.
            let mut engine = shared.engine();
            let now = shared.clock.now();
            (engine.tick(now, || shared.clock.now().us), engine.takes_too_much())
        };
        if takes_too_much {
            alloc::purge();
        }
        // Whichever comes first: the time, or work that is due before it.
        let _ = shared.timers.timeout(pause, bell.rings()).await;
    }
}

async fn follow_wall_clock(shared: Arc<Shared>) {
    loop {
        shared.timers.sleep(WALL_CLOCK_CHECK).await;
        if let Some(step_ms) = shared.clock.follow_wall() {
            shared.engine().stats.wall_clock_steps += 1;
            log::warning!("The wall clock was set by {step_ms} ms. Expiry times are not affected.");
        }
    }
}

fn seed() -> Result<Seed, String> {
    let mut seed = Seed::default();
    for bytes in [&mut seed.hash_secret[..], &mut seed.rng[..], &mut seed.run_id[..]] {
        getrandom::fill(bytes)
            .map_err(|error| format!("No randomness from the system: {error}"))?;
    }
    Ok(seed)
}
