//! The control plane: MGCP (RFC 3435) over a pure [`gateway::Gateway`].
//!
//! # The life of one CRCX
//!
//! ```text
//!  datagram ─▶ run ─▶ Gateway::handle ─▶ mgcp::parse ─▶ mgcp::transaction ─▶ command::plan
//!                                                                                 │
//!    ring ◀─ poll_order ◀─ orders ◀─ command::commit ◀──────── Plan, or a return code
//!     │                                    │
//!    core ─▶ Report::Done ─▶ handle ─▶ Execution ─▶ mgcp::emit ─▶ poll_transmit ─▶ datagram
//! ```
//!
//! 1. [`run`] reads a datagram and hands it to [`gateway::Gateway::handle`] with the time. Whose
//!    address is on no allow list is dropped unread; what counts is written to the [`journal`].
//! 2. [`mgcp::parse`] makes messages of its octets. [`mgcp::transaction`] says whether the command is
//!    new; one that came before gets the answer it got then.
//! 3. [`command`] aborts what the command steps in front of, and *plans* it:
//!    [`command::crcx`] finds the endpoint by name in the [`endpoint::table`], checks parameters and
//!    options, lets [`sdp::negotiate()`] find codecs, and sees in the [`ledger`] that there is a port
//!    pair and in [`orders`] that the core's ring has room. It changes nothing; at the first thing that
//!    is wrong it returns the code for it, and that is the answer.
//! 4. The plan is *committed*, which cannot fail: the ledger gives the pair, the endpoint gets its
//!    connection, `Connect` is queued. What this was is noted, so that a DLCX can undo it.
//! 5. [`run`] moves orders into the core's ring. The core carries them out in its next tick and says
//!    `Done`. When the last order of the command is done, its response is written by [`mgcp::emit`],
//!    kept for T-HIST, and left for [`run`] to send.
//!
//! So a call agent that has its 200 knows that the core already listens.
//!
//! # What is whose
//!
//! Endpoints, connections, [`ledger`] and [`orders`] know no MGCP on the wire; [`mgcp`], [`sdp`] and
//! [`command`] are its face, and another protocol could have its own beside it. Control owns every
//! resource: cores only obey. Nothing here reads a clock, a socket or chance but [`run`].
#![forbid(unsafe_code)]

pub mod call_agent;
pub mod change;
pub mod command;
pub mod config;
pub mod config_file;
pub mod endpoint;
pub mod gateway;
pub mod input;
pub mod journal;
pub mod ledger;
pub mod metrics;
pub mod mgcp;
pub mod notified_entity;
pub mod orders;
pub mod package;
pub mod replay;
pub mod run;
pub mod sdp;
pub mod timer;
pub mod tones;
pub mod topology;
