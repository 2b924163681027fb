//! The control plane: MGCP (RFC 3435) over a pure [`gateway::Gateway`].
//!
//! (The life of one CRCX is told here.)
#![forbid(unsafe_code)]

pub mod call_agent;
pub mod command;
pub mod config;
pub mod endpoint;
pub mod gateway;
pub mod journal;
pub mod ledger;
pub mod metrics;
pub mod mgcp;
pub mod notified_entity;
pub mod orders;
pub mod run;
pub mod sdp;
pub mod timer;
pub mod topology;
