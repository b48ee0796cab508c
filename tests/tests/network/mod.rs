//! The agent's part on a machine: the real agent, in a network namespace, with a stand-in for init;
//! real DHCP and time servers in another. How init applies what it is told is seen in the booted
//! appliance.

mod config;
mod conflict;
mod dhcp;
mod init;
mod rig;
mod time;
