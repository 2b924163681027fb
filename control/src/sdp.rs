//! Session descriptions (SDP, RFC 4566) as MGCP carries them (RFC 3435 §3.4).
//!
//! [`parse`] reads what a call agent sends, [`emit`] writes what the gateway says of itself, and
//! [`negotiate`](mod@negotiate) finds codecs and packetization that all sides can live with (RFC 3435 §2.6).
//! For a [`relay`](mod@relay), which converts nothing, there is less to agree on.
//!
//! Why not a crate: `sdp-types`, the best there is, invents lines that are missing, refuses ISO
//! 8859-1 text and `m=audio $`, and copies each word. A gateway must take what switches really
//! send, say which line is wrong, and leave the rest alone. `sdp-types` is the oracle of our tests.

mod codecs;
pub mod emit;
pub mod events;
pub mod local;
pub mod negotiate;
pub mod packetization;
pub mod parse;
mod peer;
pub mod refusal;
pub mod relay;

pub use emit::LocalDescription;
pub use events::Events;
pub use local::{Half, HalfDescription};
pub use negotiate::{Negotiated, Terms, negotiate};
pub use parse::{Description, Fault, ParseError};
pub use refusal::Refusal;
pub use relay::{Codecs, RelayDescription, RelayTerms, Relayed, relay, relay_packet_time};
