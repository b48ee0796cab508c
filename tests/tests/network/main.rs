//! The agent's part in a machine's network: the real agent, in a network namespace, with a stand-in
//! for init; real DHCP and time servers in another. How init applies what it is told is seen in the
//! booted appliance.

mod dhcp;
mod init;
mod rig;
mod time;
