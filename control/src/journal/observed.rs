//! How the journal writes what a core has observed: `line 2 17 4440 ended digit 5 60`.

use std::fmt;

use dataplane::link::{CheckTone, Digit, MediaEvent, Milliwatt, Observation, PlayId, Report, Side, Sound};
use drivers::line::{Ds0, SpanId, Timeslot};
use drivers::net::PortSlot;
use drivers::time::Instant;

/// Writes an observation.
pub(super) fn write(side: Side, at: Instant, what: Observation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match side {
        Side::Line(ds0) => write!(f, "line {} {}", ds0.span.0, ds0.timeslot.number())?,
        Side::Network(port) => write!(f, "network {}", port.0)?,
    }
    write!(f, " {} ", at.as_nanos())?;
    match what {
        Observation::Began(sound) => {
            f.write_str("began ")?;
            write_sound(sound, f)
        }
        Observation::Ended { sound, ms } => {
            f.write_str("ended ")?;
            write_sound(sound, f)?;
            write!(f, " {ms}")
        }
        Observation::PlayEnded(PlayId(play)) => write!(f, "play-ended {play}"),
        Observation::Media(what) => write_media(what, f),
    }
}

/// Reads what [`write`] has written.
pub(super) fn read(text: &str) -> Option<Report> {
    let mut words = text.split(' ');
    let side = match words.next()? {
        "line" => {
            let span = SpanId(words.next()?.parse().ok()?);
            Side::Line(Ds0 { span, timeslot: Timeslot::new(words.next()?.parse().ok()?)? })
        }
        "network" => Side::Network(PortSlot(words.next()?.parse().ok()?)),
        _ => return None,
    };
    let at = Instant::from_nanos(words.next()?.parse().ok()?);
    let what = match words.next()? {
        "began" => Observation::Began(read_sound(&mut words)?),
        "ended" => Observation::Ended { sound: read_sound(&mut words)?, ms: words.next()?.parse().ok()? },
        "play-ended" => Observation::PlayEnded(PlayId(words.next()?.parse().ok()?)),
        media => Observation::Media(read_media(media, &mut words)?),
    };
    Some(Report::Observed { side, at, what })
}

fn write_media(what: MediaEvent, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match what {
        MediaEvent::Began => f.write_str("media-began"),
        MediaEvent::Missing { after_s } => write!(f, "media-missing {after_s}"),
        MediaEvent::LossAbove { per_100k } => write!(f, "loss-above {per_100k}"),
        MediaEvent::Poor => f.write_str("poor"),
        MediaEvent::PlayoutDelay { ms } => write!(f, "playout-delay {ms}"),
        MediaEvent::PacketTime { ms } => write!(f, "packet-time {ms}"),
        MediaEvent::Codec { payload_type } => write!(f, "codec {payload_type}"),
    }
}

fn read_media<'a>(kind: &str, words: &mut impl Iterator<Item = &'a str>) -> Option<MediaEvent> {
    Some(match kind {
        "media-began" => MediaEvent::Began,
        "media-missing" => MediaEvent::Missing { after_s: words.next()?.parse().ok()? },
        "loss-above" => MediaEvent::LossAbove { per_100k: words.next()?.parse().ok()? },
        "poor" => MediaEvent::Poor,
        "playout-delay" => MediaEvent::PlayoutDelay { ms: words.next()?.parse().ok()? },
        "packet-time" => MediaEvent::PacketTime { ms: words.next()?.parse().ok()? },
        "codec" => MediaEvent::Codec { payload_type: words.next()?.parse().ok()? },
        _ => return None,
    })
}

fn write_sound(sound: Sound, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match sound {
        Sound::Digit(digit) => write!(f, "digit {digit}"),
        Sound::FaxCalling => f.write_str("fax-calling"),
        Sound::FaxPreamble => f.write_str("fax-preamble"),
        Sound::Answer => f.write_str("answer"),
        Sound::AnswerTurning => f.write_str("answer-turning"),
        Sound::Check(CheckTone::Co1) => f.write_str("co1"),
        Sound::Check(CheckTone::Co2) => f.write_str("co2"),
        Sound::Milliwatt(Milliwatt::Hz1000) => f.write_str("milliwatt-1000"),
        Sound::Milliwatt(Milliwatt::Hz1004) => f.write_str("milliwatt-1004"),
        Sound::Milliwatt(Milliwatt::Hz1013) => f.write_str("milliwatt-1013"),
        Sound::CallTone(place) => write!(f, "call-tone {place}"),
        Sound::Octet(octet) => write!(f, "octet {octet}"),
        Sound::TestProgress => f.write_str("test-progress"),
    }
}

fn read_sound<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Sound> {
    Some(match words.next()? {
        "digit" => Sound::Digit(Digit::new(words.next()?.parse().ok()?)?),
        "fax-calling" => Sound::FaxCalling,
        "fax-preamble" => Sound::FaxPreamble,
        "answer" => Sound::Answer,
        "answer-turning" => Sound::AnswerTurning,
        "co1" => Sound::Check(CheckTone::Co1),
        "co2" => Sound::Check(CheckTone::Co2),
        "milliwatt-1000" => Sound::Milliwatt(Milliwatt::Hz1000),
        "milliwatt-1004" => Sound::Milliwatt(Milliwatt::Hz1004),
        "milliwatt-1013" => Sound::Milliwatt(Milliwatt::Hz1013),
        "call-tone" => Sound::CallTone(words.next()?.parse().ok()?),
        "octet" => Sound::Octet(words.next()?.parse().ok()?),
        "test-progress" => Sound::TestProgress,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [Sound; 12] = [
        Sound::FaxCalling,
        Sound::FaxPreamble,
        Sound::Answer,
        Sound::AnswerTurning,
        Sound::Check(CheckTone::Co1),
        Sound::Check(CheckTone::Co2),
        Sound::Milliwatt(Milliwatt::Hz1000),
        Sound::Milliwatt(Milliwatt::Hz1004),
        Sound::Milliwatt(Milliwatt::Hz1013),
        Sound::TestProgress,
        Sound::CallTone(7),
        Sound::Octet(95),
    ];

    const MEDIA: [MediaEvent; 7] = [
        MediaEvent::Began,
        MediaEvent::Missing { after_s: 65_535 },
        MediaEvent::LossAbove { per_100k: 100_000 },
        MediaEvent::Poor,
        MediaEvent::PlayoutDelay { ms: 45 },
        MediaEvent::PacketTime { ms: 30 },
        MediaEvent::Codec { payload_type: 8 },
    ];

    struct Written(Side, Observation);

    impl fmt::Display for Written {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, Instant::from_nanos(17), self.1, f)
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let sides = [
            Side::Line(Ds0 { span: SpanId(2), timeslot: Timeslot::new(31).expect("1 to 31") }),
            Side::Network(PortSlot(62)),
        ];
        let digits = Digit::ALL.into_iter().map(Sound::Digit);
        let sounds: Vec<Sound> = digits.chain(OTHERS).collect();
        for side in sides {
            let began = sounds.iter().map(|sound| Observation::Began(*sound));
            let ended = sounds.iter().map(|sound| Observation::Ended { sound: *sound, ms: 60_000 });
            let media = MEDIA.map(Observation::Media);
            for what in began.chain(ended).chain(media).chain([Observation::PlayEnded(PlayId(9))]) {
                let report = Report::Observed { side, at: Instant::from_nanos(17), what };
                assert_eq!(read(&Written(side, what).to_string()), Some(report));
            }
        }
    }
}
