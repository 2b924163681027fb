//! The world that scenarios play in: both planes in one thread, under one clock and one seed.
//!
//! [`World`] holds a gateway, its workers, simulated spans and a simulated network, a call agent that
//! speaks plain MGCP text, and RTP peers. Nothing in it waits: it moves the clock to whatever
//! happens next.
#![forbid(unsafe_code)]

pub mod audio;
mod pretend_core;
pub mod reply;
pub mod rtp_peer;
pub mod world;

pub use reply::Reply;
pub use rtp_peer::{Packet, RtpPeer};
pub use world::{World, WorldBuilder};
