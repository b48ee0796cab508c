//! Tasks beside those of connections.

use std::future::Future;
use std::pin::Pin;

use tokio::task::JoinHandle;

/// Spawns what is no connection. To tokio all of it is one kind of task: every kind takes 3 KB of
/// program, for there are two schedulers that could run it.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
    tokio::spawn(future)
}
