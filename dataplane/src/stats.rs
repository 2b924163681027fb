//! Counters of one core, and the statistics of one connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::utils::CachePadded;

/// Declares an enum `Counter` with each counter's name and meaning written once; control has one, too.
#[macro_export]
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// What is counted here. Each only grows.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Counter { $($(#[doc = $doc])+ $variant),+ }

        impl Counter {
            /// All counters.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it counts, in words.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

counters! {
    /// RTP packets sent.
    RtpSent = "rtp_sent_packets",
    /// RTP payload octets sent.
    RtpSentOctets = "rtp_sent_octets",
    /// RTP packets accepted.
    RtpReceived = "rtp_received_packets",
    /// RTP payload octets accepted.
    RtpReceivedOctets = "rtp_received_octets",
    /// Datagrams dropped: they came to a port that carries no connection.
    DroppedIdle = "dropped_idle_port",
    /// Datagrams dropped: they came from elsewhere than the remote description says.
    DroppedSource = "dropped_wrong_source",
    /// Datagrams dropped: they are not RTP or RTCP (RFC 3550 A.1, A.2).
    DroppedMalformed = "dropped_malformed",
    /// RTP packets dropped: their payload type was not negotiated.
    DroppedPayloadType = "dropped_payload_type",
    /// RTP packets dropped: their sequence number makes no sense yet (RFC 3550 A.1).
    DroppedSequence = "dropped_sequence",
    /// RTP packets dropped: the connection's mode does not receive.
    DroppedMode = "dropped_mode",
    /// RTP packets that came more than once.
    Duplicate = "rtp_duplicate_packets",
    /// RTP or RTCP packets under the SSRC of the connection they came to (RFC 3550 §8.2).
    OwnSsrc = "own_ssrc_packets",
    /// RTP octets that came after their place in the line had passed.
    LateOctets = "rtp_late_octets",
    /// Octets played to the line in place of ones that did not come.
    ConcealedOctets = "concealed_octets",
    /// Times a jitter buffer changed its delay.
    JitterAdjusted = "jitter_buffer_adjusted",
    /// Digits that came as telephone-events and were not played to the line: too many of them waited for it.
    DigitsUnheard = "digits_unheard",
    /// Octets repeated or left out between two lines of one core, because their clocks differ.
    LocalSlips = "local_slips",
    /// RTCP packets sent.
    RtcpSent = "rtcp_sent_packets",
    /// RTCP packets accepted.
    RtcpReceived = "rtcp_received_packets",
    /// RTP or RTCP packets that found no room to be sent.
    SendFull = "send_full",
    /// Datagrams the kernel refused to send.
    SendRefused = "send_refused",
    /// Datagrams longer than any we accept, dropped.
    Truncated = "received_truncated",
    /// Times that the kernel was asked to tell of what comes to a socket.
    Told = "receive_told",
    /// Reads that found nothing.
    Vain = "receive_vain",
    /// Ticks in which more was due to be read than is read in one.
    PutOff = "receive_put_off",
    /// Times that more had completed than io_uring's completion queue holds.
    CompletionsOverflowed = "completions_overflowed",
    /// Datagrams dropped past the kernel because a checksum or a length in them was wrong.
    Damaged = "received_damaged",
    /// Datagrams dropped past the kernel because its queues to the core were full.
    QueueDropped = "received_queue_dropped",
    /// Datagrams that went through the kernel though the driver goes past it.
    Around = "datagrams_around",
    /// Controlled slips of spans.
    Slips = "span_slips",
    /// Blocks exchanged with spans.
    Blocks = "span_blocks",
    /// Blocks exchanged more than one block late.
    Overruns = "span_overruns",
    /// Ticks of the worker.
    Ticks = "ticks",
    /// Reports that found their ring full.
    ReportsLost = "reports_lost",
    /// CPU time the worker's thread has used, in nanoseconds.
    CpuNanos = "cpu_nanoseconds",
}

/// One core's counters: written by its worker alone, read by anyone.
#[derive(Debug)]
pub struct Stats {
    counters: CachePadded<[AtomicU64; Counter::ALL.len()]>,
}

impl Default for Stats {
    fn default() -> Self {
        Self { counters: CachePadded::new([const { AtomicU64::new(0) }; Counter::ALL.len()]) }
    }
}

impl Stats {
    /// Adds `n`. To be called by the one writer only: it is a load and a store, not a locked add.
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.counters[counter as usize];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets a counter whose sum is kept elsewhere.
    pub fn set(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    /// A counter's value.
    pub fn value(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }
}

/// What one connection has seen: the connection parameters of RFC 3435 §3.2.2.7, and what an operator
/// wants to know besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectionStats {
    /// RTP packets sent (PS).
    pub packets_sent: u32,
    /// RTP payload octets sent (OS).
    pub octets_sent: u32,
    /// RTP packets received (PR).
    pub packets_received: u32,
    /// RTP payload octets received (OR).
    pub octets_received: u32,
    /// RTP packets lost, as RFC 3550 A.3 counts them, never below zero (PL).
    pub packets_lost: u32,
    /// Interarrival jitter (RFC 3550 §6.4.1), in ms (JI).
    pub jitter: Duration,
    /// Half the round-trip time of the last RTCP exchange (RFC 3550 §6.4.1); zero if none (LA).
    pub latency: Duration,
    /// How long the packet that came last has waited or waits for the line.
    pub playout_delay: Duration,
}
