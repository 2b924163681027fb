//! What signals sound like.
//!
//! Which tone is heard for what differs by country. A line of A-law has the tones that ITU-T E.180
//! recommends to all; one of µ-law those of North America, which RFC 3660 gives itself where it gives any:
//! the precise tone plan of Telcordia GR-506 and the special information tones of SR-2275. Digits are
//! those of ITU-T Q.23, continuity tones those of Q.724.

use dataplane::link::{Blend, CheckTone, Digit, Frequency, Step, TonePlan, ToneSpec};
use drivers::line::Law;

use crate::endpoint::signal::Signal;
use crate::mgcp::event::{Parameter, Parameters};
use crate::package::ability::{Making, Tone};
use crate::package::parameter::{Lasting, TEST_PATTERN};

/// What a signal sounds like on a line of this law; nothing if it makes no sound.
pub fn of(signal: &Signal, law: Law) -> Option<ToneSpec> {
    let parameters = &signal.asked.parameters;
    match signal.key.event.making()? {
        Making::Tone(tone) => Some(of_tone(tone, parameters, law)),
        Making::RingbackOn => Some(of_tone(Tone::Ringback, parameters, law)),
        Making::Digit(digit) => Some(ToneSpec::dtmf(digit, DIGIT_DBM0, DIGIT_MS, DIGIT_MS)),
        Making::LongDigit => long_digit(parameters, signal.lasting),
        Making::Continuity(tone) | Making::NetworkContinuity(tone) => Some(check_tone(tone)),
        Making::TestPattern => {
            let octet = signal.key.event.number(parameters).unwrap_or(TEST_PATTERN);
            Some(ToneSpec::octet(u8::try_from(octet).expect("a pattern is 255 at most")))
        }
        // Not offered, or silent.
        Making::Nothing
        | Making::List
        | Making::Transponder
        | Making::Loopback
        | Making::Pattern
        | Making::Answer
        | Making::Blocking
        | Making::Undefined
        | Making::Telephone => None,
    }
}

/// The tones that can be heard on a line of this law; what each place is, [`heard`] says.
pub const fn plan(law: Law) -> &'static TonePlan {
    match law {
        Law::A => &ITU_HEARD,
        Law::Mu => &NORTH_AMERICA_HEARD,
    }
}

/// The tone at a place of a [`plan`], and the number of a special information tone.
pub const fn heard(place: u8) -> Option<(Tone, Option<u8>)> {
    match place {
        0 => Some((Tone::Reorder, None)),
        1..=7 => Some((Tone::SpecialInformation, Some(place))),
        _ => None,
    }
}

/// The places of a [`plan`] where a tone is heard, given the number that is asked for.
pub fn places(tone: Tone, number: Option<u32>) -> Option<usize> {
    match tone {
        Tone::Reorder | Tone::Congestion => Some(0),
        Tone::NoCircuit => Some(2),
        Tone::SpecialInformation => usize::try_from(number?).ok().filter(|number| (1..=7).contains(number)),
        _ => None,
    }
}

static ITU_HEARD: TonePlan = heard_of(&ITU);
static NORTH_AMERICA_HEARD: TonePlan = heard_of(&NORTH_AMERICA);

const fn heard_of(plan: &Plan) -> TonePlan {
    let [one, two, three, four, five, six, seven] = plan.special_information;
    TonePlan::new(&[plan.congestion, one, two, three, four, five, six, seven])
}

fn of_tone(tone: Tone, parameters: &Parameters, law: Law) -> ToneSpec {
    let plan = match law {
        Law::A => &ITU,
        Law::Mu => &NORTH_AMERICA,
    };
    let steady = |hz, dbm0| ToneSpec::steady(&[Frequency::hz(hz, dbm0)], Blend::Alone);
    match tone {
        Tone::Ringback => plan.ringback,
        Tone::Busy => plan.busy,
        Tone::Congestion | Tone::Reorder => plan.congestion,
        Tone::Dial => ToneSpec::steady(plan.dial, Blend::Alone),
        Tone::StutterDial => stutter(plan.dial, parameters),
        Tone::MessageWaiting => message_waiting(plan.dial),
        Tone::Confirmation => bursts(plan.dial),
        Tone::CallWaiting => plan.call_waiting,
        Tone::DistinctiveCallWaiting(number) => distinctive(plan.call_waiting.frequencies()[0], number),
        Tone::Intercept => plan.intercept,
        Tone::SpecialInformation => special_information(plan, parameters),
        // RFC 3660 §2.3: by another name.
        Tone::NoCircuit => plan.special_information[1],
        Tone::Milliwatt1000 => steady(1_000, 0),
        Tone::Milliwatt1004 => steady(1_004, 0),
        Tone::Milliwatt1013 => ToneSpec::steady(&[Frequency { decihertz: 10_138, dbm0: 0 }], Blend::Alone),
        // RFC 3660 §2.3: within 25 Hz, at -10 dBm0.
        Tone::TestProgress => steady(2_225, -10),
        // The precise tone plan's high tone.
        Tone::PermanentSignal => steady(480, -17),
        Tone::Preemption => {
            ToneSpec::steady(&[Frequency::hz(440, -18), Frequency::hz(620, -18)], Blend::Alone)
        }
        Tone::OffHookWarning => OFF_HOOK_WARNING,
        Tone::Prompt => ToneSpec::new(&[Frequency::hz(400, -13)], &[Step::first(1, 300)], None, Blend::Alone),
        Tone::CallingCard => CALLING_CARD,
        Tone::RecorderWarning => RECORDER_WARNING,
        Tone::Alerting => ALERTING,
        Tone::Quiet => ToneSpec::QUIET,
    }
}

/// The tones that are not the same everywhere.
struct Plan {
    ringback: ToneSpec,
    busy: ToneSpec,
    congestion: ToneSpec,
    dial: &'static [Frequency],
    call_waiting: ToneSpec,
    intercept: ToneSpec,
    /// By the parameter of `sit`, from 1.
    special_information: [ToneSpec; 7],
}

/// ITU-T E.180, E.182: 425 Hz, with cadences in the middle of those that are recommended.
const ITU: Plan = Plan {
    ringback: cadence(HZ_425, 1_000, 4_000),
    busy: cadence(HZ_425, 500, 500),
    congestion: cadence(HZ_425, 250, 250),
    dial: HZ_425,
    call_waiting: now_and_then(HZ_425, 300, 10_000),
    // There is but one special information tone, which also says that a number cannot be called.
    intercept: SPECIAL_INFORMATION,
    special_information: [SPECIAL_INFORMATION; 7],
};

/// Telcordia GR-506 and SR-2275, most of it also in RFC 3660 §2.1, §2.3 and §2.4.
const NORTH_AMERICA: Plan = Plan {
    ringback: cadence(&[Frequency::hz(440, -19), Frequency::hz(480, -19)], 2_000, 4_000),
    busy: cadence(HZ_480_620, 500, 500),
    congestion: cadence(HZ_480_620, 250, 250),
    dial: &[Frequency::hz(350, -13), Frequency::hz(440, -13)],
    call_waiting: now_and_then(&[Frequency::hz(440, -13)], 300, 10_000),
    intercept: ToneSpec::new(
        &[Frequency::hz(440, -13), Frequency::hz(620, -13)],
        &[Step { sounding: 1, ms: 250 }, Step { sounding: 2, ms: 250 }],
        Some(0),
        Blend::Alone,
    ),
    special_information: [
        special([LOW, HIGH], [SHORT, LONG]),
        special([HIGH, LOW], [SHORT, LONG]),
        special([HIGH, HIGH], [LONG, LONG]),
        special([LOW, LOW], [LONG, LONG]),
        special([LOW, LOW], [SHORT, SHORT]),
        special([HIGH, LOW], [LONG, SHORT]),
        special([LOW, HIGH], [LONG, SHORT]),
    ],
};

const HZ_425: &[Frequency] = &[Frequency::hz(425, -13)];
const HZ_480_620: &[Frequency] = &[Frequency::hz(480, -24), Frequency::hz(620, -24)];

/// Of each of a digit's two frequencies, the low one (ITU-T Q.23, Q.24: well above -25 dBm).
const DIGIT_DBM0: i8 = -10;

/// A digit and the pause behind it: twice what Q.24 has receivers recognise.
const DIGIT_MS: u16 = 80;

/// RFC 3660 §2.4: four tones at once, loud; together below what a line can carry.
const OFF_HOOK_WARNING: ToneSpec = cadence(
    &[
        Frequency::hz(1_400, -10),
        Frequency::hz(2_060, -10),
        Frequency::hz(2_450, -10),
        Frequency::hz(2_600, -10),
    ],
    100,
    100,
);

/// RFC 3660 §2.4: half a second in every 15, over the conversation.
const RECORDER_WARNING: ToneSpec = now_and_then(&[Frequency::hz(1_400, -20)], 500, 15_000);

/// RFC 3660 §2.4: two seconds, then half a second in every 10, over the conversation.
const ALERTING: ToneSpec = ToneSpec::new(
    &[Frequency::hz(440, -20)],
    &[Step::first(1, 2_000), Step::pause(10_000), Step::first(1, 500)],
    Some(1),
    Blend::Added,
);

/// RFC 3660 §2.4: 60 ms of the digit #, then 940 ms of North American dial tone that dies away in 200 ms.
const CALLING_CARD: ToneSpec = ToneSpec::new(
    &[Frequency::hz(941, -10), Frequency::hz(1_477, -10), Frequency::hz(350, -10), Frequency::hz(440, -10)],
    &[Step { sounding: 0b0011, ms: 60 }, Step { sounding: 0b1100, ms: 940 }],
    None,
    Blend::Alone,
)
.fading(200);

/// ITU-T E.180: three tones of a third of a second, then about a second of silence.
const SPECIAL_INFORMATION: ToneSpec = three([9_500, 14_000, 18_000], [330, 330, 330]);

const LOW: usize = 0;
const HIGH: usize = 1;
const SHORT: u16 = 274;
const LONG: u16 = 380;

/// The third tone is low and long always.
const fn special(pitch: [usize; 2], ms: [u16; 2]) -> ToneSpec {
    const DECIHERTZ: [[u16; 2]; 2] = [[9_138, 9_852], [13_706, 14_285]];
    three([DECIHERTZ[0][pitch[0]], DECIHERTZ[1][pitch[1]], 17_767], [ms[0], ms[1], LONG])
}

const fn three(decihertz: [u16; 3], ms: [u16; 3]) -> ToneSpec {
    let frequencies = [
        Frequency { decihertz: decihertz[0], dbm0: -13 },
        Frequency { decihertz: decihertz[1], dbm0: -13 },
        Frequency { decihertz: decihertz[2], dbm0: -13 },
    ];
    let steps = [
        Step { sounding: 1, ms: ms[0] },
        Step { sounding: 2, ms: ms[1] },
        Step { sounding: 4, ms: ms[2] },
        // E.180 has 1,000 ms, give or take 250. Two seconds, for which RFC 3660 §2.4 has the signal last, must
        // not end in a click of the next first tone.
        Step::pause(1_200),
    ];
    ToneSpec::new(&frequencies, &steps, Some(0), Blend::Alone)
}

const fn cadence(frequencies: &[Frequency], on_ms: u16, off_ms: u16) -> ToneSpec {
    let steps = [Step::first(frequencies.len(), on_ms), Step::pause(off_ms)];
    ToneSpec::new(frequencies, &steps, Some(0), Blend::Alone)
}

/// RFC 3660 §2.1: 0.1 s on, 0.1 s off, three times.
fn bursts(frequencies: &[Frequency]) -> ToneSpec {
    let (on, off) = (Step::first(frequencies.len(), 100), Step::pause(100));
    ToneSpec::new(frequencies, &[on, off, on, off, on, off], None, Blend::Alone)
}

/// RFC 3660 §2.4: 0.1 s on, 0.1 s off, ten times, then dial tone.
fn message_waiting(frequencies: &[Frequency]) -> ToneSpec {
    let all = |ms| Step::first(frequencies.len(), ms);
    let steps = [all(100), Step::pause(100), all(Step::FOREVER)];
    ToneSpec::new(frequencies, &steps, None, Blend::Alone).repeating(2, 10)
}

/// Telcordia GR-506 §14.2: short and long bursts a tenth of a second apart, every ten seconds.
fn distinctive(frequency: Frequency, number: u8) -> ToneSpec {
    let (on, off, long, rest) =
        (Step::first(1, 100), Step::pause(100), Step::first(1, 300), Step::pause(10_000));
    let steps: &[Step] = match number {
        2 => &[on, off, on, rest],
        3 => &[on, off, on, off, on, rest],
        _ => &[on, off, long, off, on, rest],
    };
    ToneSpec::new(&[frequency], steps, Some(0), Blend::Added)
}

/// RFC 3660 §2.4: the same, a pause of `del` to a tenth of a second, and dial tone.
fn stutter(frequencies: &[Frequency], parameters: &Parameters) -> ToneSpec {
    let del = parameters.named("del").and_then(Parameter::value).and_then(|del| del.parse::<u16>().ok());
    let tenths = del.map_or(1, |del| del.saturating_add(50) / 100).max(1);
    let (on, off) = (Step::first(frequencies.len(), 100), Step::pause(100));
    let dial = Step::first(frequencies.len(), Step::FOREVER);
    let steps = [on, off, on, off, on, Step::pause(tenths.min(100) * 100), dial];
    ToneSpec::new(frequencies, &steps, None, Blend::Alone)
}

/// Beside other media.
const fn now_and_then(frequencies: &[Frequency], on_ms: u16, off_ms: u16) -> ToneSpec {
    let steps = [Step::first(frequencies.len(), on_ms), Step::pause(off_ms)];
    ToneSpec::new(frequencies, &steps, Some(0), Blend::Added)
}

/// ITU-T Q.724 §7.3.1: -12 dBm0.
const fn check_tone(tone: CheckTone) -> ToneSpec {
    let hz = match tone {
        CheckTone::Co1 => 2_010,
        CheckTone::Co2 => 1_780,
    };
    ToneSpec::steady(&[Frequency::hz(hz, -12)], Blend::Alone)
}

/// By its number, 1 to 7; without one, NC' (RFC 3660 §2.4).
fn special_information(plan: &Plan, parameters: &Parameters) -> ToneSpec {
    let number = parameters.values().find_map(|value| value.parse::<usize>().ok());
    let index = number.map_or(2, |number| number.saturating_sub(1));
    plan.special_information[index.min(plan.special_information.len() - 1)]
}

/// The digit of `dg`, for as long as the signal lasts, and silence then.
fn long_digit(parameters: &Parameters, lasting: Lasting) -> Option<ToneSpec> {
    let key = parameters.named("dg").and_then(Parameter::value)?;
    let digit = Digit::new(key.chars().next()?.to_ascii_uppercase())?;
    let (low, high) = digit.hz();
    let frequencies = [Frequency::hz(low, DIGIT_DBM0), Frequency::hz(high, DIGIT_DBM0 + 2)];
    let ms = match lasting {
        Lasting::TimeOut(Some(time)) => u16::try_from(time.as_millis()).unwrap_or(Step::FOREVER),
        Lasting::TimeOut(None) | Lasting::On | Lasting::Off | Lasting::Brief => Step::FOREVER,
    };
    let steps = [Step::first(frequencies.len(), ms.max(1)), Step::pause(Step::FOREVER)];
    Some(ToneSpec::new(&frequencies, &steps, None, Blend::Alone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mgcp::event::Events;

    /// What a tone is made of: its steps, as frequencies and ms.
    fn steps(tone: &ToneSpec) -> String {
        let mut text = Vec::new();
        for index in 0..8 {
            let Some(step) = tone.step(index) else { break };
            let sounding =
                tone.frequencies().iter().enumerate().filter(|(bit, _)| step.sounding >> bit & 1 != 0);
            let hz: Vec<_> = sounding.map(|(_, one)| (f64::from(one.decihertz) / 10.0).to_string()).collect();
            let ms = if step.ms == Step::FOREVER { "ever".to_owned() } else { step.ms.to_string() };
            text.push(format!("{}/{ms}", hz.join("+")));
        }
        text.join(",")
    }

    fn tone(tone: Tone, parameters: &str, law: Law) -> String {
        let Events(list) = format!("T/x{parameters}").parse().expect(parameters);
        steps(&of_tone(tone, &list[0].parameters, law))
    }

    #[test]
    fn tones_are_those_of_the_line_s_part_of_the_world() {
        for (name, a, mu) in [
            (Tone::Ringback, "425/1000,/4000", "440+480/2000,/4000"),
            (Tone::Busy, "425/500,/500", "480+620/500,/500"),
            (Tone::Reorder, "425/250,/250", "480+620/250,/250"),
            (Tone::Dial, "425/ever", "350+440/ever"),
            (Tone::Intercept, "950/330,1400/330,1800/330,/1200", "440/250,620/250"),
            (Tone::NoCircuit, "950/330,1400/330,1800/330,/1200", "985.2/274,1370.6/380,1776.7/380,/1200"),
        ] {
            assert_eq!(tone(name, "", Law::A), a);
            assert_eq!(tone(name, "", Law::Mu), mu);
        }
    }

    #[test]
    fn special_information_tones_have_their_numbers() {
        for (parameters, expected) in [
            ("(1)", "913.8/274,1428.5/380,1776.7/380,/1200"),
            ("(to=3000,5)", "913.8/274,1370.6/274,1776.7/380,/1200"),
            ("(6)", "985.2/380,1370.6/274,1776.7/380,/1200"),
            ("", "985.2/380,1428.5/380,1776.7/380,/1200"),
        ] {
            assert_eq!(tone(Tone::SpecialInformation, parameters, Law::Mu), expected);
        }
    }

    // RFC 3660 §2.3, §2.4: it lasts two seconds, which are one round of it.
    #[test]
    fn special_information_tones_end_in_silence() {
        for number in 1..=7 {
            for law in [Law::A, Law::Mu] {
                let steps = tone(Tone::SpecialInformation, &format!("({number})"), law);
                let ms = steps.split([',', '/']).skip(1).step_by(2).map(|ms| ms.parse::<u32>().expect(ms));
                assert!(ms.sum::<u32>() > 2_100, "{steps}");
            }
        }
    }

    #[test]
    fn call_waiting_tones_and_message_waiting_have_their_patterns() {
        for (name, expected) in [
            (Tone::DistinctiveCallWaiting(2), "440/100,/100,440/100,/10000"),
            (Tone::DistinctiveCallWaiting(3), "440/100,/100,440/100,/100,440/100,/10000"),
            (Tone::DistinctiveCallWaiting(4), "440/100,/100,440/300,/100,440/100,/10000"),
            (Tone::MessageWaiting, "350+440/100,/100,350+440/ever"),
            (Tone::CallingCard, "941+1477/60,350+440/940"),
        ] {
            assert_eq!(tone(name, "", Law::Mu), expected);
        }
        assert_eq!(of_tone(Tone::MessageWaiting, &Parameters::default(), Law::A).repeated(), (2, 10));
    }

    #[test]
    fn what_is_heard_is_known_by_its_place() {
        for law in [Law::A, Law::Mu] {
            for place in 0..plan(law).len() {
                let (what, number) = heard(place as u8).expect("it is known");
                assert_eq!(places(what, number.map(u32::from)), Some(place));
                let parameters = number.map(|number| format!("({number})")).unwrap_or_default();
                let Events(list) = format!("T/x{parameters}").parse().expect("an event");
                assert_eq!(plan(law).tone(place), Some(&of_tone(what, &list[0].parameters, law)));
            }
            assert_eq!(heard(plan(law).len() as u8), None);
        }
    }

    #[test]
    fn dial_tone_stutters_for_as_long_as_is_asked() {
        let stutter = |pause: &str| format!("425/100,/100,425/100,/100,425/100,/{pause},425/ever");
        for (parameters, pause) in
            [("", "100"), ("(del=1500)", "1500"), ("(del=20)", "100"), ("(del=10000)", "10000")]
        {
            assert_eq!(tone(Tone::StutterDial, parameters, Law::A), stutter(pause));
        }
    }
}
