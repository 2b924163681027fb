//! One core's media: pure, never allocating, driven by a [`Worker`](crate::worker::Worker).
//!
//! Time, octets and datagrams are handed in; datagrams, octets and reports are taken out. An order
//! cannot fail here: control keeps to the [`Limits`], and an order that breaks them is a bug there.
//! What comes from outside can only be counted.
//!
//! ```text
//!  channels:    [ span 0: ts 0..31 ][ span 1: ts 0..31 ]...   each names its connections' pairs
//!  connections: [ pair 0 ][ pair 1 ]...                       each names its channel
//!  spans:       bitmaps of the timeslots that play, feed or are watched: the tick walks these, never all
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use drivers::line::{Ds0, FRAME, Law, Line, SpanId, TIMESLOTS_MAX, Timeslot};
use drivers::net::{PortSlot, RtpSockets, Taker};
use drivers::span::{Block, SpanEvent};
use drivers::time::{Epoch, Instant};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::channel::{self, Channel, Rows};
use crate::connection::{Collision, Connection, Tally};
use crate::dsp::echo_canceller::{EchoCanceller, EchoSettings};
use crate::gear::Gear;
use crate::limits::{Limits, ORDERS_PER_TICK};
use crate::link::{
    Action, CircuitTest, ConnectionStats, DetectorSet, Identity, Leg, Observation, Order, Outcome, PlayId,
    RelayId, RelayLeg, Report, Side, Supervision, ToneSpec,
};
use crate::outbox::{self, Outbox};
use crate::relay::Relays;
use crate::reporting::{Refused, Reporting};
use crate::reports::Reports;
use crate::rtp::packet::Header;
use crate::stats::{Counter, Stats};
use crate::supervision::{self, Supervisors};

/// What an engine has to know of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanShape {
    /// Its id.
    pub id: SpanId,
    /// What kind of line it is.
    pub line: Line,
    /// Frames in each of its blocks.
    pub frames: usize,
    /// How echo from it is cancelled, if it is.
    pub echo: Option<EchoSettings>,
}

/// One core's channels and connections.
#[derive(Debug)]
pub struct Engine {
    spans: Box<[Trunk]>,
    /// By span, then timeslot, timeslot 0 included: a channel's place is a shift and an add.
    channels: Box<[Channel]>,
    /// By pair.
    connections: Box<[Connection]>,
    rows: Rows,
    relays: Relays,
    reporting: Reporting,
    supervisors: Supervisors,
    outbox: Outbox,
    reports: Reports,
    /// What orders did not want, or connections no longer do.
    returned: Vec<Gear>,
    /// The next pair that `close` has to look at.
    closing: usize,
    /// The span whose block is to be fetched while another's is played and captured, and the one whose was.
    coming: Option<usize>,
    fetched: Option<usize>,
    rng: StdRng,
    stats: Arc<Stats>,
}

/// One span's part of the tick.
#[derive(Debug)]
struct Trunk {
    id: SpanId,
    frames: usize,
    /// Timeslots that play something: bit 17 is timeslot 17.
    plays: u32,
    /// Timeslots that feed some connection.
    feeds: u32,
    /// Timeslots whose line is listened to.
    watches: u32,
    /// Timeslots of which one connection alone hears the line, and is alone heard there.
    plain: Plain,
    /// Timeslots whose echo is cancelled.
    cancels: u32,
    /// Of timeslot 1 and up, if the span has any.
    cancellers: Box<[EchoCanceller]>,
    /// Timeslots whose row in `tx` is not known to be silence.
    unsilenced: u32,
    /// Octets of each timeslot taken so far: the media's clock.
    clock: u64,
    /// When the last block was taken.
    clocked_at: Instant,
}

/// Timeslots with one connection and nothing else, and the pairs of these. Their channels have no say in a
/// block: most calls are so, and what is not touched costs nothing.
#[derive(Clone, Copy, Debug)]
struct Plain {
    timeslots: u32,
    pairs: [u32; TIMESLOTS_MAX],
}

impl Engine {
    /// An engine without connections. Allocates all it will ever need.
    pub fn new(limits: &Limits, spans: &[SpanShape], seed: u64, epoch: Epoch, stats: Arc<Stats>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let channels = spans.iter().flat_map(|span| (0..TIMESLOTS_MAX).map(|_| Channel::new(span.line.law)));
        Self {
            spans: spans.iter().map(Trunk::new).collect(),
            channels: channels.collect(),
            connections: (0..limits.pairs)
                .map(|pair| Connection::new(PortSlot(pair as u32 * 2), limits))
                .collect(),
            rows: Rows::new(limits.pairs),
            relays: Relays::new(limits),
            reporting: Reporting::new(limits.pairs, epoch, &mut rng),
            supervisors: Supervisors::new(limits.pairs),
            outbox: Outbox::new(limits.pairs),
            reports: Reports::new(limits, Arc::clone(&stats)),
            returned: Vec::with_capacity(ORDERS_PER_TICK),
            closing: 0,
            coming: None,
            fetched: None,
            rng,
            stats,
        }
    }

    /// Carries out an order, given what it may want; its report waits to be polled then, and what it did
    /// not want.
    ///
    /// To be called [`ORDERS_PER_TICK`] times at most before gear and reports are polled and
    /// [`transmit`](Self::transmit) is called.
    ///
    /// # Panics
    /// If the order is not for a DS0 of this core, an idle pair (Connect) or a pair that carries a
    /// connection (all others), or comes without its gear: control keeps the account of these.
    pub fn apply(&mut self, now: Instant, order: &Order, mut gear: Gear) {
        let outcome = match order.action {
            Action::Connect { ds0, port, ref identity, leg } => {
                self.connect(now, ds0, port, identity, leg, &mut gear)
            }
            Action::Modify { port, leg } => self.modify(port, leg, &mut gear),
            Action::ConnectRelay { relay, port, leg } => self.connect_relay(relay, port, leg),
            Action::ModifyRelay { port, leg } => self.modify_relay(port, leg),
            Action::Disconnect { port } => self.disconnect(now, port, &mut gear),
            Action::Survey { port } => self.survey(port),
            Action::Encode { ds0, law } => self.encode(ds0, law),
            Action::CancelEcho { ds0, is_wanted } => self.cancel_echo(ds0, is_wanted),
            Action::Watch { side, detectors } => self.watch(side, detectors, &mut gear),
            Action::Supervise { port, wanted } => self.supervise(now, port, wanted),
            Action::Test { ds0, test } => self.test(ds0, test, &mut gear),
            Action::Play { side, play, ref tone } => self.start(side, play, *tone, &mut gear),
            Action::Stop { side, play } => self.stop(side, play),
        };
        if !gear.is_empty() {
            self.returned.push(gear);
        }
        self.reports.done(Report::Done { id: order.id, outcome });
    }

    /// Takes a datagram that came to one of the core's ports.
    pub fn receive(&mut self, slot: PortSlot, from: SocketAddr, arrived: Instant, octets: &[u8]) {
        let pair = slot.pair();
        let Some(connection) = self.connections.get_mut(pair).filter(|one| one.channel.is_some()) else {
            self.relays.receive(slot, from, arrived, octets, &self.stats);
            return;
        };
        if !slot.is_rtp() {
            self.receive_rtcp(pair, from, arrived, octets);
        } else if connection.receive(from, arrived, octets, &self.stats, &mut self.reports) == Err(Collision)
        {
            self.rename(arrived, pair);
        }
    }

    /// Says which span's block comes after the next one: what it is going to touch is fetched meanwhile.
    pub fn expect_block(&mut self, span: usize) {
        self.coming = Some(span);
    }

    /// Fills `tx` with what the line is to be sent next. `rx` is what came from it last, which is
    /// what a circuit in loopback hears again.
    ///
    /// `tx` must be the same block each time: rows that are silence already are not written again.
    pub fn playout(&mut self, span: usize, rx: &Block, tx: &mut Block) {
        let Self { spans, channels, connections, rows, stats, reports, coming, fetched, .. } = self;
        let mut coming = coming.map_or(Plain::NONE, |span| spans[span].plain).pairs();
        let trunk = &mut spans[span];
        let channels = &mut channels[span * TIMESLOTS_MAX..][..TIMESLOTS_MAX];
        if *fetched != Some(span) {
            trunk.fetch_plain(connections, rx.frames());
        }
        trunk.fetch_others(channels, connections, rx.frames());
        for timeslot in timeslots(trunk.unsilenced & !trunk.plays) {
            tx.timeslot_mut(timeslot).fill(channels[timeslot.index()].law.silence());
        }
        trunk.unsilenced = trunk.plays;
        for timeslot in timeslots(trunk.plays & trunk.plain.timeslots) {
            if let Some(pair) = coming.next() {
                connections[pair].prefetch();
            }
            let connection = &mut connections[trunk.plain.pair(timeslot)];
            connection.play(trunk.clocked_at, tx.timeslot_mut(timeslot), stats, reports);
        }
        coming.for_each(|pair| connections[pair].prefetch());
        for timeslot in timeslots(trunk.plays & !trunk.plain.timeslots) {
            let channel = &mut channels[timeslot.index()];
            let (rx, tx) = (rx.timeslot(timeslot), tx.timeslot_mut(timeslot));
            channel.play(trunk.clocked_at, connections, rows, (rx, tx), stats, reports);
            if channel.is_playing() {
                let side = trunk.line(timeslot);
                channel.sound(tx, |what| reports.observed(side, trunk.clocked_at, what, 0));
                set(&mut trunk.plays, 1 << timeslot.index(), channel.plays());
                trunk.plain.set(timeslot.index(), channel.plain());
            }
        }
        for timeslot in timeslots(trunk.cancels) {
            let law = channels[timeslot.index()].law;
            trunk.cancellers[canceller(timeslot)].play(law, tx.timeslot(timeslot));
        }
    }

    /// Takes what came from the line. [`transmit`](Self::transmit) is to be called before the next
    /// block of the same span.
    pub fn capture(&mut self, now: Instant, span: usize, rx: &Block) {
        let Self { spans, channels, connections, rows, outbox, reports, coming, fetched, .. } = self;
        *fetched = coming.take();
        let mut coming = fetched.map_or(Plain::NONE, |span| spans[span].plain).pairs();
        let trunk = &mut spans[span];
        let channels = &mut channels[span * TIMESLOTS_MAX..][..TIMESLOTS_MAX];
        for timeslot in timeslots(trunk.cancels) {
            let law = channels[timeslot.index()].law;
            trunk.cancellers[canceller(timeslot)].hear(law, rx.timeslot(timeslot));
        }
        for timeslot in timeslots(trunk.watches) {
            let side = trunk.line(timeslot);
            let channel = &mut channels[timeslot.index()];
            let rx = trunk.heard(rx, timeslot);
            channel.hear(trunk.clock, connections, rx, |what, ago| reports.observed(side, now, what, ago));
        }
        for timeslot in timeslots(trunk.feeds) {
            if let Some(pair) = coming.next() {
                connections[pair].prefetch_octets(rx.frames());
            }
            let octets = trunk.heard(rx, timeslot);
            let pair = trunk.plain.pair(timeslot);
            if trunk.plain.has(timeslot) && !connections[pair].is_playing() {
                if channel::send(connections, pair, trunk.clock, octets) {
                    outbox.ready(pair as u32);
                }
                continue;
            }
            let channel = &channels[timeslot.index()];
            channel.feed((now, trunk.clock), connections, rows, octets, reports, |pair| outbox.ready(pair));
            set(
                &mut trunk.feeds,
                1 << timeslot.index(),
                channel.feeds(|pair| connections[pair].is_playing()),
            );
        }
        coming.for_each(|pair| connections[pair].prefetch_octets(rx.frames()));
        trunk.clock += rx.frames() as u64;
        trunk.clocked_at = now;
    }

    /// Takes what a span says of itself.
    pub fn span_event(&mut self, span: usize, event: SpanEvent) {
        if let SpanEvent::Slip(_) = event {
            self.stats.add(Counter::Slips, 1);
        }
        self.reports.tell(Report::Span { span: self.spans[span].id, event });
    }

    /// Sends what is ready: BYEs, RTP, and the RTCP that is due.
    pub fn transmit(&mut self, now: Instant, sockets: &mut impl RtpSockets) {
        self.outbox.apply_marks(sockets);
        self.relays.transmit(sockets, &self.stats);
        self.outbox.send_letters(sockets, &self.stats);
        self.send_packets(sockets);
        self.send_reports(now, sockets);
        self.look_after_media(now);
    }

    /// Ends connections with a BYE, as many as can be sent at once; whether none is left.
    pub fn close(&mut self, now: Instant, sockets: &mut impl RtpSockets) -> bool {
        while self.closing < self.connections.len() && !self.outbox.is_full() {
            if self.connections[self.closing].channel.is_some() {
                self.disconnect(now, PortSlot(self.closing as u32 * 2), &mut Gear::default());
            }
            self.closing += 1;
        }
        self.outbox.send_letters(sockets, &self.stats);
        self.closing == self.connections.len() && self.outbox.is_empty()
    }

    /// Gear that is of no more use here.
    pub fn poll_returned(&mut self) -> Option<Gear> {
        self.returned.pop()
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.poll()
    }

    fn connect(
        &mut self,
        now: Instant,
        ds0: Ds0,
        port: PortSlot,
        identity: &Identity,
        leg: Leg,
        gear: &mut Gear,
    ) -> Outcome {
        let index = self.channel_index(ds0);
        let pair = port.pair();
        let connection = &mut self.connections[pair];
        assert!(
            connection.channel.is_none() && !self.relays.has(pair),
            "a connection is made on an idle pair"
        );
        let trunk = &self.spans[index / TIMESLOTS_MAX];
        let law = self.channels[index].law;
        connection.open(index as u32, identity, leg, law, trunk.clock, phase(index, trunk.frames));
        connection.equip(&mut gear.aside);
        self.channels[index].equip(&mut gear.station);
        self.reporting.open(now, pair, identity, &mut self.rng);
        self.outbox.mark(port, leg.dscp);
        if self.channels[index].connections().next().is_none() {
            self.spans[index / TIMESLOTS_MAX].forget_echo(index % TIMESLOTS_MAX);
        }
        self.channels[index].attach(pair as u32);
        self.remix(index);
        Outcome::Done
    }

    fn modify(&mut self, port: PortSlot, leg: Leg, gear: &mut Gear) -> Outcome {
        let (index, connection) = self.live(port);
        connection.equip(&mut gear.aside);
        connection.modify(leg);
        self.channels[index].equip(&mut gear.station);
        self.outbox.mark(port, leg.dscp);
        self.remix(index);
        Outcome::Done
    }

    fn connect_relay(&mut self, relay: RelayId, port: PortSlot, leg: RelayLeg) -> Outcome {
        let pair = port.pair();
        assert!(self.connections[pair].channel.is_none(), "a connection is made on an idle pair");
        self.relays.connect(relay, pair, leg);
        self.outbox.mark(port, leg.dscp);
        Outcome::Done
    }

    fn modify_relay(&mut self, port: PortSlot, leg: RelayLeg) -> Outcome {
        self.relays.modify(port.pair(), leg);
        self.outbox.mark(port, leg.dscp);
        Outcome::Done
    }

    fn disconnect(&mut self, now: Instant, port: PortSlot, gear: &mut Gear) -> Outcome {
        if let Some(seen) = self.relays.disconnect(port.pair()) {
            return Outcome::Seen(seen);
        }
        let seen = self.seen(port);
        let pair = port.pair();
        self.say_bye(now, pair);
        let (index, connection) = self.live(port);
        gear.aside = connection.close();
        self.reporting.close(pair);
        self.supervisors.forget(pair);
        self.channels[index].detach(pair as u32);
        self.remix(index);
        Outcome::Seen(seen)
    }

    fn encode(&mut self, ds0: Ds0, law: Law) -> Outcome {
        let index = self.channel_index(ds0);
        let channel = &mut self.channels[index];
        if channel.law != law {
            channel.law = law;
            for (_, pair) in channel.connections() {
                self.connections[pair].set_law(law);
            }
            self.spans[index / TIMESLOTS_MAX].unsilenced |= 1 << (index % TIMESLOTS_MAX);
        }
        Outcome::Done
    }

    fn cancel_echo(&mut self, ds0: Ds0, is_wanted: bool) -> Outcome {
        let index = self.channel_index(ds0);
        self.channels[index].cancels_echo = is_wanted;
        self.settle(index);
        Outcome::Done
    }

    fn watch(&mut self, side: Side, detectors: DetectorSet, gear: &mut Gear) -> Outcome {
        match side {
            Side::Network(port) => {
                let (_, connection) = self.live(port);
                connection.equip(&mut gear.aside);
                connection.watch(detectors);
            }
            Side::Line(ds0) => {
                let index = self.channel_index(ds0);
                self.channels[index].equip(&mut gear.station);
                self.channels[index].watch(detectors);
                self.settle(index);
            }
        }
        Outcome::Done
    }

    fn supervise(&mut self, now: Instant, port: PortSlot, wanted: Supervision) -> Outcome {
        let connection = self.live(port).1;
        connection.await_media(wanted.start);
        self.supervisors.set(now, port.pair(), wanted, &self.connections[port.pair()]);
        Outcome::Done
    }

    fn test(&mut self, ds0: Ds0, test: Option<CircuitTest>, gear: &mut Gear) -> Outcome {
        let index = self.channel_index(ds0);
        self.channels[index].equip(&mut gear.station);
        self.channels[index].test(test);
        self.remix(index);
        Outcome::Done
    }

    fn start(&mut self, side: Side, play: PlayId, tone: ToneSpec, gear: &mut Gear) -> Outcome {
        let index = match side {
            Side::Network(port) => {
                let (index, connection) = self.live(port);
                connection.equip(&mut gear.aside);
                connection.start(play, tone);
                index
            }
            Side::Line(ds0) => {
                let index = self.channel_index(ds0);
                self.channels[index].equip(&mut gear.station);
                self.channels[index].start(play, tone);
                index
            }
        };
        self.settle(index);
        Outcome::Done
    }

    fn stop(&mut self, side: Side, play: PlayId) -> Outcome {
        let index = match side {
            Side::Network(port) => {
                let (index, connection) = self.live(port);
                connection.stop(play);
                index
            }
            Side::Line(ds0) => {
                let index = self.channel_index(ds0);
                self.channels[index].stop(play);
                index
            }
        };
        self.settle(index);
        Outcome::Done
    }

    fn survey(&mut self, port: PortSlot) -> Outcome {
        Outcome::Seen(self.relays.seen(port.pair()).unwrap_or_else(|| self.seen(port)))
    }

    /// What a connection of a DS0 has seen.
    fn seen(&mut self, port: PortSlot) -> ConnectionStats {
        let latency = self.reporting.latency(port.pair());
        ConnectionStats { latency, ..self.live(port).1.seen() }
    }

    /// Works out anew who hears whom on a channel, after an order that concerns it.
    fn remix(&mut self, index: usize) {
        let Self { channels, connections, rows, .. } = self;
        let channel = &mut channels[index];
        channel.remix(|pair| connections[pair as usize].leg.mode, rows);
        let inputs = channel.mix.inputs();
        for (place, pair) in channel.connections() {
            connections[pair].set_heard(inputs.has(place));
        }
        channel.follow_digits(connections);
        self.settle(index);
    }

    /// Notes for the tick what it has to do with a channel, after an order that concerns it.
    fn settle(&mut self, index: usize) {
        let Self { spans, channels, connections, .. } = self;
        let (trunk, channel) = (&mut spans[index / TIMESLOTS_MAX], &channels[index]);
        let bit = 1 << (index % TIMESLOTS_MAX);
        set(&mut trunk.plays, bit, channel.plays());
        set(&mut trunk.feeds, bit, channel.feeds(|pair| connections[pair].is_playing()));
        set(&mut trunk.watches, bit, channel.is_watched());
        trunk.plain.set(index % TIMESLOTS_MAX, channel.plain());
        let cancels = !trunk.cancellers.is_empty() && channel.has_echo(|pair| &connections[pair].leg);
        if cancels && trunk.cancels & bit == 0 {
            trunk.resume_cancelling(index % TIMESLOTS_MAX);
        }
        set(&mut trunk.cancels, bit, cancels);
    }

    fn receive_rtcp(&mut self, pair: usize, from: SocketAddr, arrived: Instant, octets: &[u8]) {
        let connection = &mut self.connections[pair];
        if !connection.leg.peer.may_be(from, |remote| remote.rtcp) {
            self.stats.add(Counter::DroppedSource, 1);
            return;
        }
        match self.reporting.receive(pair, connection, arrived, octets) {
            Ok(()) => self.stats.add(Counter::RtcpReceived, 1),
            Err(Refused::Malformed) => self.stats.add(Counter::DroppedMalformed, 1),
            Err(Refused::Own) => {
                if connection.met_own_ssrc(&self.stats) == Err(Collision) {
                    self.rename(arrived, pair);
                }
            }
        }
    }

    /// Gives a connection another SSRC.
    fn rename(&mut self, now: Instant, pair: usize) {
        self.say_bye(now, pair);
        let connection = &mut self.connections[pair];
        connection.set_ssrc(self.rng.random());
        self.reporting.renamed(pair, connection);
    }

    fn say_bye(&mut self, now: Instant, pair: usize) {
        let timestamp = self.media_timestamp(now, pair);
        let connection = &mut self.connections[pair];
        if let Some(letter) = self.reporting.farewell(now, pair, connection, timestamp) {
            self.outbox.post(letter);
        }
    }

    fn send_packets(&mut self, sockets: &mut impl RtpSockets) {
        let Self { connections, outbox, stats, .. } = self;
        let mut sent = Tally::default();
        let ready = outbox.ready_pairs();
        for (at, &pair) in ready.iter().enumerate() {
            if let Some(&soon) = ready.get(at + SENDS_AHEAD) {
                connections[soon as usize].prefetch_address();
            }
            let connection = &mut connections[pair as usize];
            while let Some((to, packet)) = connection.packet() {
                // What finds no room is lost, as on any full link; the sockets count it.
                let from = PortSlot(pair * 2);
                if sockets.send(from, to, packet.len(), |out| out.copy_from_slice(packet)).is_ok() {
                    let payload = packet.len() - Header::LEN;
                    connection.sent.add(payload);
                    sent.add(payload);
                }
            }
        }
        outbox.forget_ready();
        stats.add(Counter::RtpSent, sent.packets.into());
        stats.add(Counter::RtpSentOctets, sent.octets);
    }

    fn send_reports(&mut self, now: Instant, sockets: &mut impl RtpSockets) {
        for pair in self.reporting.rota.turn() {
            if !self.reporting.rota.is_due(now, pair) {
                continue;
            }
            let timestamp = self.media_timestamp(now, pair);
            let connection = &mut self.connections[pair];
            if let Some(letter) = self.reporting.poll(now, pair, connection, timestamp, &mut self.rng) {
                // One that finds no room is made up for by the next.
                let _ = outbox::send(&letter, sockets, &self.stats);
            }
        }
    }

    fn look_after_media(&mut self, at: Instant) {
        let Self { connections, reporting, supervisors, reports, .. } = self;
        for pair in supervisors.rota.turn() {
            if !supervisors.rota.is_due(at, pair) {
                continue;
            }
            let (rtcp_heard_at, latency) = (reporting.heard_at(pair), reporting.latency(pair));
            let now = supervision::Now { at, rtcp_heard_at, latency };
            let side = Side::Network(PortSlot(pair as u32 * 2));
            supervisors.look(pair, now, &connections[pair], |what| {
                reports.observed(side, at, Observation::Media(what), 0);
            });
        }
    }

    /// What a live connection's media clock shows at `now`.
    // RFC 3550 §6.4.1: the timestamp of a report is that of its NTP time, not of any packet.
    fn media_timestamp(&self, now: Instant, pair: usize) -> u32 {
        let connection = &self.connections[pair];
        let channel = connection.channel.expect("only live connections report");
        let trunk = &self.spans[channel as usize / TIMESLOTS_MAX];
        let since = now.since(trunk.clocked_at).as_nanos() / FRAME.as_nanos();
        connection.timestamp_at(trunk.clock).wrapping_add(since as u32)
    }

    /// A connection that lives, and its channel.
    fn live(&mut self, port: PortSlot) -> (usize, &mut Connection) {
        let connection = &mut self.connections[port.pair()];
        let channel = connection.channel.expect("control orders only what it has connected");
        (channel as usize, connection)
    }

    fn channel_index(&self, ds0: Ds0) -> usize {
        let span = self.spans.iter().position(|trunk| trunk.id == ds0.span);
        span.expect("control orders only DS0s of this core") * TIMESLOTS_MAX + ds0.timeslot.index()
    }
}

impl SpanShape {
    fn cancellers(&self) -> Box<[EchoCanceller]> {
        let Some(echo) = self.echo else { return Box::new([]) };
        self.line.carrier.timeslots().map(|_| EchoCanceller::new(echo, self.frames)).collect()
    }
}

impl Trunk {
    fn new(shape: &SpanShape) -> Self {
        let unsilenced = shape.line.carrier.timeslots().fold(0, |set, timeslot| set | 1 << timeslot.index());
        Self {
            id: shape.id,
            frames: shape.frames,
            plays: 0,
            feeds: 0,
            watches: 0,
            plain: Plain::NONE,
            cancels: 0,
            cancellers: shape.cancellers(),
            unsilenced,
            clock: 0,
            clocked_at: Instant::ZERO,
        }
    }

    /// Fetches ahead what the plain timeslots' block is going to touch. Of thousands of connections none is in
    /// the cache any more when its turn comes; fetched together, they take as long as a few of them one by one.
    fn fetch_plain(&self, connections: &[Connection], frames: usize) {
        self.plain.pairs().for_each(|pair| connections[pair].prefetch());
        self.plain.pairs().for_each(|pair| connections[pair].prefetch_octets(frames));
    }

    /// The same for all others.
    fn fetch_others(&self, channels: &[Channel], connections: &[Connection], frames: usize) {
        let others = || timeslots((self.plays | self.feeds) & !self.plain.timeslots);
        let pairs = || others().flat_map(|timeslot| channels[timeslot.index()].connections());
        pairs().for_each(|(_, pair)| connections[pair].prefetch());
        pairs().for_each(|(_, pair)| connections[pair].prefetch_octets(frames));
    }

    /// What came from a timeslot, without echo if it is cancelled there.
    fn heard<'a>(&'a self, rx: &'a Block, timeslot: Timeslot) -> &'a [u8] {
        if self.cancels & 1 << timeslot.index() == 0 {
            return rx.timeslot(timeslot);
        }
        self.cancellers[canceller(timeslot)].clean(rx.frames())
    }

    /// Another call begins on a timeslot.
    fn forget_echo(&mut self, timeslot: usize) {
        if let Some(canceller) = self.cancellers.get_mut(timeslot - 1) {
            canceller.restart();
        }
    }

    /// Echo is cancelled on a timeslot after a time without.
    fn resume_cancelling(&mut self, timeslot: usize) {
        if let Some(canceller) = self.cancellers.get_mut(timeslot - 1) {
            canceller.resume();
        }
    }

    /// The line's side of a timeslot.
    const fn line(&self, timeslot: Timeslot) -> Side {
        Side::Line(Ds0 { span: self.id, timeslot })
    }
}

impl Plain {
    const NONE: Self = Self { timeslots: 0, pairs: [0; TIMESLOTS_MAX] };

    /// The pair of a timeslot that is plain now, or `None` if it is not.
    fn set(&mut self, timeslot: usize, pair: Option<u32>) {
        set(&mut self.timeslots, 1 << timeslot, pair.is_some());
        self.pairs[timeslot] = pair.unwrap_or_default();
    }

    const fn has(&self, timeslot: Timeslot) -> bool {
        self.timeslots & 1 << timeslot.index() != 0
    }

    /// The pair of a timeslot that is in it.
    const fn pair(&self, timeslot: Timeslot) -> usize {
        self.pairs[timeslot.index()] as usize
    }

    fn pairs(self) -> impl Iterator<Item = usize> {
        timeslots(self.timeslots).map(move |timeslot| self.pair(timeslot))
    }
}

/// The place of a timeslot's canceller: timeslot 0 carries nothing, and has none.
const fn canceller(timeslot: Timeslot) -> usize {
    timeslot.index() - 1
}

/// Where in ptime a channel's packets end: whole blocks apart, so that of any run of timeslots as many
/// end in one block as in another, and none waits for the rest of its block.
fn phase(channel: usize, frames: usize) -> u64 {
    let usable = TIMESLOTS_MAX - 1;
    ((channel / TIMESLOTS_MAX * usable + channel % TIMESLOTS_MAX) * frames) as u64
}

/// The timeslots in a bitmap, lowest first.
fn timeslots(mut bits: u32) -> impl Iterator<Item = Timeslot> {
    std::iter::from_fn(move || {
        let number = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        Timeslot::new(number as u8)
    })
}

impl Taker for Engine {
    fn expect(&mut self, slot: PortSlot) {
        self.connections.get(slot.pair()).into_iter().for_each(Connection::expect);
    }

    fn expect_next(&mut self, slot: PortSlot) {
        self.connections.get(slot.pair()).into_iter().for_each(Connection::expect_octets);
    }

    fn take(&mut self, slot: PortSlot, from: SocketAddr, arrived: Instant, octets: &[u8]) {
        self.receive(slot, from, arrived, octets);
    }
}

fn set(bits: &mut u32, bit: u32, is_set: bool) {
    if is_set { *bits |= bit } else { *bits &= !bit }
}

/// How many packets ahead of its own a connection's address is fetched.
const SENDS_AHEAD: usize = 8;

#[cfg(test)]
mod tests;
