//! What signals sound like: the tones of ITU-T E.180, E.182 and Q.23.
//!
//! Frequencies are those that E.180 recommends (425 Hz), cadences those of ETSI TR 101 041-2; for
//! tones that are North American alone, those of Telcordia GR-506.

use dataplane::link::{Blend, CheckTone, Digit, Frequency, Step, ToneSpec};

use crate::endpoint::signal::Signal;
use crate::mgcp::event::{Parameter, Parameters};
use crate::package::ability::{Making, Tone};

/// What a signal sounds like; nothing if it makes no sound.
pub fn of(signal: &Signal) -> Option<ToneSpec> {
    match signal.key.event.making()? {
        Making::Tone(tone) => of_tone(tone, &signal.asked.parameters),
        Making::RingbackOn => Some(RINGBACK),
        Making::Digit(digit) => Some(ToneSpec::dtmf(digit, DIGIT_DBM0, DIGIT_MS, DIGIT_MS)),
        Making::LongDigit => long_digit(&signal.asked.parameters),
        Making::Continuity(tone) | Making::NetworkContinuity(tone) => Some(check_tone(tone)),
        // Not offered, or silent.
        Making::Nothing
        | Making::List
        | Making::Transponder
        | Making::Loopback
        | Making::TestPattern
        | Making::Pattern
        | Making::Answer
        | Making::Blocking => None,
    }
}

fn of_tone(tone: Tone, parameters: &Parameters) -> Option<ToneSpec> {
    Some(match tone {
        Tone::Ringback => RINGBACK,
        Tone::Busy => BUSY,
        Tone::Congestion | Tone::Reorder => CONGESTION,
        Tone::Confirmation => CONFIRMATION,
        Tone::Intercept => INTERCEPT,
        Tone::Preemption => PREEMPTION,
        Tone::PermanentSignal => PERMANENT_SIGNAL,
        Tone::SpecialInformation => special_information(parameters),
        Tone::NoCircuit => SPECIAL_INFORMATION[2],
        Tone::Milliwatt1000 => MILLIWATT_1000,
        Tone::Milliwatt1004 => MILLIWATT_1004,
        Tone::Milliwatt1013 => MILLIWATT_1013,
        Tone::Quiet => ToneSpec::QUIET,
        Tone::TestProgress => TEST_PROGRESS,
    })
}

/// Of each of a digit's two frequencies, the low one (ITU-T Q.23, Q.24: well above -25 dBm).
const DIGIT_DBM0: i8 = -10;

/// A digit and the pause behind it: twice what Q.24 has receivers recognise.
const DIGIT_MS: u16 = 80;

const DBM0: i8 = -13;

const RINGBACK: ToneSpec = cadence(&[Frequency::hz(425, DBM0)], 1_000, 4_000);
const BUSY: ToneSpec = cadence(&[Frequency::hz(425, DBM0)], 500, 500);
const CONGESTION: ToneSpec = cadence(&[Frequency::hz(425, DBM0)], 250, 250);
const PREEMPTION: ToneSpec =
    ToneSpec::steady(&[Frequency::hz(440, DBM0), Frequency::hz(620, DBM0)], Blend::Alone);
const PERMANENT_SIGNAL: ToneSpec = ToneSpec::steady(&[Frequency::hz(480, DBM0)], Blend::Alone);
const MILLIWATT_1000: ToneSpec = ToneSpec::steady(&[Frequency::hz(1_000, 0)], Blend::Alone);
const MILLIWATT_1004: ToneSpec = ToneSpec::steady(&[Frequency::hz(1_004, 0)], Blend::Alone);
const MILLIWATT_1013: ToneSpec = ToneSpec::steady(&[Frequency { decihertz: 10_138, dbm0: 0 }], Blend::Alone);
const TEST_PROGRESS: ToneSpec = ToneSpec::steady(&[Frequency::hz(2_225, DBM0)], Blend::Alone);

/// RFC 3660 §2.1: 0.1 s on, 0.1 s off, three times.
const CONFIRMATION: ToneSpec = ToneSpec::new(
    &[Frequency::hz(350, DBM0), Frequency::hz(440, DBM0)],
    &[
        Step::first(2, 100),
        Step::pause(100),
        Step::first(2, 100),
        Step::pause(100),
        Step::first(2, 100),
        Step::pause(100),
    ],
    None,
    Blend::Alone,
);

const INTERCEPT: ToneSpec = ToneSpec::new(
    &[Frequency::hz(440, DBM0), Frequency::hz(620, DBM0)],
    &[Step { sounding: 1, ms: 250 }, Step { sounding: 2, ms: 250 }],
    Some(0),
    Blend::Alone,
);

/// By the parameter of `sit`, from 1 (RFC 3660 §2.3): high or low, long or short, each of the three.
const SPECIAL_INFORMATION: [ToneSpec; 7] = [
    special([LOW, HIGH, LOW], [276, 380, 380]),
    special([HIGH, LOW, LOW], [276, 380, 380]),
    special([HIGH, HIGH, LOW], [380, 380, 380]),
    special([LOW, LOW, LOW], [380, 380, 380]),
    special([LOW, LOW, LOW], [276, 276, 380]),
    special([HIGH, LOW, LOW], [380, 276, 380]),
    special([LOW, HIGH, LOW], [380, 276, 380]),
];

const LOW: usize = 0;
const HIGH: usize = 1;

const fn special(pitch: [usize; 3], ms: [u16; 3]) -> ToneSpec {
    const DECIHERTZ: [[u16; 2]; 3] = [[9_138, 9_852], [13_706, 14_285], [17_767, 17_767]];
    let frequencies = [
        Frequency { decihertz: DECIHERTZ[0][pitch[0]], dbm0: DBM0 },
        Frequency { decihertz: DECIHERTZ[1][pitch[1]], dbm0: DBM0 },
        Frequency { decihertz: DECIHERTZ[2][pitch[2]], dbm0: DBM0 },
    ];
    let steps = [
        Step { sounding: 1, ms: ms[0] },
        Step { sounding: 2, ms: ms[1] },
        Step { sounding: 4, ms: ms[2] },
        Step::pause(1_000),
    ];
    ToneSpec::new(&frequencies, &steps, Some(0), Blend::Alone)
}

const fn cadence(frequencies: &[Frequency], on_ms: u16, off_ms: u16) -> ToneSpec {
    let steps = [Step::first(frequencies.len(), on_ms), Step::pause(off_ms)];
    ToneSpec::new(frequencies, &steps, Some(0), Blend::Alone)
}

/// ITU-T Q.724 §7.3.1: -12 dBm0.
const fn check_tone(tone: CheckTone) -> ToneSpec {
    let hz = match tone {
        CheckTone::Co1 => 2_010,
        CheckTone::Co2 => 1_780,
    };
    ToneSpec::steady(&[Frequency::hz(hz, -12)], Blend::Alone)
}

fn special_information(parameters: &Parameters) -> ToneSpec {
    let value = parameters.0.iter().filter(|parameter| parameter.name().is_none());
    let numbers = value.filter_map(|parameter| parameter.value()?.parse::<usize>().ok());
    let index = numbers.into_iter().next().unwrap_or(1).saturating_sub(1);
    SPECIAL_INFORMATION.get(index).copied().unwrap_or(SPECIAL_INFORMATION[0])
}

/// The digit of `dg`, for as long as the signal lasts.
fn long_digit(parameters: &Parameters) -> Option<ToneSpec> {
    let key = parameters.named("dg").and_then(Parameter::value)?;
    let digit = Digit::new(key.chars().next()?.to_ascii_uppercase())?;
    let (low, high) = digit.hz();
    let frequencies = [Frequency::hz(low, DIGIT_DBM0), Frequency::hz(high, DIGIT_DBM0 + 2)];
    Some(ToneSpec::steady(&frequencies, Blend::Alone))
}
