//! The tests of ITU-T G.168 that can be done to a canceller by itself, with its lines (annex D) and its
//! composite source signal (annex C).

use drivers::span::sim::{EchoPath, LineModel};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::dsp::tone::Oscillator;

const LAW: Law = Law::A;
const FRAMES: usize = 40;
const SECOND: usize = 8_000;

const USUAL: EchoSettings = EchoSettings { tail_ms: 64, suppresses: true, comforts: false };
const BARE: EchoSettings = EchoSettings { suppresses: false, ..USUAL };

/// A canceller on a line with echoes.
struct Line {
    canceller: EchoCanceller,
    echoes: Vec<EchoPath>,
    frames: usize,
    rng: StdRng,
    noise_dbm0: Option<f64>,
}

/// What came from the line: the echo alone, all of it, and what the canceller made of it.
#[derive(Default)]
struct Passed {
    echo: Vec<f32>,
    heard: Vec<u8>,
    clean: Vec<u8>,
}

impl Line {
    fn new(settings: EchoSettings, model: LineModel, loss_db: f64) -> Self {
        let canceller = EchoCanceller::new(settings, FRAMES);
        let echoes = vec![EchoPath::new(model, loss_db, 40)];
        Self { canceller, echoes, frames: FRAMES, rng: StdRng::seed_from_u64(7), noise_dbm0: None }
    }

    /// Plays `far` to the line, on whose other end `near` is said.
    fn pass(&mut self, far: &[f32], near: &[f32]) -> Passed {
        let mut all = Passed::default();
        for (at, far) in far.chunks_exact(self.frames).enumerate().map(|(n, far)| (n * self.frames, far)) {
            let tx = encode(far);
            let mut echo = vec![0.0; far.len()];
            let played = decode(&tx);
            self.echoes.iter_mut().for_each(|path| path.add(&played, &mut echo));
            let mut heard = echo.clone();
            let noise = self.noise_dbm0.map_or(0.0, |dbm0| amplitude(dbm0) * 1.5f32.sqrt());
            for (n, sample) in heard.iter_mut().enumerate() {
                *sample += near.get(at + n).unwrap_or(&0.0);
                *sample += noise * self.rng.random_range(-1.0..1.0);
            }
            let rx = encode(&heard);
            self.canceller.play(LAW, &tx);
            self.canceller.hear(LAW, &rx);
            all.clean.extend(self.canceller.clean(rx.len()));
            all.heard.extend(rx);
            all.echo.extend(echo);
        }
        all
    }
}

impl Passed {
    /// By how much the echo has become fainter from `from` on, in dB, if nobody has talked.
    fn enhancement(&self, from: usize) -> f64 {
        dbm0(&self.echo[from..]) - dbm0(&decode(&self.clean[from..]))
    }

    /// The level of what is left from `from` on, and of what is in it besides `near`, in dBm0.
    fn left(&self, from: usize) -> f64 {
        dbm0(&decode(&self.clean[from..]))
    }

    fn off(&self, near: &[f32], from: usize) -> f64 {
        let clean = decode(&self.clean);
        let off: Vec<f32> = clean.iter().zip(near).map(|(clean, near)| clean - near).skip(from).collect();
        dbm0(&off)
    }
}

fn encode(samples: &[f32]) -> Vec<u8> {
    samples.iter().map(|sample| LAW.encode(sample.round() as i16)).collect()
}

fn decode(octets: &[u8]) -> Vec<f32> {
    octets.iter().map(|octet| LAW.decode(*octet).into()).collect()
}

/// The amplitude of a sine of this level.
fn amplitude(dbm0: f64) -> f32 {
    LAW.amplitude(dbm0) as f32
}

/// The level of samples; silence in A-law is -66 dBm0, for it is not quite 0.
fn dbm0(samples: &[f32]) -> f64 {
    let power = f64::from(mean_power(samples).max(1e-3));
    10.0 * (2.0 * power / LAW.amplitude(0.0).powi(2)).log10()
}

/// The composite source signal: 48.62 ms of voice, 200 ms of noise and a pause, over and over, inverted each
/// time. It has this level where it is not silent.
fn composite(voice: &[i16], pause_ms: f64, level: f64, samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sign = 1.0;
    let mut all = Vec::new();
    while all.len() < samples {
        // The table has 44,100 samples a second.
        let mut active: Vec<f32> = (0..389)
            .map(|n| {
                let at = f64::from(n) * 44.1 / 8.0;
                let sample = |index: usize| f32::from(voice[index % voice.len()]);
                let part = at.fract() as f32;
                sample(at as usize) * (1.0 - part) + sample(at as usize + 1) * part
            })
            .collect();
        let voiced = mean_power(&active);
        let mut low = 0.0;
        let noise: Vec<f32> = (0..1_600)
            .map(|_| {
                low = 0.6 * low + rng.random_range(-1.0..1.0);
                low
            })
            .collect();
        let scale = (voiced / mean_power(&noise)).sqrt();
        active.extend(noise.iter().map(|sample| sample * scale));
        let scale = sign * amplitude(level) / (2.0 * voiced).sqrt();
        all.extend(active.iter().map(|sample| sample * scale));
        all.extend(std::iter::repeat_n(0.0, (pause_ms * 8.0) as usize));
        sign = -sign;
    }
    all.truncate(samples);
    all
}

fn far(level: f64, samples: usize) -> Vec<f32> {
    composite(&CSS_C1, 101.38, level, samples, 1)
}

fn near(level: f64, samples: usize) -> Vec<f32> {
    composite(&CSS_C3, 127.0, level, samples, 2)
}

fn tone(hz: f64, level: f64, samples: usize) -> Vec<f32> {
    let mut oscillator = Oscillator::new(LAW, hz, level);
    (0..samples).map(|_| oscillator.sample() as f32).collect()
}

/// 2,100 Hz whose phase turns every 450 ms.
fn turning(level: f64, samples: usize) -> Vec<f32> {
    let sign = |n: usize| if (n / 3_600).is_multiple_of(2) { 1.0 } else { -1.0 };
    tone(2_100.0, level, samples).iter().enumerate().map(|(n, sample)| sample * sign(n)).collect()
}

/// Each line once with each of three losses and levels.
fn lines() -> impl Iterator<Item = (usize, LineModel, f64, f64)> {
    LineModel::ALL.into_iter().enumerate().flat_map(|(n, model)| {
        [(6.0, -10.0), (10.0, -20.0), (20.0, -30.0)].map(|(loss_db, level)| (n, model, loss_db, level))
    })
}

// G.168 test 2A: the returned echo after a second, and a second after the line has become another.
#[test]
fn after_a_second_no_echo_is_heard_and_no_later_after_the_line_has_changed() {
    for (n, model, loss_db, level) in lines() {
        let mut line = Line::new(USUAL, model, loss_db);
        let said = far(level, 3 * SECOND / 2);
        let passed = line.pass(&said, &[]);
        let left = passed.left(SECOND);
        assert!(left <= -65.0, "{model:?}, {loss_db} dB, {level} dBm0: {left}");
        line.echoes = vec![EchoPath::new(LineModel::ALL[(n + 3) % 8], loss_db, 120)];
        let left = line.pass(&said, &[]).left(SECOND);
        assert!(left <= -65.0, "{model:?}, {loss_db} dB, {level} dBm0, another line: {left}");
    }
}

// G.168 test 2B: what the filter alone does.
#[test]
fn the_filter_alone_takes_20_db_in_a_second_and_30_in_five() {
    for model in LineModel::ALL {
        for (loss_db, level) in [(6.0, -10.0), (10.0, -15.0)] {
            let mut line = Line::new(BARE, model, loss_db);
            let said = far(level, 6 * SECOND);
            let passed = line.pass(&said, &[]);
            let after = |from: usize, to: usize| {
                dbm0(&passed.echo[from..to]) - dbm0(&decode(&passed.clean[from..to]))
            };
            let (half, one, five) =
                (after(4_000, 6_000), after(SECOND, 5 * SECOND / 4), after(5 * SECOND, 6 * SECOND));
            println!("{model:?} {loss_db} dB {level} dBm0: {half:.1} {one:.1} {five:.1} dB");
            assert!(one >= 20.0, "{model:?}, {loss_db} dB, {level} dBm0: {one} dB after a second");
            assert!(five >= 30.0, "{model:?}, {loss_db} dB, {level} dBm0: {five} dB after five");
        }
    }
}

// G.168 test 2C: with noise at the near end, no more than that is left.
#[test]
fn noise_does_not_keep_the_filter_from_learning() {
    for model in LineModel::ALL {
        let mut line = Line { noise_dbm0: Some(-40.0), ..Line::new(BARE, model, 8.0) };
        let left = line.pass(&far(-10.0, 2 * SECOND), &[]).left(SECOND);
        assert!(left <= -38.0, "{model:?}: {left}");
    }
}

// G.168 test 3A: someone talks softly, or just as loud, while the filter is learning.
#[test]
fn talk_at_the_near_end_while_the_filter_learns_only_delays_it() {
    for model in LineModel::ALL {
        let mut line = Line::new(BARE, model, 6.0);
        let talk = near(-30.0, 2 * SECOND);
        let passed = line.pass(&far(-15.0, 2 * SECOND), &talk);
        let off = passed.off(&talk, 3 * SECOND / 2);
        assert!(off <= -30.0, "{model:?}: {off} dBm0 of echo below a talker of -30");
    }
}

// G.168 test 3B: both talk, as loud as each other, once it has learnt.
#[test]
fn two_who_talk_at_a_time_do_not_lead_the_filter_astray() {
    for model in LineModel::ALL {
        let mut line = Line::new(BARE, model, 6.0);
        let said = far(-15.0, 4 * SECOND);
        let before = line.pass(&said, &[]).enhancement(3 * SECOND);
        let talk = near(-15.0, 4 * SECOND);
        let passed = line.pass(&said, &talk);
        let during = dbm0(&passed.echo[SECOND..]) - passed.off(&talk, SECOND);
        let after = line.pass(&said[..SECOND], &[]).enhancement(0);
        println!("{model:?}: {before:.1} {during:.1} {after:.1} dB");
        assert!(during >= 15.0, "{model:?}: {during} dB while both talk, {before} before");
        assert!(after >= before - 10.0, "{model:?}: {after} dB after, {before} before");
    }
}

#[test]
fn who_talks_at_the_near_end_alone_is_heard_unchanged() {
    let mut line = Line::new(USUAL, LineModel::D4, 6.0);
    line.pass(&far(-15.0, 2 * SECOND), &[]);
    line.pass(&vec![0.0; SECOND], &[]);
    let passed = line.pass(&vec![0.0; 2 * SECOND], &near(-15.0, 2 * SECOND));
    assert_eq!(passed.clean, passed.heard);
}

// G.168 test 3C: who talks while the other does is not cut off.
#[test]
fn who_talks_while_the_other_does_is_not_suppressed() {
    for model in LineModel::ALL {
        let mut line = Line::new(USUAL, model, 6.0);
        line.pass(&far(-15.0, 3 * SECOND), &[]);
        let talk = near(-15.0, 3 * SECOND);
        let passed = line.pass(&far(-15.0, 3 * SECOND), &talk);
        let (said, heard) = (dbm0(&talk), passed.left(0));
        assert!((said - heard).abs() < 1.0, "{model:?}: {said} dBm0 were said and {heard} heard");
    }
}

// G.168 test 4: two minutes without anything to learn from.
#[test]
fn what_was_learnt_is_kept_in_silence() {
    let mut line = Line { noise_dbm0: Some(-60.0), ..Line::new(BARE, LineModel::D5, 6.0) };
    let before = line.pass(&far(-10.0, 4 * SECOND), &[]).enhancement(3 * SECOND);
    line.pass(&vec![0.0; 120 * SECOND], &[]);
    let after = line.pass(&far(-10.0, SECOND / 4), &[]).enhancement(0);
    assert!(after >= before - 10.0, "{after} dB, {before} before");
}

// G.168 test 5: a line without echo gets none.
#[test]
fn where_there_is_no_echo_none_is_made() {
    let mut line = Line::new(BARE, LineModel::D2, 6.0);
    line.pass(&far(-10.0, 2 * SECOND), &[]);
    line.echoes.clear();
    let left = line.pass(&far(-10.0, 2 * SECOND), &[]).left(SECOND);
    assert!(left <= -37.0, "{left}");
}

// G.168 tests 6 and 7: tones say little of a line, and must not make it forgotten.
#[test]
fn tones_do_not_make_the_filter_forget_the_line() {
    let pairs =
        [(697.0, None), (1_633.0, None), (1_004.0, None), (697.0, Some(1_209.0)), (941.0, Some(1_633.0))];
    for (model, (first, second)) in LineModel::ALL.into_iter().zip(pairs) {
        let mut line = Line::new(BARE, model, 8.0);
        let before = line.pass(&far(-10.0, 4 * SECOND), &[]).enhancement(3 * SECOND);
        println!("{model:?} {first} {second:?}: {before:.1}");
        let mut tones = tone(first, -11.0, 20 * SECOND);
        if let Some(second) = second {
            let second = tone(second, -11.0, tones.len());
            tones.iter_mut().zip(second).for_each(|(sum, sample)| *sum += sample);
        }
        let during = line.pass(&tones, &[]).enhancement(SECOND);
        let after = line.pass(&far(-10.0, SECOND / 4), &[]).enhancement(0);
        println!("{during:.1} {after:.1} dB");
        assert!(during >= 25.0, "{model:?}, {first} Hz: {during} dB of the tone itself");
        assert!(after >= before - 10.0, "{model:?}, {first} Hz: {after} dB after it, {before} before");
    }
}

// G.168 test 9: within a second, and 2 dB.
#[test]
fn comfort_noise_is_as_loud_as_the_lines_own() {
    for level in [-55.0, -45.0, -50.0] {
        let settings = EchoSettings { comforts: true, ..USUAL };
        let mut line = Line { noise_dbm0: Some(-60.0), ..Line::new(settings, LineModel::D3, 8.0) };
        line.pass(&far(-10.0, 3 * SECOND), &[]);
        line.noise_dbm0 = Some(level);
        line.pass(&vec![0.0; SECOND], &[]);
        let passed = line.pass(&tone(1_004.0, -10.0, SECOND / 2), &[]);
        let off = passed.left(2_000) - level;
        assert!(off.abs() <= 2.0, "{level}: {off} dB off");
    }
}

// G.168 §7, and tests 10 and 14: modems get the line as it is, from either end, until they are silent.
#[test]
fn an_answer_tone_whose_phase_turns_ends_it_until_the_line_is_silent() {
    for is_far in [false, true] {
        let mut line = Line::new(USUAL, LineModel::D6, 8.0);
        line.pass(&far(-10.0, 2 * SECOND), &[]);
        let (answer, none) = (turning(-12.0, 2 * SECOND), vec![0.0; 2 * SECOND]);
        let (to, from) = if is_far { (&answer, &none) } else { (&none, &answer) };
        let passed = line.pass(to, from);
        assert_eq!(passed.clean[SECOND..], passed.heard[SECOND..], "within a second; far: {is_far}");
        let passed = line.pass(&far(-10.0, 2 * SECOND), &near(-10.0, 2 * SECOND));
        assert_eq!(passed.clean, passed.heard, "as long as there are signals; far: {is_far}");
        line.pass(&vec![0.0; 800], &[]);
        let passed = line.pass(&far(-10.0, 800), &[]);
        assert_eq!(passed.clean, passed.heard, "100 ms are no end; far: {is_far}");
        line.pass(&vec![0.0; 3_200], &[]);
        let left = line.pass(&far(-10.0, SECOND), &[]).left(SECOND / 2);
        assert!(left <= -65.0, "after 400 ms there is a canceller again: {left}; far: {is_far}");
    }
}

// G.168 §7: a facsimile's plain answer tone does not, but nothing is cut off any more.
#[test]
fn an_answer_tone_without_turns_ends_suppression_only() {
    let mut line = Line::new(USUAL, LineModel::D6, 8.0);
    line.pass(&far(-10.0, 2 * SECOND), &[]);
    line.pass(&vec![0.0; SECOND], &tone(2_100.0, -12.0, SECOND));
    let passed = line.pass(&far(-10.0, SECOND), &[]);
    assert!(passed.left(0) > -64.0, "what is left stays: {}", passed.left(0));
    assert!(passed.enhancement(0) > 20.0, "and the echo is cancelled: {}", passed.enhancement(0));
}

#[test]
fn an_echo_that_comes_as_late_as_the_tail_is_cancelled_and_three_of_them_too() {
    let mut line = Line::new(EchoSettings { tail_ms: 128, ..BARE }, LineModel::D2, 8.0);
    line.echoes = vec![
        EchoPath::new(LineModel::D2, 10.0, 20),
        EchoPath::new(LineModel::D6, 12.0, 400),
        EchoPath::new(LineModel::D9, 12.0, 900),
    ];
    let passed = line.pass(&far(-10.0, 6 * SECOND), &[]);
    let (two, five) = (passed.enhancement(2 * SECOND), passed.enhancement(5 * SECOND));
    assert!(two >= 20.0 && five >= 28.0, "{two} dB after two seconds, {five} after five");
}

#[test]
fn blocks_of_any_length_do() {
    for ms in 1..=20 {
        let frames = ms * SAMPLES_PER_MS;
        let mut line = Line::new(BARE, LineModel::D2, 8.0);
        (line.canceller, line.frames) = (EchoCanceller::new(BARE, frames), frames);
        let said = far(-10.0, 3 * SECOND);
        let enhancement = line.pass(&said, &[]).enhancement(2 * SECOND);
        assert!(enhancement >= 25.0, "{ms} ms: {enhancement} dB");
    }
}

#[test]
fn octets_without_echo_pass_as_they_are() {
    for law in [Law::A, Law::Mu] {
        let mut canceller = EchoCanceller::new(USUAL, 128);
        let all: Vec<u8> = (0..=255).collect();
        for half in all.chunks(128) {
            canceller.play(law, &[law.silence(); 128]);
            canceller.hear(law, half);
            assert_eq!(canceller.clean(half.len()), half);
        }
    }
}

#[test]
fn after_a_restart_nothing_is_known_of_the_call_before() {
    let mut line = Line::new(USUAL, LineModel::D2, 8.0);
    line.pass(&turning(-12.0, SECOND), &[]);
    line.canceller.restart();
    let fresh = Line::new(USUAL, LineModel::D2, 8.0).pass(&far(-10.0, SECOND), &[]);
    line.echoes = vec![EchoPath::new(LineModel::D2, 8.0, 40)];
    assert_eq!(line.pass(&far(-10.0, SECOND), &[]).clean, fresh.clean);
}

/// Who hears the line after a pause hears no echo of what was said before it, and the line is known still.
#[test]
fn after_a_pause_the_line_is_known_and_what_was_said_is_forgotten() {
    let mut line = Line::new(BARE, LineModel::D2, 8.0);
    line.pass(&far(-10.0, 3 * SECOND), &[]);
    line.canceller.resume();
    line.echoes = vec![EchoPath::new(LineModel::D2, 8.0, 40)];
    let silent = vec![0.0; SECOND / 8];
    let alone = line.pass(&silent, &near(-20.0, SECOND / 8));
    assert_eq!(alone.clean, alone.heard);
    let enhancement = line.pass(&far(-10.0, SECOND / 2), &[]).enhancement(0);
    assert!(enhancement >= 20.0, "{enhancement} dB at once");
}

/// The voice of the far end (table C.1).
static CSS_C1: [i16; 134] = [
    -155, 276, 517, 578, 491, 302, 86, -103, -207, -198, 60, 190, 543, 948, 1_362, 1_741, 2_043, 2_276,
    2_422, 2_500, 2_552, 2_595, 2_655, 2_758, 2_896, 3_060, 3_224, 3_370, 3_500, 3_569, 3_603, 3_603, 3_595,
    3_586, 3_595, 3_638, 3_724, 3_819, 3_922, 4_000, 4_043, 4_034, 3_974, 3_862, 3_724, 3_577, 3_439, 3_336,
    3_267, 3_224, 3_198, 3_172, 3_129, 3_043, 2_914, 2_750, 2_560, 2_353, 2_155, 1_991, 1_853, 1_750, 1_672,
    1_603, 1_534, 1_440, 1_310, 1_146, 965, 776, 603, 448, 345, 276, 250, 250, 267, 267, 241, 190, 103, -9,
    -138, -267, -388, -491, -569, -638, -698, -759, -813, -888, -957, -1_034, -1_103, -1_146, -1_181, -1_190,
    -1_198, -1_215, -1_259, -1_327, -1_457, -1_629, -1_853, -2_121, -2_414, -2_707, -3_017, -3_319, -3_612,
    -3_913, -4_224, -4_560, -4_922, -5_301, -5_715, -6_137, -6_560, -6_948, -7_301, -7_568, -7_732, -7_758,
    -7_620, -7_310, -6_810, -6_155, -5_344, -4_439, -3_474, -2_508, -1_595, -802,
];

/// The voice of the near end (table C.3).
static CSS_C3: [i16; 229] = [
    -198, -112, -9, 103, 233, 388, 543, 724, 896, 1_060, 1_233, 1_388, 1_517, 1_638, 1_747, 1_810, 1_845,
    1_845, 1_802, 1_707, 1_569, 1_379, 1_146, 871, 560, 233, -121, -491, -871, -1_250, -1_638, -2_043,
    -2_465, -2_896, -3_345, -3_819, -4_310, -4_810, -5_319, -5_836, -6_353, -6_853, -7_353, -7_836, -8_292,
    -8_715, -9_077, -9_370, -9_542, -9_542, -9_361, -8_956, -8_327, -7_465, -6_396, -5_163, -3_827, -2_448,
    -1_103, 155, 1_293, 2_241, 3_034, 3_655, 4_138, 4_517, 4_827, 5_094, 5_344, 5_594, 5_827, 6_043, 6_215,
    6_344, 6_413, 6_422, 6_379, 6_310, 6_215, 6_120, 6_051, 6_000, 5_991, 5_991, 6_000, 6_008, 5_991, 5_939,
    5_853, 5_715, 5_560, 5_387, 5_215, 5_043, 4_879, 4_732, 4_586, 4_439, 4_276, 4_086, 3_870, 3_629, 3_370,
    3_086, 2_801, 2_534, 2_267, 2_034, 1_819, 1_612, 1_422, 1_224, 1_026, 819, 603, 388, 181, 9, -181, -328,
    -448, -543, -629, -707, -784, -871, -948, -1_026, -1_112, -1_181, -1_241, -1_276, -1_293, -1_302, -1_293,
    -1_267, -1_250, -1_233, -1_224, -1_224, -1_224, -1_224, -1_215, -1_198, -1_172, -1_129, -1_077, -1_026,
    -974, -922, -888, -871, -845, -828, -810, -793, -767, -741, -698, -672, -638, -603, -595, -586, -595,
    -603, -621, -629, -938, -638, -638, -638, -638, -638, -647, -664, -690, -724, -767, -793, -819, -845,
    -853, -871, -879, -888, -896, -922, -948, -974, -1_009, -1_026, -1_052, -1_069, -1_077, -1_069, -1_060,
    -1_060, -1_052, -1_043, -1_043, -1_052, -1_060, -1_060, -1_060, -1_052, -1_034, -1_017, -991, -957, -931,
    -905, -888, -862, -845, -819, -793, -767, -724, -672, -621, -560, -509, -457, -397, -345, -276, -207,
    -112,
];
