//! Client-side caching: CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO.

use super::{ANYTIME, SUBCOMMAND};
use crate::commands::spec::Command;
use crate::engine::{Args, Call, Tracker, TrackingMode, TrackingOptions};
use crate::error::{self, Error, Result};

pub(super) const TRACKING: Command = Command {
    name: "tracking",
    syntax: "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    summary: "Controls server-assisted client-side caching for the connection.",
    complexity: "O(1). Some options may introduce additional complexity.",
    since: "6.0.0",
    flags: ANYTIME,
    handler: Some(tracking),
    ..SUBCOMMAND
};

/// What stands behind ON or OFF.
#[derive(Default)]
struct Wanted<'a> {
    redirect: Option<u64>,
    prefixes: Vec<&'a [u8]>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
}

fn tracking(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let switch = args.required()?;
    let wanted = parse(call, args)?;
    if switch.eq_ignore_ascii_case(b"on") {
        let mode = mode_of(&wanted, call.engine.tracking.tracker(call.client.id))?;
        if mode == TrackingMode::Broadcast {
            check_prefixes(call, &wanted.prefixes)?;
        }
        let options = TrackingOptions { redirect: wanted.redirect, mode, no_loop: wanted.no_loop };
        let (id, slot) = (call.client.id, call.client.slot);
        call.engine.tracking.enable(id, slot, options, &wanted.prefixes);
        call.client.tracks = true;
        /// What a prefix costs beyond its bytes, here and in the table of all.
        const PREFIX_OVERHEAD: usize = 128;
        let tracker = call.engine.tracking.tracker(id);
        let prefixes = tracker.iter().flat_map(|tracker| &tracker.prefixes);
        call.client.tracked_bytes = prefixes.map(|p| 2 * p.len() + PREFIX_OVERHEAD).sum();
    } else if switch.eq_ignore_ascii_case(b"off") {
        call.engine.tracking.disable(call.client.id);
        call.client.tracks = false;
        call.client.tracked_bytes = 0;
    } else {
        return Err(error::SYNTAX);
    }
    call.reply.ok();
    Ok(())
}

fn parse<'a>(call: &Call<'_>, mut args: Args<'a>) -> Result<Wanted<'a>> {
    let mut wanted = Wanted::default();
    while !args.is_empty() {
        if args.left() >= 2 && args.keyword("redirect") {
            if wanted.redirect.is_some() {
                let text = "ERR A client can only redirect to a single other client";
                return Err(Error::text(text));
            }
            let id = u64::try_from(args.int()?).ok();
            let id = id.filter(|id| *id != 0 && call.engine.clients.find(*id).is_some());
            let text = "ERR The client ID you want redirect to does not exist";
            wanted.redirect = Some(id.ok_or(Error::text(text))?);
        } else if args.left() >= 2 && args.keyword("prefix") {
            wanted.prefixes.push(args.required()?);
        } else if args.keyword("bcast") {
            wanted.broadcast = true;
        } else if args.keyword("optin") {
            wanted.opt_in = true;
        } else if args.keyword("optout") {
            wanted.opt_out = true;
        } else if args.keyword("noloop") {
            wanted.no_loop = true;
        } else {
            return Err(error::SYNTAX);
        }
    }
    Ok(wanted)
}

/// The mode asked for, if it is one and the client may change to it.
fn mode_of(wanted: &Wanted<'_>, old: Option<&Tracker>) -> Result<TrackingMode> {
    let old = old.map(|tracker| tracker.options.mode);
    let refuse = |text| Err(Error::text(text));
    if !wanted.broadcast && !wanted.prefixes.is_empty() {
        return refuse("ERR PREFIX option requires BCAST mode to be enabled");
    }
    if old.is_some_and(|old| (old == TrackingMode::Broadcast) != wanted.broadcast) {
        return refuse(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
        );
    }
    if wanted.broadcast && (wanted.opt_in || wanted.opt_out) {
        return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if wanted.opt_in && wanted.opt_out {
        return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    let switches = wanted.opt_in && old == Some(TrackingMode::OptOut)
        || wanted.opt_out && old == Some(TrackingMode::OptIn);
    if switches {
        return refuse(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
        );
    }
    Ok(match wanted {
        Wanted { broadcast: true, .. } => TrackingMode::Broadcast,
        Wanted { opt_in: true, .. } => TrackingMode::OptIn,
        Wanted { opt_out: true, .. } => TrackingMode::OptOut,
        _ => TrackingMode::Default,
    })
}

/// No key may be told of twice: prefixes of one client must not overlap.
fn check_prefixes(call: &Call<'_>, prefixes: &[&[u8]]) -> Result {
    let tracker = call.engine.tracking.tracker(call.client.id);
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let refuse = |a: &[u8], which: &str, b: &[u8]| {
        let (a, b) = (error::printable(a), error::printable(b));
        Err(Error::owned(format!(
            "ERR Prefix '{a}' overlaps with {which} prefix '{b}'. Prefixes for a single client must not overlap."
        )))
    };
    for (nth, prefix) in prefixes.iter().enumerate() {
        let mut existing = tracker.iter().flat_map(|tracker| &tracker.prefixes);
        if let Some(other) = existing.find(|other| overlap(prefix, other)) {
            return refuse(prefix, "an existing", other);
        }
        if let Some(other) = prefixes[nth + 1..].iter().find(|other| overlap(prefix, other)) {
            return refuse(prefix, "another provided", other);
        }
    }
    Ok(())
}

pub(super) const CACHING: Command = Command {
    name: "caching",
    syntax: "<YES | NO>",
    summary: "Instructs the server whether to track the keys in the next request.",
    since: "6.0.0",
    handler: Some(caching),
    ..SUBCOMMAND
};

fn caching(call: &mut Call<'_>) -> Result {
    let word = call.args().required()?;
    let tracker = call.engine.tracking.tracker_mut(call.client.id);
    let Some(tracker) = tracker else {
        return Err(Error::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let (mode, refusal) = match word.to_ascii_lowercase().as_slice() {
        b"yes" => (
            TrackingMode::OptIn,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ),
        b"no" => (
            TrackingMode::OptOut,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ),
        _ => return Err(error::SYNTAX),
    };
    if tracker.options.mode != mode {
        return Err(Error::text(refusal));
    }
    tracker.caching = true;
    call.reply.ok();
    Ok(())
}

pub(super) const GETREDIR: Command = Command {
    name: "getredir",
    summary: "Returns the client ID to which the connection's tracking notifications are redirected.",
    since: "6.0.0",
    handler: Some(getredir),
    ..SUBCOMMAND
};

fn getredir(call: &mut Call<'_>) -> Result {
    let redirect = redirect_of(call.engine.tracking.tracker(call.client.id));
    call.reply.int(redirect);
    Ok(())
}

/// -1 without tracking, 0 without a redirection.
pub(super) fn redirect_of(tracker: Option<&Tracker>) -> i64 {
    tracker.map_or(-1, |tracker| tracker.options.redirect.unwrap_or(0) as i64)
}

pub(super) const TRACKINGINFO: Command = Command {
    name: "trackinginfo",
    summary: "Returns information about server-assisted client-side caching for the connection.",
    since: "6.2.0",
    flags: ANYTIME,
    handler: Some(trackinginfo),
    ..SUBCOMMAND
};

fn trackinginfo(call: &mut Call<'_>) -> Result {
    let tracker = call.engine.tracking.tracker(call.client.id);
    let reply = &mut call.reply;
    reply.map(3);
    reply.bulk(b"flags");
    let flags = tracker.map_or_else(|| vec!["off"], flags_of);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(redirect_of(tracker));
    reply.bulk(b"prefixes");
    let prefixes = tracker.iter().flat_map(|tracker| &tracker.prefixes);
    let prefixes: Vec<&[u8]> = prefixes.map(|prefix| &**prefix).collect();
    reply.bulks(&prefixes);
    Ok(())
}

fn flags_of(tracker: &Tracker) -> Vec<&'static str> {
    let mode = tracker.options.mode;
    let (opt_in, opt_out) = (mode == TrackingMode::OptIn, mode == TrackingMode::OptOut);
    let flags = [
        (true, "on"),
        (mode == TrackingMode::Broadcast, "bcast"),
        (opt_in, "optin"),
        (opt_in && tracker.caching, "caching-yes"),
        (opt_out, "optout"),
        (opt_out && tracker.caching, "caching-no"),
        (tracker.options.no_loop, "noloop"),
        (tracker.broken_redirect, "broken_redirect"),
    ];
    flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
}
