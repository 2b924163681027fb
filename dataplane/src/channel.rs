//! One DS0: its law, its connections, and who hears whom on it.
//!
//! All octets here are in the law of the line. Where one source goes to one place, its octets pass as
//! they are; only where several meet are they added up in linear (RFC 3435 Appendix D).

use drivers::line::Law;
use drivers::span::Block;
use drivers::time::Instant;

use crate::codec::g711;
use crate::connection::Connection;
use crate::dsp::transponder::Transponder;
use crate::limits::CONNECTIONS_PER_ENDPOINT;
use crate::link::{CircuitTest, DetectorSet, Leg, Observation, PlayId, ToneSpec};
use crate::mode::{Circuit, Mix, Mode, Places, Sources};
use crate::reports::Reports;
use crate::station::Station;
use crate::stats::Stats;

/// What an engine keeps of one timeslot, idle or not. Most of it changes with orders only.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Channel {
    /// The law of its octets on the line.
    pub law: Law,
    /// Who hears whom among its connections.
    pub mix: Mix,
    /// The pairs of its connections, oldest first; their places in `mix`.
    pairs: [Option<u32>; CONNECTIONS_PER_ENDPOINT],
    /// Whether a tone is played to the line.
    is_playing: bool,
    /// Whether echo is to be cancelled, where there is any.
    pub cancels_echo: bool,
    /// Whether what comes from the line is kept from the connections: a digit that is withheld.
    is_withheld: bool,
    /// What the circuit is used for whatever its connections want.
    test: Option<Circuit>,
    /// What listens to the line and plays to it, once an order has wanted it.
    station: Option<Box<Station>>,
}

const _: () = assert!(size_of::<Channel>() <= 64, "one cache line");

impl Channel {
    /// An idle timeslot.
    pub(crate) fn new(law: Law) -> Self {
        Self {
            law,
            mix: Mix::IDLE,
            pairs: [None; CONNECTIONS_PER_ENDPOINT],
            is_playing: false,
            cancels_echo: true,
            is_withheld: false,
            test: None,
            station: None,
        }
    }

    /// Takes a connection on.
    ///
    /// # Panics
    /// If there is no place for it, which control's plan must have seen.
    pub(crate) fn attach(&mut self, pair: u32) {
        let free = self.pairs.iter_mut().find(|place| place.is_none());
        *free.expect("control keeps to CONNECTIONS_PER_ENDPOINT") = Some(pair);
    }

    /// Lets a connection go; the younger ones move up.
    pub(crate) fn detach(&mut self, pair: u32) {
        let place = self.pairs.iter().position(|&held| held == Some(pair)).expect("it was attached here");
        self.pairs[place..].rotate_left(1);
        self.pairs[CONNECTIONS_PER_ENDPOINT - 1] = None;
    }

    /// Works out the mix anew from what mode each pair is in.
    ///
    /// A card may be late to take a block that has been played: who is heard from now on, but was not in that
    /// block, is silent in it. Its row holds what was said there long before, of another call maybe.
    pub(crate) fn remix(&mut self, mode_of: impl Fn(u32) -> Mode, rows: &mut Rows) {
        let had_row = if self.line_alone().is_some() { Places::NONE } else { self.mix.inputs() };
        for (_, pair) in self.connections().filter(|(place, _)| !had_row.has(*place)) {
            rows.silence(pair, self.law);
        }
        self.mix = Mix::of(&self.pairs.map(|pair| pair.map(&mode_of)), self.test);
    }

    /// Uses the circuit for a test, or no longer; the mix is to be worked out anew then.
    pub(crate) fn test(&mut self, test: Option<CircuitTest>) {
        self.test = test.map(|test| match test {
            CircuitTest::Loopback => Circuit::Loopback,
            CircuitTest::Transponder(tone) => {
                self.station().transponder = Transponder::of(tone);
                Circuit::OwnTransponder
            }
        });
    }

    /// Takes what an order may want, unless it has it already. It keeps it.
    pub(crate) fn equip(&mut self, station: &mut Option<Box<Station>>) {
        if self.station.is_none() {
            self.station = station.take();
        }
    }

    fn station(&mut self) -> &mut Station {
        self.station.as_mut().expect("what an order wants comes with it")
    }

    /// Listens to the line for these.
    pub(crate) fn watch(&mut self, detectors: DetectorSet) {
        if let Some(station) = &mut self.station {
            station.ear.watch(detectors);
            self.is_withheld &= station.ear.withholds();
        }
    }

    /// Begins to play a tone to the line.
    pub(crate) fn start(&mut self, play: PlayId, tone: ToneSpec) {
        self.is_playing = true;
        let law = self.law;
        self.station().plays.start(play, tone, law);
    }

    /// Stops a tone.
    pub(crate) fn stop(&mut self, play: PlayId) {
        let Some(station) = &mut self.station else { return };
        station.plays.stop(play);
        self.is_playing = !station.plays.is_empty();
    }

    /// Listens to what came from the line at `clock`, and has the connections that tell their peers of
    /// digits know what is pressed.
    pub(crate) fn hear(
        &mut self,
        clock: u64,
        connections: &mut [Connection],
        rx: &[u8],
        observe: impl FnMut(Observation, u32),
    ) {
        let law = self.law;
        let ear = &mut self.station.as_mut().expect("who listens has what it takes").ear;
        ear.hear(DetectorSet::NONE, law, rx, observe);
        self.is_withheld = ear.withholds();
        if ear.follows_digits() {
            let pressed = if self.is_withheld { None } else { ear.pressed() };
            let clock = clock + rx.len() as u64;
            for (_, pair) in self.connections().filter(|(place, _)| self.mix.to_connection[*place].circuit) {
                connections[pair].press(clock, pressed);
            }
        }
    }

    /// Listens for digits for the connections that tell their peers of them, or no longer; those that do
    /// not hear the line have none to tell.
    pub(crate) fn follow_digits(&mut self, connections: &mut [Connection]) {
        let mut is_wanted = false;
        for (place, pair) in self.connections() {
            connections[pair].set_company(!self.mix.to_connection[place].connections.is_empty());
            if self.mix.to_connection[place].circuit {
                is_wanted |= connections[pair].tells_digits();
            } else {
                connections[pair].leave_line();
            }
        }
        if let Some(station) = &mut self.station {
            station.ear.follow_digits(is_wanted);
        }
    }

    /// Puts the tones that are played to the line into `tx`, which holds what it is sent besides.
    // RFC 3435 §2.3.3: they go to the line alone, on no connection, whatever its mode.
    pub(crate) fn sound(&mut self, tx: &mut [u8], observe: impl FnMut(Observation)) {
        let law = self.law;
        let plays = &mut self.station().plays;
        plays.sound(law, tx, observe);
        self.is_playing = !plays.is_empty();
    }

    /// Fills `tx` with what connections or the test of the circuit have for the line. `rx` is what came
    /// from it last.
    pub(crate) fn play(
        &mut self,
        now: Instant,
        connections: &mut [Connection],
        rows: &mut Rows,
        (rx, tx): (&[u8], &mut [u8]),
        stats: &Stats,
        reports: &mut Reports,
    ) {
        if let Some(place) = self.line_alone() {
            connections[self.pair(place)].play(now, tx, stats, reports);
            return;
        }
        for place in self.mix.inputs().iter() {
            let pair = self.pair(place);
            connections[pair].play(now, rows.row_mut(pair, tx.len()), stats, reports);
        }
        match self.mix.circuit {
            Circuit::Open => self.sum(None, self.mix.to_circuit, rows, tx),
            Circuit::Loopback => tx.copy_from_slice(rx),
            Circuit::Transponder(place) => {
                connections[self.pair(place.into())].transpond(rx, tx);
            }
            Circuit::OwnTransponder => {
                let law = self.law;
                self.station().transponder.process(law, rx, tx);
            }
        }
    }

    /// Gives each connection what goes out on it: of `rx`, which came from the line at `clock`, and
    /// of what was played just before. Calls `ready` with the pairs that have a whole packet.
    pub(crate) fn feed(
        &self,
        (now, clock): (Instant, u64),
        connections: &mut [Connection],
        rows: &Rows,
        rx: &[u8],
        reports: &mut Reports,
        mut ready: impl FnMut(u32),
    ) {
        let mut scratch = [0; Block::FRAMES_MAX];
        let silence = self.is_withheld.then(|| [self.law.silence(); Block::FRAMES_MAX]);
        let rx = silence.as_ref().map_or(rx, |silence| &silence[..rx.len()]);
        for (place, pair) in self.connections() {
            let sum = &mut scratch[..rx.len()];
            let connection = &mut connections[pair];
            let octets: &[u8] = match self.mix.to_connection[place] {
                Sources { circuit: false, connections: Places::NONE, .. } if !connection.is_playing() => {
                    continue;
                }
                Sources { circuit: true, connections: Places::NONE, .. } => rx,
                // RFC 4733 §2.5.1.1: who is told of a digit of the line has no use for its tone; the others
                // speak on.
                Sources { circuit: true, connections: heard, .. } if connection.is_told_of_line() => {
                    self.sum(None, heard, rows, sum);
                    sum
                }
                Sources { transponder: true, .. } => {
                    connection.transpond(rows.row(pair, rx.len()), sum);
                    sum
                }
                Sources { circuit, connections: heard, .. } => {
                    self.sum(circuit.then_some(rx), heard, rows, sum);
                    sum
                }
            };
            // RFC 3435 §2.3.1: what a signal makes on a connection is sent whatever its mode.
            let is_ready = if connection.is_playing() {
                let mut octets = copy(octets);
                connection.sound(now, clock, &mut octets[..rx.len()], reports);
                send(connections, pair, clock, &octets[..rx.len()])
            } else {
                send(connections, pair, clock, octets)
            };
            if is_ready {
                ready(pair as u32);
            }
        }
    }

    /// The place of the only connection that is heard, if the line alone hears it: it needs no row.
    fn line_alone(&self) -> Option<usize> {
        self.mix.to_circuit.only().filter(|_| self.mix.forwarded().is_empty())
    }

    /// The sum of the line, if given, and of what some connections were heard to say.
    fn sum(&self, line: Option<&[u8]>, places: Places, rows: &Rows, out: &mut [u8]) {
        let mut voices: [&[u8]; CONNECTIONS_PER_ENDPOINT + 1] = [&[]; _];
        let mut n = 0;
        let heard = places.iter().map(|place| rows.row(self.pair(place), out.len()));
        for (voice, octets) in voices.iter_mut().zip(line.into_iter().chain(heard)) {
            *voice = octets;
            n += 1;
        }
        g711::mix(self.law, &voices[..n], out);
    }

    /// Whether the line hears something of it, or some connection's media must be drawn.
    pub(crate) fn plays(&self) -> bool {
        self.is_playing || self.mix.circuit != Circuit::Open || !self.mix.inputs().is_empty()
    }

    /// The pair of its only connection, if that and the line hear each other and nothing else: nobody tests
    /// the circuit, listens to the line or plays to it.
    pub(crate) fn plain(&self) -> Option<u32> {
        let [pair, None, None, None] = self.pairs else { return None };
        pair.filter(|_| self.mix == Mix::PLAIN && !self.is_playing && !self.is_watched())
    }

    /// Whether a tone is played to the line.
    pub(crate) const fn is_playing(&self) -> bool {
        self.is_playing
    }

    /// Whether the line is listened to.
    pub(crate) fn is_watched(&self) -> bool {
        self.station.as_ref().is_some_and(|station| !station.ear.is_idle())
    }

    /// Whether there is echo to be cancelled: somebody hears the line, all that hear it or are heard there are
    /// voices from a network, and nobody tests it.
    pub(crate) fn has_echo<'a>(&self, leg: impl Fn(usize) -> &'a Leg) -> bool {
        let is_heard = |place: usize| self.mix.to_connection[place].circuit;
        let mut users =
            self.connections().filter(|(place, _)| is_heard(*place) || self.mix.to_circuit.has(*place));
        self.cancels_echo
            && self.mix.circuit == Circuit::Open
            && self.connections().any(|(place, _)| is_heard(place))
            && users.all(|(_, pair)| leg(pair).has_echo)
            && !self.station.as_ref().is_some_and(|station| station.ear.tests())
    }

    /// Whether some connection is sent something; `is_playing` says of a pair whether a tone is.
    pub(crate) fn feeds(&self, is_playing: impl Fn(usize) -> bool) -> bool {
        self.mix.to_connection.iter().any(|sources| !sources.is_none())
            || self.connections().any(|(_, pair)| is_playing(pair))
    }

    /// Its connections: places and pairs.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.pairs.iter().enumerate().filter_map(|(place, pair)| pair.map(|pair| (place, pair as usize)))
    }

    fn pair(&self, place: usize) -> usize {
        self.pairs[place].expect("the mix names only places that are taken") as usize
    }
}

/// Sends octets of the line, which came at `clock`, to a connection's peer; says whether a packet of
/// them is complete.
pub(crate) fn send(connections: &mut [Connection], pair: usize, clock: u64, octets: &[u8]) -> bool {
    let connection = &mut connections[pair];
    let Some(other) = connection.other() else { return connection.push(clock, octets) };
    // A leg cannot be its own peer.
    if let Ok([connection, other]) = connections.get_disjoint_mut([pair, other]) {
        connection.hand_over(other, octets);
    }
    false
}

/// A block's octets, to be changed.
fn copy(octets: &[u8]) -> [u8; Block::FRAMES_MAX] {
    let mut copy = [0; Block::FRAMES_MAX];
    copy[..octets.len()].copy_from_slice(octets);
    copy
}

/// What connections said in the block that is being played, where more than the line hears it: a row
/// a pair.
#[derive(Debug)]
pub(crate) struct Rows {
    octets: Box<[u8]>,
}

impl Rows {
    /// Octets of a row.
    pub(crate) const ROW: usize = Block::FRAMES_MAX;

    /// Room for blocks of any length.
    pub(crate) fn new(pairs: usize) -> Self {
        Self { octets: vec![0; pairs * Self::ROW].into() }
    }

    fn silence(&mut self, pair: usize, law: Law) {
        self.row_mut(pair, Self::ROW).fill(law.silence());
    }

    fn row(&self, pair: usize, frames: usize) -> &[u8] {
        &self.octets[pair * Self::ROW..][..frames]
    }

    fn row_mut(&mut self, pair: usize, frames: usize) -> &mut [u8] {
        &mut self.octets[pair * Self::ROW..][..frames]
    }
}
