//! RTP and RTCP packets, and the jitter buffer under whatever order of packets and blocks.
//!
//! An input is read three times: as an RTP packet, as an RTCP packet, and as what happens to a leg.
#![no_main]

use dataplane::jitter_buffer::{Fill, JitterBuffer};
use dataplane::link::JitterBounds;
use dataplane::rtp::packet::{Header, Packet};
use dataplane::rtp::rtcp::Heard;
use dataplane::rtp::source::Source;
use drivers::line::Law;
use drivers::span::Block;
use drivers::time::Instant;
use fuzz::Decisions;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|octets: &[u8]| {
    packet(octets);
    compound(octets);
    sources(octets);
    legs(octets);
});

/// A packet that passes is as long as it says, and writes its header again.
fn packet(octets: &[u8]) {
    let Ok(packet) = Packet::new_checked(octets) else { return };
    assert!(packet.payload().len() + Header::LEN <= octets.len());
    let header = Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let mut written = vec![0; Header::LEN];
    header.emit(&mut written);
    written.extend(packet.payload());
    let again = Packet::new_checked(&written).expect("a header of ours is good");
    assert_eq!(again.payload(), packet.payload());
    assert_eq!(
        (again.marker(), again.payload_type(), again.sequence(), again.timestamp(), again.ssrc()),
        (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc)
    );
}

/// A compound packet that passes says nothing of others than us, and no round trip that is absurd.
fn compound(octets: &[u8]) {
    for ours in [0, 0x1234_5678, u32::MAX] {
        let Ok(heard) = Heard::parse(octets, ours) else { continue };
        if let Some(block) = heard.about_us {
            assert_eq!(block.ssrc, ours);
            let round_trip = block.round_trip(u64::from(heard.ssrc) << 16);
            assert!(round_trip.is_none_or(|time| time <= Duration::from_secs(1 << 15)));
        }
    }
}

/// The judge of one sender's packets, which come in any order, from any SSRC.
fn sources(octets: &[u8]) {
    let mut decide = Decisions::new(octets);
    let mut source = Source::new();
    let mut now = Instant::from_nanos(1);
    while !decide.is_empty() {
        match decide.below(8) {
            0 => source.forget(),
            1 => source.sender_report(now, decide.octet().into(), decide.long().into()),
            2 => {
                if let Some(report) = source.report(now) {
                    assert_eq!(Some(report.ssrc), source.ssrc());
                }
            }
            3 => now += Duration::from_millis(decide.word().into()),
            _ => {
                let header = Header {
                    marker: decide.once_in(4),
                    payload_type: 0,
                    sequence: decide.word(),
                    timestamp: decide.long(),
                    ssrc: decide.below(3) as u32,
                };
                let mut written = [0; Header::LEN];
                header.emit(&mut written);
                let packet = Packet::new_checked(&written).expect("a header of ours is good");
                let _ = source.receive(now, &packet);
            }
        }
        let _ = (source.lost(), source.jitter_at(dataplane::rtp::CLOCK_RATE));
    }
}

/// What an idle line sends: no octet that is inserted below.
const IDLE: u8 = 0xFF;

/// The leg that is played, and all that was put into its buffer.
struct Leg {
    buffer: JitterBuffer,
    /// Which octets may be heard; `None` where a guess may be heard as well.
    inserted: Option<[bool; 256]>,
    /// Octets of this leg have this bit, those of the one before have not.
    tag: u8,
}

fn legs(octets: &[u8]) {
    let mut decide = Decisions::new(octets);
    let capacity = decide.pick(&[JitterBuffer::CAPACITY_MIN, 2 * JitterBuffer::CAPACITY_MIN, 4_096, 8_192]);
    let mut leg = Leg { buffer: JitterBuffer::new(capacity), inserted: None, tag: 0 };
    leg.start(&mut decide);
    let block = 8 * (1 + decide.below(Block::FRAMES_MAX / 8));
    let (mut timestamp, ptime) = (decide.long(), decide.pick(&[40_usize, 80, 160, 240, 320, 480]));
    let mut steps = 0;
    while !decide.is_empty() && steps < 4_096 {
        steps += 1;
        match decide.below(16) {
            0 => leg.start(&mut decide),
            1 => leg.buffer.resync(),
            2 => timestamp = decide.long(),
            3 => timestamp = timestamp.wrapping_add_signed(i32::from(decide.word() as i16)),
            4 => leg.insert(&mut decide, timestamp.wrapping_sub(ptime as u32), ptime),
            5 => {
                let len = usize::from(decide.word()) % 1_600;
                leg.insert(&mut decide, timestamp, len);
            }
            6 => {
                let len = 1 + decide.below(Block::FRAMES_MAX);
                leg.play(len);
            }
            7 => (0..decide.octet()).for_each(|_| leg.play(block)),
            8..=11 => leg.play(block),
            _ => {
                leg.insert(&mut decide, timestamp, ptime);
                timestamp = timestamp.wrapping_add(ptime as u32);
            }
        }
    }
}

impl Leg {
    fn start(&mut self, decide: &mut Decisions<'_>) {
        let bounds = JitterBounds {
            nominal_ms: decide.octet().into(),
            max_ms: decide.word() % 1_000,
            adaptive: decide.once_in(2),
        };
        let fill =
            decide.pick(&[Fill::Idle(IDLE), Fill::Idle(IDLE), Fill::Conceal(Law::A), Fill::Conceal(Law::Mu)]);
        self.buffer.start(bounds, fill);
        self.inserted = matches!(fill, Fill::Idle(_)).then_some([false; 256]);
        self.tag ^= 0x40;
    }

    fn insert(&mut self, decide: &mut Decisions<'_>, timestamp: u32, len: usize) {
        let octet = self.tag | decide.octet() & 0x3F;
        // The law of the packets may be another than the line's: here, all bits but the highest turned.
        let turned: [u8; 256] = std::array::from_fn(|index| index as u8 ^ 0x7F);
        let (payload, translate) = match decide.once_in(4) {
            true => (vec![octet ^ 0x7F; len], Some(&turned)),
            false => (vec![octet; len], None),
        };
        let inserted = self.buffer.insert(timestamp, &payload, translate);
        assert!(inserted.late <= len && inserted.duplicate <= len, "{inserted:?} of {len}");
        if let Some(all) = &mut self.inserted {
            all[usize::from(octet)] = true;
        }
    }

    fn play(&mut self, len: usize) {
        // A place that is left alone would show as an octet that nobody inserted.
        let mut out = vec![0x80; len];
        let played = self.buffer.play(&mut out);
        assert!(played.missing <= len, "{played:?} of {len}");
        assert!(self.buffer.delay() <= Duration::from_millis(1_024), "{:?}", self.buffer.delay());
        if let Some(inserted) = &self.inserted {
            let foreign = out.iter().find(|octet| **octet != IDLE && !inserted[usize::from(**octet)]);
            assert_eq!(foreign, None, "only what was inserted is played, or silence");
        }
    }
}
