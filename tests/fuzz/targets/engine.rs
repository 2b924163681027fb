//! One core's media: orders that keep to control's account, datagrams and blocks of whatever content.
//!
//! * Each order is reported once, in order.
//! * What is sent is RTP or RTCP as it should be, from a live pair (or, for a BYE, one that was), to
//!   the peer that was named.
//! * What a relay sends was sent to it, but for the payload type, and goes to the peer that was named.
//! * A timeslot without a connection and without a tone plays silence.
//! * A tone ends once, if it ends by itself.
#![no_main]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use dataplane::engine::{Engine, SpanShape};
use dataplane::gear::Gear;
use dataplane::jitter_buffer::JitterBuffer;
use dataplane::limits::{CONNECTIONS_PER_ENDPOINT, Limits, ORDERS_PER_TICK, PLAYS_PER_SIDE};
use dataplane::link::{
    Action, Blend, CheckTone, CircuitTest, ClockRates, Codec, DetectorSet, Digit, DigitSet, EchoSettings,
    EventFormat, Format, Formats, Frequency, Identity, JitterBounds, Leg, Mode, Observation, Order, OrderId,
    Outcome, PayloadType, PayloadTypes, Peer, PlayId, Quality, RelayId, RelayLeg, Remote, Report, Side,
    Silence, Step, Supervision, TonePlan, ToneSpec,
};
use dataplane::rtp::packet::{Header, Packet};
use dataplane::rtp::rtcp::Heard;
use dataplane::rtp::telephone_event::TelephoneEvent;
use dataplane::stats::Stats;
use drivers::line::{Alarms, Carrier, Ds0, Law, Line, SpanId, Timeslot};
use drivers::net::{DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, RtpSockets};
use drivers::span::{Block, Slip, SpanEvent};
use drivers::time::{Epoch, Instant};
use fuzz::Decisions;
use libfuzzer_sys::fuzz_target;

const PAIRS: usize = 8;

/// Ticks and orders of one input, so that none takes long.
const OPERATIONS_MAX: usize = 1_024;

const PERIODS_MS: &[u8] = &[5, 10, 20, 30, 40, 60];

const FORMATS: &[Format] = &[
    Format { payload_type: 8, codec: Codec::G711(Law::A) },
    Format { payload_type: 0, codec: Codec::G711(Law::Mu) },
    Format { payload_type: 97, codec: Codec::Clearmode },
    Format { payload_type: 127, codec: Codec::G711(Law::A) },
];

const DETECTORS: &[DetectorSet] = &[
    DetectorSet::NONE,
    DetectorSet::DTMF,
    DetectorSet::FAX,
    DetectorSet::CHECK.with(DetectorSet::ANSWER),
    DetectorSet::MILLIWATT.with(DetectorSet::TEST_PROGRESS).with(DetectorSet::DTMF),
    DetectorSet::call_tone(&PLAN, 0).with(DetectorSet::OCTET).with(DetectorSet::withholding(DigitSet::ALL)),
    DetectorSet::call_tone(&PLAN, 1),
];

const SUPERVISIONS: &[Supervision] = &[
    Supervision::NONE,
    Supervision { start: true, changes: true, ..Supervision::NONE },
    Supervision { silence: Some(Silence { after_s: 1, awaits_rtcp: false }), ..Supervision::NONE },
    Supervision { silence: Some(Silence { after_s: 2, awaits_rtcp: true }), ..Supervision::NONE },
    Supervision {
        loss: Some(1),
        quality: Some(Quality { loss: 1, delay_ms: 1, jitter_ms: 1 }),
        ..Supervision::NONE
    },
];

static PLAN: TonePlan = TonePlan::new(&[
    ToneSpec::new(&[Frequency::hz(425, -13)], &[Step::first(1, 20), Step::pause(20)], Some(0), Blend::Alone),
    ToneSpec::steady(&[Frequency::hz(697, -13), Frequency::hz(1_209, -13)], Blend::Alone),
]);

const TONES: &[ToneSpec] = &[
    ToneSpec::QUIET,
    ToneSpec::dtmf(Digit::at(0, 0), -10, 50, 45),
    ToneSpec::new(&[Frequency::hz(425, 3)], &[Step::first(1, 1), Step::pause(7)], Some(0), Blend::Added),
    ToneSpec::new(&[Frequency::hz(440, 0)], &[Step::first(1, 3)], None, Blend::Added),
    ToneSpec::steady(&[Frequency::hz(2_010, -12), Frequency::hz(3_999, -60)], Blend::Alone),
    ToneSpec::octet(95),
    ToneSpec::new(&[Frequency::hz(350, -9)], &[Step::first(1, 2), Step::first(1, 40)], None, Blend::Alone)
        .repeating(1, 3)
        .fading(1),
];

fuzz_target!(|octets: &[u8]| {
    let mut decide = Decisions::new(octets);
    let mut core = Core::new(&mut decide);
    for _ in 0..OPERATIONS_MAX {
        if decide.is_empty() {
            break;
        }
        core.step(&mut decide);
    }
    core.end();
});

/// A live pair is a DS0's or a relay's.
#[derive(Clone, Copy)]
enum Behaviour {
    Leg(Leg),
    Relay(RelayLeg),
}

impl Behaviour {
    fn remote(&self) -> Option<Remote> {
        match self {
            Self::Leg(leg) => leg.peer.remote(),
            Self::Relay(leg) => leg.peer.remote(),
        }
    }
}

/// The sockets: what is sent is looked at once, and there is room for so much a tick.
struct Wire {
    room: usize,
    /// By pair: whether it is live, and how its leg behaves.
    legs: [Option<Behaviour>; PAIRS],
    /// What came for relays in this tick, RTP without its payload type.
    came: Vec<Vec<u8>>,
}

impl RtpSockets for Wire {
    fn receive(&mut self, _f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {}

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        assert!(len <= DATAGRAM_MAX);
        self.room = self.room.checked_sub(1).ok_or(Full)?;
        let mut octets = vec![0; len];
        f(&mut octets);
        let leg = self.legs[from.pair()];
        if from.is_rtp() {
            let packet = Packet::new_checked(&octets).expect("RTP of ours is good");
            let leg = leg.expect("only live pairs send RTP");
            assert_eq!(Some(to), leg.remote().map(|remote| remote.rtp));
            match leg {
                Behaviour::Leg(leg) => {
                    let (payload_type, octets) = (packet.payload_type(), packet.payload().len());
                    let is_event = leg.send_events.is_some_and(|events| events.payload_type == payload_type);
                    if !is_event || octets != TelephoneEvent::LEN {
                        assert_eq!(payload_type, leg.send.payload_type);
                        assert_eq!(octets, usize::from(leg.ptime_ms.get()) * 8);
                    }
                }
                Behaviour::Relay(_) => {
                    octets[1] &= 0x80;
                    assert!(self.came.contains(&octets), "it came like this in this tick");
                }
            }
        } else if let Some(Behaviour::Relay(leg)) = leg {
            // Or it is the last word of a DS0's leg that was here before.
            let is_bye = Heard::parse(&octets, 0).is_ok_and(|heard| heard.bye);
            let is_passed_on =
                Some(to) == leg.peer.remote().map(|remote| remote.rtcp) && self.came.contains(&octets);
            assert!(is_bye || is_passed_on);
        } else {
            let heard = Heard::parse(&octets, 0).expect("RTCP of ours is good");
            assert!(heard.bye || leg.is_some(), "only live pairs report");
        }
        Ok(())
    }

    fn mark(&mut self, slot: PortSlot, _dscp: Dscp) {
        assert!(slot.pair() < PAIRS);
    }

    fn flush(&mut self, _until: Instant) -> io::Result<()> {
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        NetCounters::default()
    }
}

/// A line's end.
struct End {
    law: [Law; 32],
    carrier: Carrier,
    rx: Block,
    tx: Block,
}

/// What a connection is of.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Ds0(Ds0),
    Relay(RelayId),
}

/// An engine, its lines, and control's account of it.
struct Core {
    engine: Engine,
    wire: Wire,
    lines: [End; 2],
    now: Instant,
    live: [Option<Place>; PAIRS],
    /// Tones that have not been stopped, nor told to have ended.
    plays: Vec<(Side, PlayId)>,
    /// Lines that are looped or answer as transponders, whatever their connections.
    tested: Vec<Ds0>,
    next_play: u32,
    /// Orders that have not been reported.
    ordered: VecDeque<(OrderId, bool)>,
    orders: u64,
    /// What each peer of a pair sends next.
    streams: [(u16, u32); PAIRS],
}

impl Core {
    fn new(decide: &mut Decisions<'_>) -> Self {
        let limits = Limits {
            pairs: PAIRS,
            relays: PAIRS,
            jitter_buffer_octets: decide.pick(&[JitterBuffer::CAPACITY_MIN, 4_096]),
            orders: ORDERS_PER_TICK,
            observations: 16,
        };
        let mut line = |carrier: Carrier| {
            let (law, frames) = (carrier.usual_law(), 8 * (1 + decide.below(Block::FRAMES_MAX / 8)));
            (
                End { law: [law; 32], carrier, rx: Block::new(frames, law), tx: Block::new(frames, law) },
                frames,
            )
        };
        let ((e1, e1_frames), (t1, t1_frames)) = (line(Carrier::E1), line(Carrier::T1));
        let shape = |id, line: &End, frames| SpanShape {
            id: SpanId(id),
            line: Line { carrier: line.carrier, law: line.carrier.usual_law() },
            frames,
            echo: (line.carrier == Carrier::E1).then_some(ECHO),
        };
        // Ids are the gateway's: here the core's spans have the ids 3 and 1.
        let shapes = [shape(3, &e1, e1_frames), shape(1, &t1, t1_frames)];
        let now = Instant::from_nanos(1_000_000_000);
        let epoch = Epoch { at: now, unix_nanos: 1_795_329_134_000_000_000 };
        let stats = Arc::new(Stats::default());
        Self {
            engine: Engine::new(&limits, &shapes, 42, epoch, stats),
            wire: Wire { room: usize::MAX, legs: [None; PAIRS], came: Vec::new() },
            lines: [e1, t1],
            now,
            live: [None; PAIRS],
            plays: Vec::new(),
            tested: Vec::new(),
            next_play: 0,
            ordered: VecDeque::new(),
            orders: 0,
            streams: [(0, 0); PAIRS],
        }
    }

    fn step(&mut self, decide: &mut Decisions<'_>) {
        match decide.below(18) {
            0..=4 => self.order(decide),
            16 | 17 => self.sound(decide),
            5..=7 => self.stream(decide),
            8 => {
                let len = usize::from(decide.word()) % (DATAGRAM_MAX + 1);
                let slot = PortSlot(decide.below(2 * PAIRS + 2) as u32);
                let from = address(decide);
                self.receive(slot, from, decide.octets(len));
            }
            9 => {
                let (slot, from) = (PortSlot(decide.below(PAIRS) as u32 * 2 + 1), address(decide));
                let report = sender_report(decide);
                self.receive(slot, from, &report);
            }
            10 => {
                let event = match decide.below(4) {
                    0 => SpanEvent::Failed,
                    1 => SpanEvent::Slip(Slip::Deleted),
                    _ => SpanEvent::Alarms(Alarms::from_bits(decide.octet() & 0x0F)),
                };
                self.engine.span_event(decide.below(2), event);
            }
            11 => self.now += Duration::from_millis(decide.word().into()),
            12 => (0..decide.octet() / 4).for_each(|_| self.tick(usize::MAX, 0x55)),
            _ => {
                let room = decide.pick(&[usize::MAX, 0, 1, 3]);
                self.tick(room, decide.octet());
            }
        }
    }

    fn receive(&mut self, slot: PortSlot, from: SocketAddr, octets: &[u8]) {
        if let Some(Some(Behaviour::Relay(_))) = self.wire.legs.get(slot.pair()) {
            let mut octets = octets.to_vec();
            if let Some(second) = octets.get_mut(1).filter(|_| slot.is_rtp()) {
                *second &= 0x80;
            }
            self.wire.came.push(octets);
        }
        self.engine.receive(slot, from, self.now, octets);
    }

    fn order(&mut self, decide: &mut Decisions<'_>) {
        // What a tick takes at most.
        if self.ordered.len() >= ORDERS_PER_TICK {
            return;
        }
        // A worker takes its orders before it receives.
        if !self.wire.came.is_empty() {
            self.engine.transmit(self.now, &mut self.wire);
            self.wire.came.clear();
        }
        let pair = decide.below(PAIRS);
        let port = PortSlot(pair as u32 * 2);
        let line = decide.below(2);
        let timeslots = usize::from(self.lines[line].carrier.timeslot_max());
        let number = decide.pick(&[1, 2, 3, 17, timeslots]) as u8;
        let timeslot = Timeslot::new(number.min(timeslots as u8)).expect("counted from 1");
        let ds0 = Ds0 { span: SpanId([3, 1][line]), timeslot };
        let action = match (decide.below(8), self.live[pair]) {
            (0, _) => {
                let law = if decide.once_in(2) { Law::Mu } else { Law::A };
                if decide.once_in(4) {
                    Action::CancelEcho { ds0, is_wanted: law == Law::A }
                } else {
                    self.lines[line].law[timeslot.index()] = law;
                    Action::Encode { ds0, law }
                }
            }
            (7, None) => {
                let relay = RelayId(decide.below(3) as u32);
                if self.is_full(Place::Relay(relay)) {
                    return;
                }
                let leg = relay_leg(decide);
                self.live[pair] = Some(Place::Relay(relay));
                self.wire.legs[pair] = Some(Behaviour::Relay(leg));
                Action::ConnectRelay { relay, port, leg }
            }
            (_, None) => {
                if self.is_full(Place::Ds0(ds0)) {
                    return;
                }
                let identity = Identity {
                    ssrc: decide.below(3) as u32,
                    sequence: decide.word(),
                    timestamp: decide.long(),
                    cname: *b"abcdefghijklmnop",
                };
                let leg = leg(decide);
                self.live[pair] = Some(Place::Ds0(ds0));
                self.wire.legs[pair] = Some(Behaviour::Leg(leg));
                Action::Connect { ds0, port, identity, leg }
            }
            (1 | 2, Some(_)) => {
                self.live[pair] = None;
                self.wire.legs[pair] = None;
                self.plays.retain(|(side, _)| *side != Side::Network(port));
                Action::Disconnect { port }
            }
            (3, Some(_)) => Action::Survey { port },
            (4, Some(Place::Ds0(_))) if decide.once_in(2) => {
                Action::Supervise { port, wanted: decide.pick(SUPERVISIONS) }
            }
            (4, Some(Place::Ds0(_))) => {
                let side = Side::Network(port);
                let detectors = decide.pick(&[DetectorSet::NONE, DetectorSet::DTMF]);
                Action::Watch { side, detectors }
            }
            (_, Some(Place::Ds0(_))) => {
                let leg = leg(decide);
                self.wire.legs[pair] = Some(Behaviour::Leg(leg));
                Action::Modify { port, leg }
            }
            (_, Some(Place::Relay(_))) => {
                let leg = relay_leg(decide);
                self.wire.legs[pair] = Some(Behaviour::Relay(leg));
                Action::ModifyRelay { port, leg }
            }
        };
        self.give(action);
    }

    /// Has a side listened to, or a tone begin or end there.
    fn sound(&mut self, decide: &mut Decisions<'_>) {
        if self.ordered.len() >= ORDERS_PER_TICK {
            return;
        }
        let pair = decide.below(2 * PAIRS);
        let side = match self.live.get(pair) {
            Some(Some(Place::Ds0(_))) => Side::Network(PortSlot(pair as u32 * 2)),
            _ => {
                let line = decide.below(2);
                let timeslot = Timeslot::new(decide.pick(&[1, 2, 3, 17])).expect("counted from 1");
                Side::Line(Ds0 { span: SpanId([3, 1][line]), timeslot })
            }
        };
        let here = self.plays.iter().filter(|(other, _)| *other == side).count();
        let action = match decide.below(4) {
            0 => match side {
                Side::Line(ds0) if decide.once_in(4) => {
                    let tests = [CircuitTest::Loopback, CircuitTest::Transponder(CheckTone::Co1)];
                    let test = (!decide.once_in(3)).then(|| decide.pick(&tests));
                    self.tested.retain(|other| *other != ds0);
                    self.tested.extend(test.map(|_| ds0));
                    Action::Test { ds0, test }
                }
                _ => Action::Watch { side, detectors: decide.pick(DETECTORS) },
            },
            1 | 2 if here < PLAYS_PER_SIDE => {
                let play = PlayId(self.next_play);
                self.next_play += 1;
                self.plays.push((side, play));
                Action::Play { side, play, tone: decide.pick(TONES) }
            }
            _ => {
                let play = PlayId(self.next_play.saturating_sub(decide.below(4) as u32));
                self.plays.retain(|one| *one != (side, play));
                Action::Stop { side, play }
            }
        };
        self.give(action);
    }

    fn give(&mut self, action: Action) {
        let sees = matches!(action, Action::Disconnect { .. } | Action::Survey { .. });
        let id = OrderId(self.orders);
        self.orders += 1;
        self.ordered.push_back((id, sees));
        let gear = Gear::for_action(&action);
        self.engine.apply(self.now, &Order { id, action }, gear);
        while self.engine.poll_returned().is_some() {}
    }

    fn is_full(&self, place: Place) -> bool {
        self.live.iter().flatten().filter(|held| **held == place).count() == CONNECTIONS_PER_ENDPOINT
    }

    /// A packet of a peer's stream, as it should be but for a few.
    fn stream(&mut self, decide: &mut Decisions<'_>) {
        let pair = decide.below(PAIRS);
        let Some(leg) = self.wire.legs[pair] else { return };
        let from = match leg.remote() {
            Some(remote) if !decide.once_in(8) => remote.rtp,
            _ => address(decide),
        };
        let payload = usize::from(decide.pick(PERIODS_MS)) * 8;
        let (sequence, timestamp) = &mut self.streams[pair];
        *sequence = sequence.wrapping_add(decide.pick(&[1, 1, 1, 1, 2, 0, 100, 60_000]));
        *timestamp = timestamp.wrapping_add(payload as u32 * decide.pick(&[1_u32, 1, 1, 1, 2, 0, 50, 4_000]));
        let events = match leg {
            Behaviour::Leg(leg) => leg.receive_events,
            Behaviour::Relay(_) => None,
        };
        let event = events.filter(|_| decide.once_in(4));
        let header = Header {
            marker: decide.once_in(8),
            payload_type: event.unwrap_or_else(|| decide.pick(FORMATS).payload_type),
            sequence: *sequence,
            timestamp: *timestamp,
            ssrc: decide.below(3) as u32,
        };
        let mut octets = vec![decide.octet(); Header::LEN + if event.is_some() { 4 } else { payload }];
        if event.is_some() {
            octets[Header::LEN..].copy_from_slice(&[decide.octet() % 17, decide.octet(), 0, decide.octet()]);
        }
        header.emit(&mut octets);
        self.receive(PortSlot(pair as u32 * 2), from, &octets);
    }

    /// One round of the worker's: a block of each line, then what is to be sent.
    fn tick(&mut self, room: usize, octet: u8) {
        self.wire.room = room;
        for index in 0..self.lines.len() {
            let line = &mut self.lines[index];
            for timeslot in line.carrier.timeslots() {
                let octet = octet.wrapping_add(timeslot.number());
                line.rx.timeslot_mut(timeslot).fill(octet);
            }
            self.engine.playout(index, &line.rx, &mut line.tx);
            for timeslot in line.carrier.timeslots() {
                let ds0 = Ds0 { span: SpanId([3, 1][index]), timeslot };
                let silence = line.law[timeslot.index()].silence();
                let sounds = self.plays.iter().any(|(side, _)| *side == Side::Line(ds0));
                let is_idle = !self.live.contains(&Some(Place::Ds0(ds0))) && !self.tested.contains(&ds0);
                if is_idle && !sounds {
                    let row = line.tx.timeslot(timeslot);
                    assert!(row.iter().all(|octet| *octet == silence), "{ds0:?} is idle: {row:x?}");
                }
            }
            self.engine.capture(self.now, index, &line.rx);
        }
        self.engine.transmit(self.now, &mut self.wire);
        self.wire.came.clear();
        self.hear();
        self.now += Duration::from_millis(5);
    }

    fn hear(&mut self) {
        while let Some(report) = self.engine.poll_report() {
            let (id, outcome) = match report {
                Report::Done { id, outcome } => (id, outcome),
                Report::Observed { side, what: Observation::PlayEnded(play), at } => {
                    assert!(at <= self.now);
                    let place = self.plays.iter().position(|one| *one == (side, play));
                    self.plays.swap_remove(place.expect("it was played, and has not ended before"));
                    continue;
                }
                Report::Observed { .. } | Report::Span { .. } => continue,
            };
            let (ordered, sees) = self.ordered.pop_front().expect("only orders are answered");
            assert_eq!(id, ordered, "in the order of the orders");
            assert_eq!(matches!(outcome, Outcome::Seen(_)), sees, "{outcome:?}");
        }
    }

    fn end(&mut self) {
        self.tick(usize::MAX, 0);
        assert!(self.ordered.is_empty(), "each order is reported");
        self.wire.legs = [None; PAIRS];
        while !self.engine.close(self.now, &mut self.wire) {}
    }
}

/// A sender report with a report block, or something like it.
fn sender_report(decide: &mut Decisions<'_>) -> Vec<u8> {
    let packet_type = decide.pick(&[200_u8, 200, 201, 203]);
    let mut octets = vec![0x80 | decide.below(3) as u8, packet_type, 0, 0];
    octets.extend((decide.below(3) as u32).to_be_bytes());
    octets.extend(decide.octets(44));
    let words = (octets.len() / 4 - 1) as u8;
    octets.truncate(4 * (usize::from(words) + 1));
    octets[3] = words;
    octets
}

fn leg(decide: &mut Decisions<'_>) -> Leg {
    let rtp = address(decide);
    let peer = match decide.below(8) {
        0 => Peer::Undescribed,
        1 => Peer::OnHold,
        2 => Peer::Local(PortSlot(decide.below(PAIRS) as u32 * 2)),
        _ => Peer::At(Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1)) }),
    };
    let first = decide.below(FORMATS.len());
    Leg {
        mode: decide.pick(&Mode::ALL),
        peer,
        send: decide.pick(FORMATS),
        receive: Formats::new(FORMATS.iter().cycle().skip(first).take(1 + decide.below(4)).copied()),
        receive_events: decide.pick(&[None, Some(101), Some(0)]),
        send_events: decide.pick(&[
            None,
            Some(EventFormat { payload_type: 101, digits: DigitSet::ALL }),
            Some(EventFormat { payload_type: 96, digits: DigitSet::NONE }),
        ]),
        ptime_ms: NonZeroU8::new(decide.pick(PERIODS_MS)).expect("no period is zero"),
        jitter: JitterBounds {
            nominal_ms: decide.octet().into(),
            max_ms: decide.word() % 500,
            adaptive: decide.once_in(2),
        },
        has_echo: first != 0,
        dscp: Dscp::EF,
    }
}

/// How the E1 is rid of echo; the T1 is not.
const ECHO: EchoSettings = EchoSettings { tail_ms: 32, suppresses: true, comforts: true };

fn relay_leg(decide: &mut Decisions<'_>) -> RelayLeg {
    let rtp = address(decide);
    let peer = match decide.below(8) {
        0 => Peer::Undescribed,
        1 => Peer::OnHold,
        _ => Peer::At(Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1)) }),
    };
    let types = (0..decide.below(4))
        .map(|_| PayloadType { theirs: decide.octet() & 63, common: decide.octet() & 63 })
        .collect::<Vec<_>>();
    RelayLeg {
        mode: decide.pick(&Mode::ALL),
        peer,
        types: PayloadTypes::new(types),
        clocks: ClockRates::USUAL,
        dscp: Dscp::EF,
    }
}

/// One of few, so that what is sent finds who is meant.
fn address(decide: &mut Decisions<'_>) -> SocketAddr {
    let ip = match decide.below(4) {
        0 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    SocketAddr::new(ip, 4_000 + 2 * decide.below(3) as u16)
}
