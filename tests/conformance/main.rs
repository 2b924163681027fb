//! RFC 3435 and what belongs to it, rule by rule, as a call agent and an RTP peer see it: literal
//! messages in, literal messages out, in simulated time.
//!
//! One file a chapter. Which test shows which rule stands in the tables beside these files, one an
//! RFC; they also name tests that are elsewhere, beside the code or among the scenarios.

mod agent;
mod interop;
mod rfc3435_audit;
mod rfc3435_configuration;
mod rfc3435_connections;
mod rfc3435_deletion;
mod rfc3435_echo;
mod rfc3435_example_events;
mod rfc3435_examples;
mod rfc3435_grammar;
mod rfc3435_local;
mod rfc3435_names;
mod rfc3435_notifications;
mod rfc3435_options;
mod rfc3435_order;
mod rfc3435_restart;
mod rfc3435_sdp;
mod rfc3435_transport;
mod rfc3624;
mod rfc3661_codes;
mod script;
