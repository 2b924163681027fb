//! Octets that say which DS0 they belong to and where in its stream they stand.
//!
//! A stream is a run of words of eight octets. Each word is the DS0's number and the word's place,
//! scrambled by a function that can be undone: so any eight octets of a stream, cut out anywhere, give
//! away whose they are and where they belong, and any octet that is lost, repeated, swapped or of
//! another DS0 shows. To a gateway it is noise at full level: no detector and no concealment takes it
//! for anything else, and every octet value comes up equally often.

/// Octets of a word.
pub(crate) const WORD: usize = 8;

/// Where an octet belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Whose it is, by its place in the load test.
    pub(crate) ds0: u16,
    /// How many octets of that DS0's stream come before it.
    pub(crate) position: u64,
}

/// Writes a stretch of a DS0's stream, from `from` on.
pub(crate) fn fill(from: Place, out: &mut [u8]) {
    let mut index = from.position / WORD as u64;
    let begun = (from.position % WORD as u64) as usize;
    let mut out = out;
    if begun > 0 {
        let len = out.len().min(WORD - begun);
        let (head, rest) = out.split_at_mut(len);
        head.copy_from_slice(&word(from.ds0, index)[begun..begun + len]);
        (out, index) = (rest, index + 1);
    }
    for chunk in out.chunks_mut(WORD) {
        chunk.copy_from_slice(&word(from.ds0, index)[..chunk.len()]);
        index += 1;
    }
}

/// The place of the first octet of a whole word, if these eight octets are one. Any eight octets are
/// somebody's word: whether such a DS0 and such a position can be is the caller's to say.
pub(crate) fn place(octets: [u8; WORD]) -> Place {
    let number = unscramble(u64::from_be_bytes(octets));
    Place { ds0: (number >> INDEX_BITS) as u16, position: (number & INDEX_MASK) * WORD as u64 }
}

fn word(ds0: u16, index: u64) -> [u8; WORD] {
    scramble(u64::from(ds0) << INDEX_BITS | (index & INDEX_MASK)).to_be_bytes()
}

/// Bits of a word's place: enough for a thousand years.
const INDEX_BITS: u32 = 48;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// A number made to look like noise: each step can be undone, so no two numbers look alike.
pub(crate) const fn scramble(number: u64) -> u64 {
    let number = (number ^ number >> 32).wrapping_mul(FIRST);
    let number = (number ^ number >> 32).wrapping_mul(SECOND);
    number ^ number >> 32
}

const fn unscramble(noise: u64) -> u64 {
    let noise = (noise ^ noise >> 32).wrapping_mul(inverse(SECOND));
    let noise = (noise ^ noise >> 32).wrapping_mul(inverse(FIRST));
    noise ^ noise >> 32
}

/// Odd, with bits set here and there; nothing else is asked of them.
const FIRST: u64 = 0xD6E8_FEB8_6659_FD93;
const SECOND: u64 = 0xA076_1D64_78BD_642F;

/// The number that undoes a multiplication by an odd one, by Newton's method: each step doubles the
/// bits that are right, of which there are three at first.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut bits = 3;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

const _: () = assert!(FIRST.wrapping_mul(inverse(FIRST)) == 1 && SECOND.wrapping_mul(inverse(SECOND)) == 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_whose_it_is_and_where_it_belongs() {
        for ds0 in [0, 1, 8_063, u16::MAX] {
            for position in [0, 8, 160, 8_000 * 86_400 * 365] {
                let mut octets = [0; WORD];
                fill(Place { ds0, position }, &mut octets);
                assert_eq!(place(octets), Place { ds0, position });
            }
        }
    }

    #[test]
    fn a_stretch_is_the_same_from_wherever_it_is_begun() {
        let mut whole = [0; 400];
        fill(Place { ds0: 7, position: 1_000 }, &mut whole);
        for from in 0..40 {
            let mut part = [0; 171];
            fill(Place { ds0: 7, position: 1_000 + from as u64 }, &mut part);
            assert_eq!(part, whole[from..from + part.len()]);
        }
    }

    #[test]
    fn streams_of_different_ds0s_have_nothing_in_common() {
        let (mut one, mut other) = ([0; 8_000], [0; 8_000]);
        fill(Place { ds0: 1, position: 0 }, &mut one);
        fill(Place { ds0: 2, position: 0 }, &mut other);
        let alike = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(alike < 64, "{alike} of 8,000 octets are alike; 31 by chance");
    }
}
