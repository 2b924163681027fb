//! G.711: from one law to the other, and the sum of several voices.
//!
//! The laws themselves are [`drivers::line::Law`]. Octets whose law already fits are never touched.

use drivers::line::Law;

/// The table from one law's octets to the other's; `None` where both are the same: the octets pass
/// bit-exact.
pub const fn translate(from: Law, to: Law) -> Option<&'static [u8; 256]> {
    match (from, to) {
        (Law::A, Law::Mu) => Some(&A_TO_MU),
        (Law::Mu, Law::A) => Some(&MU_TO_A),
        (Law::A, Law::A) | (Law::Mu, Law::Mu) => None,
    }
}

/// Copies octets, through a table if there is one.
///
/// # Panics
/// If `to` is not as long as `from`.
pub fn copy(from: &[u8], translate: Option<&[u8; 256]>, to: &mut [u8]) {
    match translate {
        None => to.copy_from_slice(from),
        Some(table) => {
            assert_eq!(to.len(), from.len(), "an octet becomes an octet");
            for (to, from) in to.iter_mut().zip(from) {
                *to = table[usize::from(*from)];
            }
        }
    }
}

/// Writes the sum of `voices`, all of them in `law`, to `out`: silence of none, the same octets of
/// one, and a sum that saturates of more.
///
/// # Panics
/// If a voice is shorter than `out`.
pub fn mix(law: Law, voices: &[&[u8]], out: &mut [u8]) {
    match voices {
        [] => out.fill(law.silence()),
        [voice] => out.copy_from_slice(&voice[..out.len()]),
        voices => {
            let linear = law.linear();
            for (index, out) in out.iter_mut().enumerate() {
                let sum: i32 = voices.iter().map(|voice| i32::from(linear[usize::from(voice[index])])).sum();
                *out = law.encode(sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
            }
        }
    }
}

static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let a = octet as u8 ^ A_INVERTED;
        table[octet] = MU_INVERTED ^ (a & SIGN | mu_number(a & NUMBER)) ^ SIGN;
        octet += 1;
    }
    table
};

static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mu = octet as u8 ^ MU_INVERTED;
        table[octet] = A_INVERTED ^ (mu & SIGN | a_number(mu & NUMBER)) ^ SIGN;
        octet += 1;
    }
    table
};

/// The number of the mu-law level for an A-law level: ITU-T G.711 table 4, both counted from 0.
///
/// Not the nearest level everywhere: the tables of the two directions are made for each other.
const fn mu_number(a: u8) -> u8 {
    match a {
        0..=7 => 2 * a + 1,
        8..=23 => a + 8,
        24..=31 => a / 2 + 20,
        32..=43 => a + 4,
        44..=47 => a / 2 + 26,
        48..=62 => a + 2,
        63..=79 => a + 1,
        _ => a,
    }
}

/// The number of the A-law level for a mu-law level: ITU-T G.711 table 3, both counted from 0.
const fn a_number(mu: u8) -> u8 {
    match mu {
        0..=15 => mu / 2,
        16..=31 => mu - 8,
        32..=35 => 2 * mu - 40,
        36..=47 => mu - 4,
        48 => 45,
        49..=63 => mu - 2,
        64..=80 => mu - 1,
        _ => mu,
    }
}

/// The sign bit; set, the sample is positive on an A-law line, and on a mu-law line as well.
const SIGN: u8 = 0x80;
/// The bits that number a level.
const NUMBER: u8 = 0x7F;
/// The bits that A-law inverts on the line (G.711 table 1a, note 2).
const A_INVERTED: u8 = 0x55;
/// The bits that mu-law inverts on the line (G.711 table 2a).
const MU_INVERTED: u8 = 0xFF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_octets_of_g711() {
        // Level numbers of tables 3 and 4, at the places where the rule changes, with the sign set.
        let a = |number: u8| (SIGN | number) ^ A_INVERTED;
        let mu = |number: u8| 0xFF - number;
        for (from, to) in
            [(0, 1), (7, 15), (8, 16), (25, 32), (31, 35), (44, 48), (47, 49), (62, 64), (63, 64)]
        {
            assert_eq!(A_TO_MU[usize::from(a(from))], mu(to), "A-law level {from}");
        }
        for (from, to) in
            [(1, 0), (15, 7), (33, 26), (36, 32), (48, 45), (49, 47), (64, 63), (80, 79), (81, 81)]
        {
            assert_eq!(MU_TO_A[usize::from(mu(from))], a(to), "mu-law level {from}");
        }
        assert_eq!(MU_TO_A[usize::from(Law::Mu.silence())], Law::A.silence());
    }

    #[test]
    fn all_512_octets_are_those_of_an_independent_implementation() {
        // FNV-1a of the tables as libspandsp 0.0.6 gives them, octet by octet.
        let hash = |table: &[u8; 256]| {
            table.iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, octet| {
                (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01B3)
            })
        };
        assert_eq!(hash(&A_TO_MU), 0x61EE_8248_462E_0701);
        assert_eq!(hash(&MU_TO_A), 0x16C1_03B7_AFB5_2AB5);
    }

    #[test]
    fn each_of_the_256_octets_keeps_its_sign_and_its_level_to_a_step() {
        for (from, to) in [(Law::A, Law::Mu), (Law::Mu, Law::A)] {
            let table = translate(from, to).expect("the laws differ");
            for octet in 0..=255u8 {
                let (before, after) =
                    (i32::from(from.decode(octet)), i32::from(to.decode(table[usize::from(octet)])));
                let step = (before.abs() / 16).max(16);
                assert!((before - after).abs() <= step, "{from} {octet:#04x}: {before} became {after}");
                assert!(before * after >= 0, "{from} {octet:#04x} changed its sign");
            }
        }
    }

    #[test]
    fn there_and_back_moves_no_level_by_more_than_one() {
        for octet in 0..=255u8 {
            let back = MU_TO_A[usize::from(A_TO_MU[usize::from(octet)])];
            let (number, again) = ((octet ^ A_INVERTED) & NUMBER, (back ^ A_INVERTED) & NUMBER);
            assert!(number.abs_diff(again) <= 1, "{octet:#04x} came back as {back:#04x}");
        }
    }

    #[test]
    fn mixing_one_voice_changes_no_octet() {
        let voice: Vec<u8> = (0..=255).collect();
        for law in [Law::A, Law::Mu] {
            let mut out = [0; 256];
            mix(law, &[&voice], &mut out);
            assert_eq!(out[..], voice[..]);
        }
    }

    #[test]
    fn mixing_none_is_silence() {
        let mut out = [0; 3];
        mix(Law::A, &[], &mut out);
        assert_eq!(out, [0xD5; 3]);
    }

    #[test]
    fn mixing_loud_voices_saturates_instead_of_wrapping() {
        for law in [Law::A, Law::Mu] {
            let (top, bottom) = (law.encode(i16::MAX), law.encode(i16::MIN));
            let mut out = [0; 2];
            mix(law, &[&[top, bottom], &[top, bottom], &[top, bottom]], &mut out);
            assert_eq!(out, [top, bottom]);
        }
    }

    #[test]
    fn mixing_a_voice_with_its_opposite_is_silence() {
        for law in [Law::A, Law::Mu] {
            for octet in 0..=255u8 {
                let mut out = [0];
                mix(law, &[&[octet], &[octet ^ 0x80]], &mut out);
                assert!(law.decode(out[0]).abs() <= 8, "{law} {octet:#04x}");
            }
        }
    }

    #[test]
    fn mixing_adds_samples() {
        for law in [Law::A, Law::Mu] {
            let (one, two) = (law.encode(1_000), law.encode(-300));
            let mut out = [0];
            mix(law, &[&[one], &[two]], &mut out);
            assert_eq!(out[0], law.encode(law.decode(one) + law.decode(two)));
        }
    }
}
