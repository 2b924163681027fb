//! Everything of Tollgate that touches a card, a socket, a clock or a CPU mask.
//!
//! A *driver* hides one piece of the outside behind a small trait or type, so that what is above
//! it is pure and runs under simulated time:
//!
//! * [`time`] is the host's clock, as a number that is handed around;
//! * [`mod@line`] is the vocabulary of an E1 or T1 line;
//! * [`span`] is a line that octets move over: simulated here, a card elsewhere;
//! * [`net`] is the RTP and RTCP sockets of one core: io_uring, AF_XDP, plain calls, or a simulated network;
//! * [`cpu`] pins threads, puts them ahead of others and locks memory;
//! * [`memory`] puts large tables into huge pages, and fetches ahead what will be touched;
//! * [`wav`] reads and writes WAV files of G.711, for the simulated lines.
//!
//! Nothing here knows RTP, MGCP or what an octet means. This is the only crate with `unsafe`.

pub mod cpu;
pub mod line;
pub mod memory;
pub mod net;
pub mod span;
pub mod time;
pub mod wav;
