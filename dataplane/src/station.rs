//! What listens and what plays at one side of a DS0, beside the media that pass there.
//!
//! A channel has one for its line, and a connection one for its peer, once an order has wanted it: see
//! [`Gear`](crate::gear::Gear).

use drivers::line::Law;
use drivers::span::Block;

use crate::dsp::call_tones::CallTones;
use crate::dsp::dtmf::{DtmfReceiver, Pressed};
use crate::dsp::fax_preamble::FaxPreamble;
use crate::dsp::octet_run::OctetRun;
use crate::dsp::player::Player;
use crate::dsp::steady_tone::SteadyTones;
use crate::dsp::transponder::Transponder;
use crate::limits::PLAYS_PER_SIDE;
use crate::link::PlayId;
use crate::observation::{DetectorSet, Digit, Observation, Sound};
use crate::tone_spec::{Blend, ToneSpec};

/// One side of one DS0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    /// What listens.
    pub ear: Ear,
    /// What plays.
    pub plays: Plays,
    /// What answers the tones of a continuity test, whatever connections there are.
    pub transponder: Transponder,
}

/// The detectors of one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ear {
    /// What was ordered.
    set: DetectorSet,
    /// What is listened for besides, and told nobody.
    own: DetectorSet,
    /// Whether it was told that the digit that is there has begun.
    is_told: bool,
    dtmf: DtmfReceiver,
    tones: SteadyTones,
    preamble: FaxPreamble,
    call_tones: CallTones,
    run: OctetRun,
}

/// The tones that are played to one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plays([Option<(PlayId, Player)>; PLAYS_PER_SIDE]);

/// A tone that sounds as a digit does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlayedDigit {
    /// The tone.
    pub play: PlayId,
    /// What it sounds as.
    pub digit: Digit,
    /// Its level, in dBm0 with the sign dropped.
    pub volume: u8,
    /// Octets that it goes on; for ever if `None`.
    pub left: Option<u32>,
}

/// What single tones are listened for.
const STEADY: DetectorSet = DetectorSet::FAX
    .with(DetectorSet::ANSWER)
    .with(DetectorSet::CHECK)
    .with(DetectorSet::MILLIWATT)
    .with(DetectorSet::TEST_PROGRESS);

impl Station {
    /// Nothing listens, nothing plays.
    pub(crate) const fn new() -> Self {
        Self { ear: Ear::new(), plays: Plays([None; PLAYS_PER_SIDE]), transponder: Transponder::new() }
    }
}

impl Ear {
    const fn new() -> Self {
        Self {
            set: DetectorSet::NONE,
            own: DetectorSet::NONE,
            is_told: false,
            dtmf: DtmfReceiver::new(),
            tones: SteadyTones::new(),
            preamble: FaxPreamble::new(),
            call_tones: CallTones::new(),
            run: OctetRun::new(),
        }
    }

    /// Listens for these from now on. What is listened for already goes on undisturbed; what is new
    /// knows nothing of what was heard before.
    pub(crate) fn watch(&mut self, set: DetectorSet) {
        self.listen(set, self.own);
    }

    /// Listens for digits from now on whether anyone is told of them or not, or no longer.
    pub(crate) fn follow_digits(&mut self, is_wanted: bool) {
        let own = if is_wanted { DetectorSet::DTMF } else { DetectorSet::NONE };
        self.listen(self.set, own);
    }

    fn listen(&mut self, set: DetectorSet, own: DetectorSet) {
        let before = self.set.with(self.own);
        (self.set, self.own) = (set, own);
        self.is_told &= set.has(DetectorSet::DTMF);
        if !before.has(DetectorSet::DTMF) {
            self.dtmf = DtmfReceiver::new();
        }
        if !before.has(DetectorSet::FAX) {
            self.preamble = FaxPreamble::new();
        }
        if !before.has(DetectorSet::OCTET) {
            self.run = OctetRun::new();
        }
        let (plan, tones) = set.call_tones();
        self.call_tones.listen(plan, tones);
        self.tones.forget(set.without(before));
    }

    /// Listens to octets of the line, or of what the line would hear, for all but `except`.
    pub(crate) fn hear(
        &mut self,
        except: DetectorSet,
        law: Law,
        octets: &[u8],
        mut observe: impl FnMut(Observation, u32),
    ) {
        let mut samples = [0.0; Block::FRAMES_MAX];
        let samples = law.samples(octets, &mut samples);
        let set = self.set.with(self.own).without(except);
        if set.has(DetectorSet::DTMF) {
            let Self { set: ordered, is_told, dtmf, .. } = self;
            dtmf.hear(samples, |what, ago| {
                if let Observation::Began(_) = what {
                    *is_told = ordered.has(DetectorSet::DTMF);
                }
                if *is_told {
                    observe(what, ago);
                }
            });
        }
        if set.has(DetectorSet::FAX) {
            self.preamble.hear(samples, &mut observe);
        }
        if set.has(STEADY) {
            self.tones.hear(set, samples, &mut observe);
        }
        if set.has(DetectorSet::CALL_TONES) {
            self.call_tones.hear(samples, &mut observe);
        }
        if set.has(DetectorSet::OCTET) {
            self.run.hear(octets, &mut observe);
        }
    }

    /// Takes note of a digit that came otherwise than in the audio. A digit that was being heard is over,
    /// or is the same one, heard sooner.
    pub(crate) fn told(&mut self, what: Observation, mut observe: impl FnMut(Observation)) {
        if !self.set.has(DetectorSet::DTMF) {
            return;
        }
        let heard = self.dtmf.interrupt();
        if let Some((digit, ms)) = heard
            && what != Observation::Began(Sound::Digit(digit))
        {
            observe(Observation::Ended { sound: Sound::Digit(digit), ms });
        } else if heard.is_some() {
            return;
        }
        observe(what);
    }

    /// The digit that is there now, if digits are followed.
    pub(crate) fn pressed(&self) -> Option<Pressed> {
        if self.follows_digits() { self.dtmf.pressed() } else { None }
    }

    /// Whether digits are listened for whether anyone is told or not.
    pub(crate) const fn follows_digits(&self) -> bool {
        self.own.has(DetectorSet::DTMF)
    }

    /// Whether the digit that is there now, or may be, is to be kept from the connections.
    pub(crate) fn withholds(&self) -> bool {
        self.set.has(DetectorSet::DTMF)
            && self.dtmf.suspected().is_some_and(|digit| self.set.withholds(digit))
    }

    /// Whether it is listened for the tones or octets of a test, which must come back as they were sent.
    pub(crate) const fn tests(&self) -> bool {
        let tones = DetectorSet::CHECK.with(DetectorSet::MILLIWATT).with(DetectorSet::TEST_PROGRESS);
        self.set.has(tones.with(DetectorSet::OCTET))
    }

    /// Whether nothing is listened for.
    pub(crate) const fn is_idle(&self) -> bool {
        self.set.with(self.own).is_empty()
    }
}

impl Plays {
    /// Begins to play a tone.
    ///
    /// # Panics
    /// If there is no room for it, which control's plan must have seen.
    pub(crate) fn start(&mut self, play: PlayId, tone: ToneSpec, law: Law) {
        let free = self.0.iter_mut().find(|place| place.is_none());
        *free.expect("control keeps to PLAYS_PER_SIDE") = Some((play, Player::new(tone, law)));
    }

    /// Stops a tone, if it is still played.
    pub(crate) fn stop(&mut self, play: PlayId) {
        for place in &mut self.0 {
            if place.is_some_and(|(one, _)| one == play) {
                *place = None;
            }
        }
    }

    /// The digit that sounds next, if a tone that is played is one.
    pub(crate) fn digit(&self) -> Option<PlayedDigit> {
        self.0.iter().flatten().find_map(|(play, player)| {
            let (digit, volume) = player.digit()?;
            Some(PlayedDigit { play: *play, digit, volume, left: player.left() })
        })
    }

    /// Whether a tone is played that hides all else.
    pub(crate) fn are_alone(&self) -> bool {
        self.0.iter().flatten().any(|(_, player)| player.blend() == Blend::Alone)
    }

    /// Whether nothing is played.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Puts the tones into `octets`, which hold what else is to be heard, and tells which have ended.
    pub(crate) fn sound(&mut self, law: Law, octets: &mut [u8], mut observe: impl FnMut(Observation)) {
        let mut samples = [0; Block::FRAMES_MAX];
        let samples = &mut samples[..octets.len()];
        // Up to where there is a tone, and one that wants to be alone.
        let (mut any, mut alone) = (0, 0);
        for place in &mut self.0 {
            let Some((play, player)) = place else { continue };
            let ended = player.add(samples);
            let until = ended.unwrap_or(samples.len());
            any = any.max(until);
            if player.blend() == Blend::Alone {
                alone = alone.max(until);
            }
            if ended.is_some() {
                observe(Observation::PlayEnded(*play));
                *place = None;
            }
        }
        // RFC 3660 §2.3, T/tp: a pattern is what the line has, not how it sounds.
        if let Some(octet) = self.0.iter().flatten().find_map(|(_, player)| player.raw()) {
            octets.fill(octet);
            return;
        }
        let linear = law.linear();
        for (sample, octet) in samples[alone..any].iter_mut().zip(&octets[alone..]) {
            *sample += i32::from(linear[usize::from(*octet)]);
        }
        for (octet, sample) in octets[..any].iter_mut().zip(samples) {
            *octet = law.encode((*sample).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
    }
}
