//! RTP and RTCP (RFC 3550) as a gateway of two-party calls needs them.
//!
//! [`packet`] reads and writes RTP headers, [`source`] judges and counts what a peer sends, [`rtcp`] reports
//! about it and says when the next report is due, [`telephone_event`] makes tones of digits that come as
//! events, and the dialler tells the peer of digits as events. None of them knows sockets, clocks or
//! connections: arrival times come with the packets.

pub(crate) mod dialler;
pub mod packet;
pub mod rtcp;
pub mod source;
pub mod telephone_event;

/// Timestamp units a second of every codec here: an octet is one unit (RFC 3551 §4.5.14, RFC 4040 §3).
pub const CLOCK_RATE: u32 = drivers::line::FRAMES_PER_SECOND;

/// The octets are no RTP or RTCP packet that we take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;
