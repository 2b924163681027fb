//! What listens and what plays at one side of a DS0, beside the media that pass there.
//!
//! Each channel has one for its line and each connection one for its peer, from the start; they are
//! looked at only where something was ordered.

use drivers::line::Law;
use drivers::span::Block;

use crate::dsp::dtmf::DtmfReceiver;
use crate::dsp::fax_preamble::FaxPreamble;
use crate::dsp::player::Player;
use crate::dsp::steady_tone::SteadyTones;
use crate::limits::PLAYS_PER_SIDE;
use crate::link::PlayId;
use crate::observation::{DetectorSet, Observation, Sound};
use crate::tone_spec::{Blend, ToneSpec};

/// One side of one DS0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    /// What listens.
    pub ear: Ear,
    /// What plays.
    pub plays: Plays,
}

/// The detectors of one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ear {
    set: DetectorSet,
    dtmf: DtmfReceiver,
    tones: SteadyTones,
    preamble: FaxPreamble,
}

/// The tones that are played to one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plays([Option<(PlayId, Player)>; PLAYS_PER_SIDE]);

impl Station {
    /// Nothing listens, nothing plays.
    pub(crate) const fn new() -> Self {
        Self { ear: Ear::new(), plays: Plays([None; PLAYS_PER_SIDE]) }
    }
}

impl Ear {
    const fn new() -> Self {
        Self {
            set: DetectorSet::NONE,
            dtmf: DtmfReceiver::new(),
            tones: SteadyTones::new(),
            preamble: FaxPreamble::new(),
        }
    }

    /// Listens for these from now on. What is listened for already goes on undisturbed; what is new
    /// knows nothing of what was heard before.
    pub(crate) fn watch(&mut self, set: DetectorSet) {
        let before = std::mem::replace(&mut self.set, set);
        if !before.has(DetectorSet::DTMF) {
            self.dtmf = DtmfReceiver::new();
        }
        if !before.has(DetectorSet::FAX) {
            self.preamble = FaxPreamble::new();
        }
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
        let set = self.set.without(except);
        if set.has(DetectorSet::DTMF) {
            self.dtmf.hear(samples, &mut observe);
        }
        if set.has(DetectorSet::FAX) {
            self.preamble.hear(samples, &mut observe);
        }
        let others = set.without(DetectorSet::DTMF);
        if !others.is_empty() {
            self.tones.hear(others, samples, &mut observe);
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

    /// What is listened for.
    pub(crate) fn set(&self) -> DetectorSet {
        self.set
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
        let linear = law.linear();
        for (sample, octet) in samples[alone..any].iter_mut().zip(&octets[alone..]) {
            *sample += i32::from(linear[usize::from(*octet)]);
        }
        for (octet, sample) in octets[..any].iter_mut().zip(samples) {
            *octet = law.encode((*sample).clamp(i16::MIN.into(), i16::MAX.into()) as i16);
        }
    }
}
