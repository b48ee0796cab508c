//! `start`, `stop` and `restart`: init is asked, and watched until it is done.

use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::channel::{Control, ToInit};
use holdfast_supervisor::control::Order;
use holdfast_supervisor::machine::State;
use holdfast_supervisor::snapshot::{ServiceView, Snapshot};

use crate::report::exit_text;
use crate::run::Shared;

/// What happened, or why not.
pub(crate) async fn carry_out(
    shared: &Rc<Shared>,
    order: Order,
    service: &str,
    wait: Duration,
) -> Result<String, String> {
    let (slot, before) = find(shared, service)?;
    if service == "agent" {
        return restart_agent(shared, order, slot);
    }
    if let Some(done) = is_so_already(order, &before) {
        return Ok(format!("{service} {done}"));
    }
    let what = match order {
        Order::Start => Control::Start,
        Order::Stop => Control::Stop,
        Order::Restart => Control::Restart,
    };
    let mut snapshots = shared.snapshot.subscribe();
    tell(shared, ToInit::Control { slot, what })?;
    let judged = async {
        loop {
            if snapshots.changed().await.is_err() {
                return Err("init is gone".to_owned());
            }
            let now = view(snapshots.borrow_and_update().as_ref(), service)?;
            if let Some(outcome) = judge(order, &before, &now) {
                return outcome.map(|text| format!("{service} {text}"));
            }
        }
    };
    match tokio::time::timeout(wait, judged).await {
        Ok(outcome) => outcome.map_err(|why| format!("{service}: {why}")),
        Err(_) => {
            let state = find(shared, service)?.1.record.state.name();
            Err(format!("{service} is still {state} after {} s", wait.as_secs()))
        }
    }
}

/// Its answer is the last it gives.
fn restart_agent(shared: &Shared, order: Order, slot: u8) -> Result<String, String> {
    if order != Order::Restart {
        return Err(format!("the agent is who answers: it cannot {} itself", order.word()));
    }
    tell(shared, ToInit::Control { slot, what: Control::Restart })?;
    Ok("agent: it ends now and is back in a moment".to_owned())
}

fn tell(shared: &Shared, message: ToInit) -> Result<(), String> {
    shared.link.send(&message).map_err(|error| format!("init cannot be asked: {error}"))
}

fn find(shared: &Shared, name: &str) -> Result<(u8, ServiceView), String> {
    let snapshot = shared.snapshot.borrow();
    let snapshot = snapshot.as_ref().ok_or("init has not told yet what runs")?;
    let (slot, view) = snapshot.service(name).ok_or_else(|| {
        let known: Vec<_> = snapshot.services.iter().map(|view| view.name.as_str()).collect();
        format!("no service is named {name}; there are: {}", known.join(", "))
    })?;
    Ok((slot as u8, view.clone()))
}

fn view(snapshot: Option<&Snapshot>, name: &str) -> Result<ServiceView, String> {
    let found = snapshot.and_then(|snapshot| snapshot.service(name));
    found.map(|(_, view)| view.clone()).ok_or_else(|| "it is gone".to_owned())
}

fn is_so_already(order: Order, view: &ServiceView) -> Option<String> {
    match (order, view.record.state) {
        (Order::Start, State::Ready { .. }) => Some(format!("runs already{}", pid(view))),
        (Order::Stop, State::Down) => Some("is down already".to_owned()),
        _ => None,
    }
}

/// `None`: it is still on its way.
fn judge(order: Order, before: &ServiceView, now: &ServiceView) -> Option<Result<String, String>> {
    let ended_anew = now.record.last_exit != before.record.last_exit;
    let is_new = now.run != before.run || order == Order::Start;
    match (order, now.record.state) {
        (Order::Stop, State::Down | State::Failed) => {
            let how = if ended_anew { last(now) } else { String::new() };
            Some(Ok(format!("is down{how}")))
        }
        (Order::Stop, _) => None,
        (_, State::Ready { .. }) if is_new => Some(Ok(format!("is ready{}", pid(now)))),
        (_, State::Failed | State::Backoff { .. }) if ended_anew && is_new => {
            Some(Err(format!("it did not come up{}", last(now))))
        }
        _ => None,
    }
}

fn pid(view: &ServiceView) -> String {
    view.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default()
}

fn last(view: &ServiceView) -> String {
    view.record.last_exit.map(|last| format!(": it {}", exit_text(last.exit))).unwrap_or_default()
}
