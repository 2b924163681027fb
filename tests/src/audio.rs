//! Octets to send, and where to find them again in what was heard.

use dataplane::dsp::tone::Oscillator;
use dataplane::link::Digit;
use drivers::line::Law;

/// Octets that look like nothing else: a different sequence for each `key`, never the law's silence.
///
/// Any run of eight says where in the sequence it is from, so lost, doubled or swapped octets show.
pub fn distinct(key: u64, law: Law, octets: usize) -> Vec<u8> {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..octets)
        .map(|_| {
            // xorshift64: chance is not wanted here, only variety that a test can repeat.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let octet = (state >> 32) as u8;
            if octet == law.silence() || octet == 0x7F { octet ^ 0x01 } else { octet }
        })
        .collect()
}

/// The first place where `heard` has left silence for good: eight octets in a row are not silence.
pub fn onset(heard: &[u8], law: Law) -> Option<usize> {
    heard.windows(8).position(|run| run.iter().all(|&octet| octet != law.silence()))
}

/// Where in `source`, taken as a ring, `heard` goes on without a gap from `from` to its end.
///
/// `None` if it does not: an octet was lost, repeated, swapped or changed.
pub fn follows(source: &[u8], heard: &[u8], from: usize) -> Option<usize> {
    let heard = &heard[from..];
    let probe = heard.get(..32)?;
    (0..source.len())
        .filter(|&start| (0..probe.len()).all(|i| source[(start + i) % source.len()] == probe[i]))
        .find(|&start| {
            heard.iter().enumerate().all(|(i, &octet)| source[(start + i) % source.len()] == octet)
        })
}

/// Tones one after the other: the frequencies of each in Hz, together, at -12 dBm0, and for how many ms.
/// Without frequencies it is silent.
pub fn tones(law: Law, steps: &[(&[f64], usize)]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (frequencies, ms) in steps {
        let mut tones: Vec<_> = frequencies.iter().map(|hz| Oscillator::new(law, *hz, -12.0)).collect();
        octets.extend((0..ms * 8).map(|_| {
            let sample: i32 = tones.iter_mut().map(Oscillator::sample).sum();
            law.encode(sample as i16)
        }));
    }
    octets
}

/// Somebody dials, 60 ms a digit and as long between them, after `ms` of silence.
pub fn dialled(law: Law, ms: usize, digits: &str) -> Vec<u8> {
    let mut octets = tones(law, &[(&[], ms)]);
    for written in digits.chars() {
        let (low, high) = Digit::new(written).expect("a digit").hz();
        octets.extend(tones(law, &[(&[low.into(), high.into()], 60), (&[], 60)]));
    }
    octets
}

/// The share that a frequency has of the power in some octets: of a tone of it alone, 1.
pub fn share(law: Law, octets: &[u8], hz: f64) -> f64 {
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, octet) in octets.iter().enumerate() {
        let sample = f64::from(law.decode(*octet));
        let turns = hz / 8_000.0 * n as f64 * std::f64::consts::TAU;
        re += sample * turns.cos();
        im += sample * turns.sin();
        energy += sample * sample;
    }
    2.0 * (re * re + im * im) / (energy * octets.len() as f64).max(1.0)
}

/// When sound begins and ends, in ms; a gap of 10 ms ends it.
pub fn bursts(law: Law, octets: &[u8]) -> Vec<(usize, usize)> {
    let mut bursts: Vec<(usize, usize)> = Vec::new();
    for (ms, octets) in octets.chunks(8).enumerate() {
        if octets.iter().all(|octet| law.decode(*octet).abs() < 16) {
            continue;
        }
        match bursts.last_mut() {
            Some((_, end)) if ms < *end + 10 => *end = ms + 1,
            _ => bursts.push((ms, ms + 1)),
        }
    }
    bursts
}
