//! The media cores: octets from spans to RTP and back, never allocating.
//!
//! One core is one [`Engine`](engine::Engine), which is pure, and one [`Worker`](worker::Worker),
//! the loop around it. A *tick* is one turn of that loop. Control speaks to a core over a ring pair
//! ([`link`]); nothing else is shared but the counters ([`stats`]), which only the core writes.
//!
//! # The path of one octet
//!
//! ```text
//!                       ┌───────────────────── Engine ──────────────────────┐
//!            exchange   │ capture      to_connection           transmit     │  send
//!  Span ──▶ rx block ───┼─▶ Channel ─────────▶ Packetizer ──────────────────┼──▶ RtpSockets
//!   ▲        │          │   │  mix             one a connection             │       │
//!   │        │ loopback │   ▼                                               │       │
//!   └──── tx block ◀────┼── Channel ◀───────── JitterBuffer ◀── Source ◀────┼───────┘
//!            exchange   │ playout      to_circuit              receive      │  receive
//!                       └───────────────────────────────────────────────────┘
//! ```
//!
//! **From the line to RTP.** The card has put the octet into timeslot 17. [`Span::exchange`] hands
//! it over in `rx`, a block of a few milliseconds. [`Engine::capture`] walks the timeslots of that
//! span which have anything to send, and gives each one's octets to its connections as the
//! [`Mix`](mode) says: unchanged where only one source goes out, added up in linear where several
//! do. The [`Packetizer`] of a connection translates the law if the peer's is another, by table, and
//! collects `ptime` octets. [`Engine::transmit`] copies the packet once, into a place that
//! [`RtpSockets::send`] gives; the flush at the end of the tick hands all of them to the kernel at
//! once. When a connection's packets are complete is spread over the ticks by timeslot.
//!
//! **From RTP to the line.** [`Engine::receive`] finds the connection by the number of the port pair,
//! asks whether the datagram is from the one peer that the remote description names, has it checked
//! ([`Packet`](rtp::packet::Packet)) and judged ([`Source`](rtp::source::Source)), and copies its
//! octets, by now in the line's law, into the [`JitterBuffer`], where the RTP timestamp says. The
//! next time the line is due, [`Engine::playout`] takes exactly one block's octets for each timeslot
//! that hears something; the others go on sending silence, which costs them nothing.
//!
//! # Whose clock
//!
//! The line's: timestamps of what is sent, and playout, advance by octets exchanged. `now` times RTCP, and
//! what is looked after once a second (`supervision`). Jitter is measured by the time a datagram came to the host.
//!
//! # What it costs
//!
//! A DS0 at 20 ms is 50 packets of 160 octets a second each way; 480 of them are 24,000 packets and
//! 3.8 MB a second each way, 120 packets a tick of 5 ms. At thousands of calls nothing of one stays in a
//! CPU's cache until its next block, so the cache lines that a block touches are what it costs: the
//! channel's, two of the connection for what is played and one for what is fed, and those of 40 octets
//! each way. Packets touch a few more; what orders, losses, signals and RTCP need lies elsewhere. All of a
//! connection is 4 KiB, most of it jitter buffer; detectors and tones are another 2 where they are wanted
//! ([`Gear`](gear::Gear)).
//!
//! [`Span::exchange`]: drivers::span::Span::exchange
//! [`RtpSockets::send`]: drivers::net::RtpSockets::send
//! [`Engine::capture`]: engine::Engine::capture
//! [`Engine::transmit`]: engine::Engine::transmit
//! [`Engine::receive`]: engine::Engine::receive
//! [`Engine::playout`]: engine::Engine::playout
//! [`Packetizer`]: packetizer::Packetizer
//! [`JitterBuffer`]: jitter_buffer::JitterBuffer
#![forbid(unsafe_code)]

mod channel;
pub mod codec;
mod connection;
pub mod dsp;
mod elastic_store;
pub mod engine;
pub mod gear;
pub mod jitter_buffer;
pub mod limits;
pub mod link;
pub mod mode;
mod observation;
mod outbox;
pub mod packetizer;
mod relay;
mod reporting;
mod reports;
mod rota;
pub mod rtp;
mod station;
pub mod stats;
mod supervision;
mod tone_plan;
mod tone_spec;
pub mod worker;
