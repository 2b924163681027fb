//! The filter that learns how the line answers, in the frequency domain and in partitions.
//!
//! The response of the line is kept as the spectra of its pieces, the partitions. A block's echo is the sum
//! of what each of them makes of what was played so long before (overlap-save).
//!
//! What is left of a block once its echo is taken out teaches the filter, each value of each spectrum by
//! itself: the more, the more that value is in doubt, and the less, the more of what is heard is no echo. So
//! whoever talks at the near end does not lead it astray, and no threshold has to say when that is: this is
//! the state of a Kalman filter, of which all but the diagonal is left out (G. Enzner and P. Vary,
//! "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free telephones", 2006).

use crate::dsp::fourier::{BINS, LEN, Spectrum};

/// A filter that learns the echo of one line.
#[derive(Debug)]
pub(super) struct Filter {
    /// Samples of a block.
    hop: usize,
    /// Blocks from one partition to the next.
    stride: usize,
    /// What was played last.
    last: [f32; LEN],
    /// Its spectra, block by block, in a ring.
    played: Box<[Played]>,
    /// Where the last of them is.
    newest: usize,
    /// Blocks of silence since something was played.
    silence: usize,
    partitions: Box<[Partition]>,
    /// What is left of the last blocks, which will be learnt from once there are enough.
    left: [f32; LEN],
    /// Blocks that are learnt from at once, and how many of them there are.
    lesson: usize,
    waiting: usize,
    /// Blocks on end in which tones alone were played.
    tones: usize,
    /// Power of what is heard and is not echo.
    noise: [f32; BINS],
    /// The partition that is looked after next.
    next: usize,
    /// Power of the whole response, and as much of it as has been added up in this round.
    size: [f32; BINS],
    sum: [f32; BINS],
}

/// What was played up to some block.
#[derive(Clone, Copy, Debug)]
struct Played {
    spectrum: Spectrum,
    power: [f32; BINS],
}

/// One piece of the response.
#[derive(Clone, Copy, Debug)]
struct Partition {
    response: Spectrum,
    /// How far off it may be: the power of that.
    doubt: [f32; BINS],
}

impl Filter {
    /// Samples of a block at most.
    pub(super) const HOP_MAX: usize = LEN / 2;

    /// A filter that knows nothing, for blocks of `hop` samples, 8 to 64, and echoes of up to `tail` samples.
    pub(super) fn new(hop: usize, tail: usize) -> Self {
        let (lesson, stride) = Self::shape(hop);
        let n = tail.div_ceil(stride * hop);
        Self {
            hop,
            stride,
            last: [0.0; LEN],
            played: vec![Played::NOTHING; (n - 1) * stride + 1].into(),
            newest: 0,
            silence: 0,
            partitions: vec![Partition::UNKNOWN; n].into(),
            left: [0.0; LEN],
            lesson,
            waiting: 0,
            tones: 0,
            noise: [0.0; BINS],
            next: 0,
            size: [0.0; BINS],
            sum: [0.0; BINS],
        }
    }

    /// Takes a block that is played to the line.
    pub(super) fn play(&mut self, samples: &[f32]) {
        shift(&mut self.last, samples);
        self.newest = (self.newest + 1) % self.played.len();
        self.silence += 1;
        if samples.iter().any(|sample| sample.abs() > SILENCE) {
            self.silence = 0;
        }
        self.played[self.newest] = if self.is_idle() { Played::NOTHING } else { Played::new(&self.last) };
        match self.played[self.newest].breadth() {
            Some(breadth) if breadth < BREADTH_MIN => self.tones += 1,
            Some(_) => self.tones = 0,
            None => {}
        }
    }

    /// The echo of what was played, in the block that is heard now.
    pub(super) fn echo(&self, out: &mut [f32]) {
        if self.is_idle() {
            out.fill(0.0);
            return;
        }
        let mut sum = Spectrum::ZERO;
        for (index, partition) in self.partitions.iter().enumerate() {
            sum.add_product(&self.played[self.place(index)].spectrum, &partition.response);
        }
        out.copy_from_slice(&sum.samples()[LEN - self.hop..]);
    }

    /// Learns from what is left of the block.
    pub(super) fn learn(&mut self, left: &[f32]) {
        // ITU-T G.168 test 6: of tones one can learn how the line answers to them, and forget all the rest.
        if self.is_idle() || self.tones * self.hop > TONES_MAX {
            return;
        }
        shift(&mut self.left, left);
        self.waiting += 1;
        if self.waiting < self.lesson {
            return;
        }
        self.waiting = 0;
        let mut padded = self.left;
        let n = self.lesson * self.hop;
        padded[..LEN - n].fill(0.0);
        self.learn_from(&Spectrum::of(&padded), n as f32 / LEN as f32);
        self.look_after(self.next);
        self.next += 1;
        if self.next == self.partitions.len() {
            self.next = 0;
            self.size = std::mem::replace(&mut self.sum, [0.0; BINS]);
        }
    }

    /// Octets of memory that one takes besides itself.
    pub(super) const fn memory(hop: usize, tail: usize) -> usize {
        let (_, stride) = Self::shape(hop);
        let n = tail.div_ceil(stride * hop);
        ((n - 1) * stride + 1) * size_of::<Played>() + n * size_of::<Partition>()
    }

    /// Blocks in a lesson, and from one partition to the next.
    const fn shape(hop: usize) -> (usize, usize) {
        let lesson = if hop < LESSON { LESSON / hop } else { 1 };
        // The last sample of a lesson has a whole partition behind it.
        (lesson, (LEN + 1 - lesson * hop) / hop)
    }

    /// Forgets the line and what was played to it.
    pub(super) fn restart(&mut self) {
        self.resume();
        self.next = 0;
        self.unlearn();
    }

    /// Forgets what was played to the line.
    pub(super) fn resume(&mut self) {
        self.last = [0.0; LEN];
        self.played.fill(Played::NOTHING);
        (self.left, self.waiting, self.tones) = ([0.0; LEN], 0, 0);
    }

    /// Forgets the line.
    pub(super) fn unlearn(&mut self) {
        self.partitions.fill(Partition::UNKNOWN);
        (self.noise, self.size, self.sum) = ([0.0; BINS], [0.0; BINS], [0.0; BINS]);
    }

    /// `error` is the spectrum of a block that is only `share` of a transform long.
    fn learn_from(&mut self, error: &Spectrum, share: f32) {
        let mut expected = [0.0; BINS];
        for (index, partition) in self.partitions.iter().enumerate() {
            let Played { power, .. } = &self.played[self.place(index)];
            for ((expected, doubt), power) in expected.iter_mut().zip(&partition.doubt).zip(power) {
                *expected += doubt * power;
            }
        }
        let power = error.power();
        let mut gain = [0.0; BINS];
        for k in 0..BINS {
            self.noise[k] += NOISE_STEP * (power[k] - self.noise[k]);
            gain[k] = STEP / (share * expected[k] + self.noise[k] + NOISE_MIN);
        }
        for index in 0..self.partitions.len() {
            let place = self.place(index);
            self.partitions[index].learn(&self.played[place], error, &gain, share);
        }
    }

    /// Does for one partition what is done for one a block: it is cut to its own length, for a transform has
    /// room for more, which belongs to the next one; and it becomes doubtful again, for lines change.
    fn look_after(&mut self, index: usize) {
        let n = self.partitions.len() as f32;
        let Partition { response, doubt } = &mut self.partitions[index];
        let mut samples = response.samples();
        samples[self.stride * self.hop..].fill(0.0);
        *response = Spectrum::of(&samples);
        let own = response.power();
        for k in 0..BINS {
            self.sum[k] += own[k];
            let more = doubt[k] + FORGET * (n * own[k] + SPREAD * self.size[k]);
            doubt[k] = if more < DOUBT_MAX { more } else { DOUBT_MAX };
        }
    }

    /// Whether nothing was played for so long that no echo can be left.
    const fn is_idle(&self) -> bool {
        self.silence > self.played.len() + LEN / self.hop
    }

    /// Where what a partition hears now was kept.
    fn place(&self, partition: usize) -> usize {
        let n = self.played.len();
        (self.newest + n - partition * self.stride) % n
    }
}

impl Played {
    const NOTHING: Self = Self { spectrum: Spectrum::ZERO, power: [0.0; BINS] };

    fn new(samples: &[f32; LEN]) -> Self {
        let spectrum = Spectrum::of(samples);
        Self { spectrum, power: spectrum.power() }
    }
}

impl Played {
    /// Over how many frequencies its power is spread; `None` if there is too little of it.
    fn breadth(&self) -> Option<f32> {
        let (mut sum, mut squares) = (0.0, 0.0);
        for power in &self.power {
            sum += power;
            squares += power * power;
        }
        (sum > NOISE_MIN * BINS as f32).then(|| sum * sum / squares)
    }
}

impl Partition {
    const UNKNOWN: Self = Self { response: Spectrum::ZERO, doubt: [DOUBT_MAX; BINS] };

    fn learn(&mut self, played: &Played, error: &Spectrum, gain: &[f32; BINS], share: f32) {
        let Self { response, doubt } = self;
        let Played { spectrum: Spectrum { re, im }, power } = played;
        for k in 0..BINS {
            let step = gain[k] * doubt[k];
            response.re[k] += step * (re[k] * error.re[k] + im[k] * error.im[k]);
            response.im[k] += step * (re[k] * error.im[k] - im[k] * error.re[k]);
            // With what has been learnt, doubt goes; never all of it, for the gain is less than 1 / share.
            doubt[k] -= share * step * power[k] * doubt[k];
        }
    }
}

/// Moves samples in at the end.
fn shift(all: &mut [f32; LEN], new: &[f32]) {
    all.copy_within(new.len().., 0);
    all[LEN - new.len()..].copy_from_slice(new);
}

/// The sample of silence in A-law; in mu-law it is 0.
const SILENCE: f32 = 8.0;

/// Samples that are learnt from at once, at most, unless a block has more: to learn more often from the same
/// samples would be to believe them twice.
const LESSON: usize = 48;

/// What is spread over fewer frequencies than this is tones: one that lies between two has 3, two have 6.
const BREADTH_MIN: f32 = 7.0;

/// For so many samples, longer than a vowel, tones are taken for speech.
const TONES_MAX: usize = 800;

// The following were found by trial, with the lines, levels and signals of G.168.

/// How much of what a Kalman filter would learn is learnt: it takes the frequencies for independent of each
/// other, which in so short a block they are not.
const STEP: f32 = 0.4;
/// How much of a lesson's power goes into that of the noise: half, so that whoever begins to talk is
/// noticed at once.
const NOISE_STEP: f32 = 0.5;
/// Keeps silence from being learnt from: some -45 dBm0, spread over a spectrum.
const NOISE_MIN: f32 = 1e3;
/// How much of its own power a response is in doubt again after a lesson...
const FORGET: f32 = 0.001;
/// ... and how much of the others': an echo may appear where none was.
const SPREAD: f32 = 0.1;
/// The doubt of what is not known at all: an echo as loud as what is played, in each partition.
const DOUBT_MAX: f32 = 1.0;
