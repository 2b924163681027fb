//! The far end of an RTP leg: sends what it is told to, remembers what comes.

use std::net::SocketAddr;
use std::time::Duration;

use drivers::net::sim::{SimEndpoint, SimNet};
use drivers::time::Instant;

/// One RTP packet that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Where it came from.
    pub from: SocketAddr,
    /// When it came.
    pub arrived: Instant,
    /// Its payload type.
    pub payload_type: u8,
    /// Its marker bit.
    pub marker: bool,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its source.
    pub ssrc: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// An RTP peer on the simulated network, with its RTCP port beside it.
#[derive(Debug)]
pub struct RtpPeer {
    rtp: SimEndpoint,
    rtcp: SimEndpoint,
    /// Everything that has come, in order of arrival.
    pub heard: Vec<Packet>,
    /// RTCP datagrams that have come.
    pub reports: Vec<Vec<u8>>,
    playing: Option<Playing>,
    /// The source it sends as.
    pub ssrc: u32,
    /// The next sequence number.
    pub sequence: u16,
    /// The next timestamp.
    pub timestamp: u32,
}

#[derive(Debug)]
struct Playing {
    to: SocketAddr,
    octets: Vec<u8>,
    at: usize,
    payload_type: u8,
    ptime: Duration,
    next: Instant,
}

impl RtpPeer {
    /// A peer at `address` and the port after it.
    pub fn new(net: &SimNet, address: SocketAddr) -> Self {
        let rtcp = SocketAddr::new(address.ip(), address.port() + 1);
        Self {
            rtp: net.endpoint(address),
            rtcp: net.endpoint(rtcp),
            heard: Vec::new(),
            reports: Vec::new(),
            playing: None,
            ssrc: 0x1234_5678,
            sequence: 65_500,
            timestamp: u32::MAX - 1_000,
        }
    }

    /// A description that asks for RTP here, offering these payload types.
    pub fn description(&self, payload_types: &str) -> String {
        let address = self.rtp.address();
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let ip = address.ip();
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP {payload_types}\r\n",
            address.port()
        )
    }

    /// Sends `octets` over and over from `now` on, a packet each `ptime`.
    pub fn play(&mut self, now: Instant, to: SocketAddr, payload_type: u8, ptime: Duration, octets: &[u8]) {
        self.playing = Some(Playing { to, octets: octets.to_vec(), at: 0, payload_type, ptime, next: now });
    }

    /// Says nothing for `time`, as one that suppresses silence does: its clock goes on, its sequence not.
    ///
    /// What it would have said meanwhile it says afterwards.
    pub fn pause(&mut self, time: Duration) {
        if let Some(playing) = &mut self.playing {
            playing.next += time;
            self.timestamp = self.timestamp.wrapping_add((time.as_micros() * 8 / 1_000) as u32);
        }
    }

    /// How many octets it has said since it began to play.
    pub fn said(&self) -> usize {
        self.playing.as_ref().map_or(0, |playing| playing.at)
    }

    /// Sends no more of its own.
    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Sends a datagram from the RTP port as it is.
    pub fn send(&self, to: SocketAddr, octets: &[u8]) {
        self.rtp.send(to, octets);
    }

    /// When it wants to send next.
    pub fn due_at(&self) -> Option<Instant> {
        self.playing.as_ref().map(|playing| playing.next)
    }

    /// Sends what is due and takes what has come.
    pub fn step(&mut self, now: Instant) {
        while let Some(packet) = self.next_packet(now) {
            let (to, octets) = packet;
            self.rtp.send(to, &octets);
        }
        while let Some((from, arrived, octets)) = self.rtp.receive() {
            self.heard.extend(read(from, arrived, &octets));
        }
        while let Some((_, _, octets)) = self.rtcp.receive() {
            self.reports.push(octets);
        }
    }

    fn next_packet(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let playing = self.playing.as_mut().filter(|playing| playing.next <= now)?;
        let len = playing.ptime.as_micros() as usize * 8 / 1_000;
        let payload: Vec<u8> =
            (0..len).map(|i| playing.octets[(playing.at + i) % playing.octets.len()]).collect();
        let octets = packet(playing.payload_type, self.sequence, self.timestamp, self.ssrc, &payload);
        playing.at += len;
        playing.next += playing.ptime;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(len as u32);
        Some((playing.to, octets))
    }
}

/// An RTP packet, written out by RFC 3550 §5.1.
pub fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x80, payload_type];
    octets.extend(sequence.to_be_bytes());
    octets.extend(timestamp.to_be_bytes());
    octets.extend(ssrc.to_be_bytes());
    octets.extend(payload);
    octets
}

/// Reads an RTP packet without extensions, as the gateway sends them.
fn read(from: SocketAddr, arrived: Instant, octets: &[u8]) -> Option<Packet> {
    let (header, payload) = octets.split_at_checked(12)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    (header[0] == 0x80).then(|| Packet {
        from,
        arrived,
        payload_type: header[1] & 0x7F,
        marker: header[1] & 0x80 != 0,
        sequence: u16::from_be_bytes([header[2], header[3]]),
        timestamp: word(4),
        ssrc: word(8),
        payload: payload.to_vec(),
    })
}
