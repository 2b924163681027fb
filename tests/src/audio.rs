//! Octets to send, and where to find them again in what was heard.

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
