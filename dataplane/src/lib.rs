//! The media cores: octets from spans to RTP and back, never allocating.
//!
//! (The path of one octet, both ways, is told here.)
#![forbid(unsafe_code)]

pub mod channel;
pub mod codec;
pub mod connection;
pub mod dsp;
pub mod engine;
pub mod jitter_buffer;
pub mod limits;
pub mod link;
pub mod mode;
pub mod packetizer;
pub mod rtp;
pub mod stats;
pub mod worker;
