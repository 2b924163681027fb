//! One core's ticks: E1s full of calls, G.711 at 20 ms both ways.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;

use dataplane::dsp::echo_canceller::EchoSettings;
use dataplane::engine::{Engine, SpanShape};
use dataplane::gear::Gear;
use dataplane::limits::Limits;
use dataplane::link::{
    Action, Codec, DetectorSet, Format, Formats, Identity, JitterBounds, Leg, Mode, Order, OrderId, Peer,
    Remote, Side,
};
use dataplane::rtp::packet::Header;
use dataplane::stats::Stats;
use drivers::line::{Carrier, Ds0, Law, Line, SpanId, Timeslot};
use drivers::net::{DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, RtpSockets};
use drivers::span::Block;
use drivers::time::{Epoch, Instant};

use crate::{Case, counted};

/// Does a case; says how often.
pub(crate) fn run(case: Case) -> u64 {
    let mut core = Core::new(if case == Case::Tick { 100 } else { 1 }, (case == Case::Echo).then_some(ECHO));
    if case == Case::Listen {
        core.listen();
    }
    for _ in 0..WARM_UP {
        core.tick(None);
    }
    core.done = 0;
    for _ in 0..TICKS {
        core.tick(Some(case));
    }
    core.done
}

/// Ticks that are not counted: until every jitter buffer plays.
const WARM_UP: u64 = 24;

/// Ticks that are.
const TICKS: u64 = 40;

/// Ticks from one packet of a DS0 to its next: 20 ms in blocks of 5.
const PHASES: u64 = 4;

const ECHO: EchoSettings = EchoSettings { tail_ms: 64, suppresses: true, comforts: true };

const FRAMES: usize = 40;
const PTIME: usize = 160;
const DS0S: usize = 31;

struct Core {
    engine: Engine,
    blocks: Vec<(Block, Block)>,
    wire: Wire,
    packet: [u8; Header::LEN + PTIME],
    random: u32,
    tick: u64,
    /// How often what is counted was done.
    done: u64,
}

impl Core {
    fn new(spans: u16, echo: Option<EchoSettings>) -> Self {
        let law = Law::A;
        let shape = |span| SpanShape {
            id: SpanId(span),
            line: Line { carrier: Carrier::E1, law },
            frames: FRAMES,
            echo,
        };
        let shapes: Vec<_> = (0..spans).map(shape).collect();
        let pairs = DS0S * shapes.len();
        let limits =
            Limits { pairs, relays: pairs, jitter_buffer_octets: 2_048, orders: 16, observations: 16 };
        let epoch = Epoch { at: Instant::ZERO, unix_nanos: 0 };
        let mut engine = Engine::new(&limits, &shapes, 1, epoch, Arc::new(Stats::default()));
        for pair in 0..pairs {
            engine.apply(Instant::ZERO, &connect(pair), Gear::default());
            while engine.poll_report().is_some() {}
        }
        let blocks = shapes.iter().map(|_| (Block::new(FRAMES, law), Block::new(FRAMES, law))).collect();
        let wire = Wire { octets: [0; DATAGRAM_MAX], sent: 0 };
        Self { engine, blocks, wire, packet: [0xD5; _], random: 1, tick: 0, done: 0 }
    }

    /// Has all that a line can say listened for.
    fn listen(&mut self) {
        let detectors = DetectorSet::DTMF.with(DetectorSet::FAX).with(DetectorSet::ANSWER);
        for pair in 0..DS0S {
            let action = Action::Watch { side: Side::Line(ds0(pair)), detectors };
            let gear = Gear::for_action(&action);
            self.engine.apply(Instant::ZERO, &Order { id: OrderId(0), action }, gear);
            while self.engine.poll_report().is_some() {}
        }
    }

    /// One tick: what comes, a block of each span, what goes.
    fn tick(&mut self, case: Option<Case>) {
        let now = Instant::from_nanos(self.tick * 5_000_000);
        let is = |one: Case| case == Some(one) || case == Some(Case::Tick);
        let pairs = DS0S * self.blocks.len();
        let phase = (self.tick % PHASES) as usize;
        for pair in (phase..pairs).step_by(PHASES as usize) {
            self.write_packet(pair);
            let Self { engine, packet, .. } = self;
            let slot = PortSlot(2 * pair as u32);
            count_if(is(Case::Receive), || engine.receive(slot, peer(pair), now, &packet[..]));
            self.done += u64::from(is(Case::Receive));
        }
        let Self { engine, blocks, wire, done, .. } = self;
        for (span, (rx, tx)) in blocks.iter_mut().enumerate() {
            count_if(is(Case::Playout) || is(Case::Echo), || engine.playout(span, rx, tx));
            // A line that loops: there is echo to cancel, and something to listen to.
            for timeslot in Carrier::E1.timeslots() {
                rx.timeslot_mut(timeslot).copy_from_slice(tx.timeslot(timeslot));
            }
            let is_captured = is(Case::Capture) || is(Case::Echo) || is(Case::Listen);
            count_if(is_captured, || engine.capture(now, span, rx));
            let is_block = matches!(case, Some(Case::Playout | Case::Capture | Case::Echo | Case::Listen));
            *done += if is_block { DS0S as u64 } else { 0 };
        }
        let before = wire.sent;
        count_if(is(Case::Transmit), || engine.transmit(now, wire));
        *done += if is(Case::Transmit) { wire.sent - before } else { 0 };
        while engine.poll_report().is_some() {}
        self.tick += 1;
    }

    fn write_packet(&mut self, pair: usize) {
        let number = self.tick / PHASES;
        let header = Header {
            marker: number == 0,
            payload_type: 8,
            sequence: number as u16,
            timestamp: (number * PTIME as u64) as u32,
            ssrc: pair as u32 + 1,
        };
        header.emit(&mut self.packet);
        // Noise, of which a canceller learns; all others do not care.
        for octet in &mut self.packet[Header::LEN..] {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *octet = (self.random >> 24) as u8;
        }
    }
}

fn count_if<T>(is_counted: bool, what: impl FnOnce() -> T) -> T {
    if is_counted { counted(what) } else { what() }
}

fn peer(pair: usize) -> SocketAddr {
    ([192, 0, 2, 1], 2 * pair as u16 + 10_000).into()
}

fn connect(pair: usize) -> Order {
    let rtp = peer(pair);
    let format = Format { payload_type: 8, codec: Codec::G711(Law::A) };
    let leg = Leg {
        mode: Mode::SendReceive,
        peer: Peer::At(Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1) }),
        send: format,
        receive: Formats::new([format]),
        receive_events: None,
        send_events: None,
        ptime_ms: NonZeroU8::new(20).expect("20 is not 0"),
        jitter: JitterBounds { nominal_ms: 20, max_ms: 100, adaptive: true },
        has_echo: true,
        dscp: Dscp::EF,
    };
    let identity = Identity { ssrc: !(pair as u32), sequence: 0, timestamp: 0, cname: [b'a'; 16] };
    let port = PortSlot(2 * pair as u32);
    Order { id: OrderId(0), action: Action::Connect { ds0: ds0(pair), port, identity, leg } }
}

fn ds0(pair: usize) -> Ds0 {
    let timeslot = Timeslot::new((pair % DS0S) as u8 + 1).expect("an E1 has 1 to 31");
    Ds0 { span: SpanId((pair / DS0S) as u16), timeslot }
}

/// Sockets that cost nothing but the copy.
struct Wire {
    octets: [u8; DATAGRAM_MAX],
    sent: u64,
}

impl RtpSockets for Wire {
    fn receive(&mut self, _: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {}

    fn send(
        &mut self,
        _: PortSlot,
        _: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        f(std::hint::black_box(&mut self.octets[..len]));
        self.sent += 1;
        Ok(())
    }

    fn mark(&mut self, _: PortSlot, _: Dscp) {}

    fn flush(&mut self, _: Instant) -> io::Result<()> {
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        NetCounters::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_done_as_often_as_it_says() {
        let packets = TICKS * DS0S as u64 / PHASES;
        assert_eq!(run(Case::Receive), packets);
        assert_eq!(run(Case::Transmit), packets);
        assert_eq!(run(Case::Playout), TICKS * DS0S as u64);
        assert_eq!(run(Case::Capture), TICKS * DS0S as u64);
        assert_eq!(run(Case::Listen), TICKS * DS0S as u64);
    }
}
