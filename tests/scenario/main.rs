//! Stories in simulated time: a gateway, its spans, a network and a call agent, one seed each.

mod audio_path;
mod bad_input;
mod call_agent_lost;
mod call_both_ways;
mod circuit_tests;
mod clock_drift;
mod commands;
mod digits;
mod failover;
mod hostile_stream;
mod impaired_network;
mod local_connection;
mod media_events;
mod mode_changes;
mod modes;
mod notifications;
mod requests;
mod rtcp;
mod signals;
mod span_alarm;
mod transparency;
