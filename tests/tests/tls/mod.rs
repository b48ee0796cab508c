//! TLS as clients meet it: whose certificates are taken, what a broken bundle does, new certificates
//! under load, and peers that mean no good.

mod bundles;
mod certificates;
mod clients;
mod lists;
mod peers;
mod reload;
mod rig;
