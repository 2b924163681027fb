//! A far end that ends in a telephone: a hybrid that sends an echo of what it hears, and someone who talks.
//!
//! Where four wires become two, some of what comes goes back. How it sounds is what ITU-T G.168 annex D has
//! measured on lines of North America; its eight are here.

use super::file::{Play, Player};
use crate::line::Law;
use crate::span::Block;

/// The lines of ITU-T G.168, by the number that they have in annex D: `D2` is that of D.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "they have nothing but a number")]
pub enum LineModel {
    D2,
    D3,
    D4,
    D5,
    D6,
    D7,
    D8,
    D9,
}

impl LineModel {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::D2, Self::D3, Self::D4, Self::D5, Self::D6, Self::D7, Self::D8, Self::D9];

    /// The impulse response, and what makes its gain 1.
    const fn response(self) -> (&'static [i32], f32) {
        match self {
            Self::D2 => (&D2, 1.39e-5),
            Self::D3 => (&D3, 1.44e-5),
            Self::D4 => (&D4, 1.52e-5),
            Self::D5 => (&D5, 1.77e-5),
            Self::D6 => (&D6, 9.33e-6),
            Self::D7 => (&D7, 1.51e-5),
            Self::D8 => (&D8, 2.33e-5),
            Self::D9 => (&D9, 1.33e-5),
        }
    }
}

/// The way of an echo: a line's impulse response, later and fainter.
#[derive(Clone, Debug)]
pub struct EchoPath {
    /// The response, its last sample first.
    response: Box<[f32]>,
    /// What was heard last, as much as the response is long.
    heard: Vec<f32>,
}

impl EchoPath {
    /// The echo of a line, by `loss_db` (echo return loss) fainter and `delay` samples later.
    pub fn new(model: LineModel, loss_db: f64, delay: usize) -> Self {
        let (response, gain) = model.response();
        let gain = gain * 10f64.powf(-loss_db / 20.0) as f32;
        let later = std::iter::repeat_n(0.0, delay);
        let response: Box<[f32]> =
            response.iter().rev().map(|sample| *sample as f32 * gain).chain(later).collect();
        let mut heard = Vec::with_capacity(response.len() - 1 + Block::FRAMES_MAX);
        heard.resize(response.len() - 1, 0.0);
        Self { response, heard }
    }

    /// Adds the echo of a block's samples, in units of a 16-bit sample, to `out`.
    pub fn add(&mut self, samples: &[f32], out: &mut [f32]) {
        self.heard.extend_from_slice(samples);
        let windows = self.heard.windows(self.response.len());
        for (out, window) in out.iter_mut().zip(windows) {
            *out += window.iter().zip(&self.response).map(|(heard, turn)| heard * turn).sum::<f32>();
        }
        self.heard.drain(..samples.len());
    }
}

#[derive(Debug)]
pub(super) struct Hybrid {
    law: Law,
    echo: EchoPath,
    talker: Player,
}

impl Hybrid {
    pub(super) fn new(law: Law, echo: EchoPath, talker: Play, silence: u8) -> Self {
        Self { law, echo, talker: Player::new(talker, silence) }
    }

    /// What comes back of `tx`, and what is said.
    pub(super) fn exchange(&mut self, tx: &[u8], rx: &mut [u8]) {
        let (mut heard, mut said) = ([0.0; Block::FRAMES_MAX], [0.0; Block::FRAMES_MAX]);
        self.talker.fill(rx);
        let heard = self.law.samples(tx, &mut heard);
        self.law.samples(rx, &mut said);
        self.echo.add(heard, &mut said[..rx.len()]);
        for (octet, sample) in rx.iter_mut().zip(said) {
            *octet = self.law.encode(sample.round() as i16);
        }
    }
}

/// ITU-T G.168 annex D.2.
static D2: [i32; 64] = [
    -436, -829, -2_797, -4_208, -17_968, -11_215, 46_150, 34_480, -10_427, 9_049, -1_309, -6_320, 390,
    -8_191, -1_751, -6_051, -3_796, -4_055, -3_948, -2_557, -3_372, -1_808, -2_259, -1_300, -1_098, -618,
    -340, -61, 323, 419, 745, 716, 946, 880, 1_014, 976, 1_033, 1_091, 1_053, 1_042, 794, 831, 899, 716, 390,
    313, 304, 304, 73, -119, -109, -176, -359, -407, -512, -580, -704, -618, -685, -791, -772, -820, -839,
    -724,
];

/// ITU-T G.168 annex D.3.
static D3: [i32; 96] = [
    -381, 658, 1_730, -51, -3_511, -1_418, 7_660, 8_861, -8_106, -21_370, -5_307, 23_064, 24_020, 1_020,
    -12_374, -16_296, -19_524, -7_480, 13_509, 17_115, 13_952, 13_952, 97, -9_326, -9_046, -15_208, -9_853,
    -3_858, -1_979, 6_029, 5_616, 7_214, 6_820, 3_935, 3_919, 921, 1_316, -693, -759, -1_517, -2_176, -2_028,
    -2_654, -1_814, -2_077, -1_468, -1_221, -842, -463, -298, -68, 64, 493, 723, 789, 954, 756, 839, 872,
    1_020, 789, 822, 558, 658, 476, 377, 377, 262, 97, -68, -183, -232, -331, -347, -430, -314, -430, -463,
    -463, -414, -381, -479, -479, -512, -479, -397, -430, -397, -298, -265, -249, -216, -249, -265, -166,
    -232,
];

/// ITU-T G.168 annex D.4.
static D4: [i32; 96] = [
    -448, -436, 2_230, 2_448, -4_178, -7_050, 5_846, 18_581, 2_322, -26_261, -16_249, 21_637, 25_649, -2_267,
    -10_311, -4_693, -12_690, -7_428, 14_164, 13_467, 4_438, 8_627, 456, -11_879, -6_352, -5_104, -7_496,
    3_271, 6_566, 4_277, 11_131, 7_562, 1_475, 3_728, -3_525, -7_301, -3_101, -9_269, -6_146, -2_553, -6_272,
    811, 124, 788, 5_147, 2_172, 5_387, 4_598, 3_535, 4_004, 2_311, 2_150, 1_017, 330, -139, -573, -1_100,
    -1_157, -1_180, -1_455, -1_123, -1_386, -1_123, -1_066, -1_020, -1_100, -1_008, -1_077, -1_088, -917,
    -917, -963, -814, -871, -734, -642, -562, -356, -379, -345, -230, -233, -333, -356, -390, -310, -265,
    -368, -310, -310, -390, -482, -459, -482, -551, -573,
];

/// ITU-T G.168 annex D.5.
static D5: [i32; 128] = [
    160, 312, -241, -415, 897, 908, -1_326, -1_499, 2_405, 3_347, -3_624, -7_733, 4_041, 14_484, -1_477,
    -21_739, -4_470, 25_356, 11_458, -19_696, -11_800, 5_766, 789, 6_633, 14_624, -6_975, -17_156, -187, 149,
    1_515, 14_907, 4_345, -7_128, -2_757, -10_185, -7_083, 6_850, 3_944, 6_969, 8_694, -4_068, -3_852,
    -5_793, -9_371, 453, 1_060, 3_965, 9_463, 2_393, 2_784, -892, -7_366, -3_376, -5_847, -2_399, 3_011,
    1_537, 6_623, 4_205, 1_602, 1_592, -4_752, -3_646, -5_207, -5_577, -501, -1_174, 4_041, 5_647, 4_628,
    7_252, 2_123, 2_654, -881, -4_113, -3_244, -7_289, -3_830, -4_600, -2_508, 431, -144, 4_184, 2_372,
    4_617, 3_576, 2_382, 2_839, -404, 539, -1_803, -1_401, -1_705, -2_269, -783, -1_608, -220, -306, 257,
    615, 225, 561, 8, 344, 127, -57, 182, 41, 203, -111, 95, -79, 30, 84, -13, -68, -241, -68, -24, 19, -57,
    -24, 30, -68, 84, -155, -68, 19,
];

/// ITU-T G.168 annex D.6.
static D6: [i32; 96] = [
    293, 268, 475, 460, 517, 704, 581, 879, 573, 896, 604, 787, 561, 538, 440, 97, 265, -385, 20, -938, -523,
    -1_438, -1_134, -1_887, -1_727, -1_698, -4_266, -22_548, -43_424, 2_743, 25_897, 7_380, 21_499, 11_983,
    10_400, 11_667, 3_889, 7_241, 925, 2_018, -821, -2_068, -2_236, -4_283, -3_406, -5_022, -4_039, -4_842,
    -4_104, -4_089, -3_582, -2_978, -2_734, -1_805, -1_608, -645, -495, 279, 471, 947, 1_186, 1_438, 1_669,
    1_640, 1_901, 1_687, 1_803, 1_543, 1_566, 1_342, 1_163, 963, 733, 665, 323, 221, -14, -107, -279, -379,
    -468, -513, -473, -588, -612, -652, -616, -566, -515, -485, -404, -344, -290, -202, -180, -123,
];

/// ITU-T G.168 annex D.7.
static D7: [i32; 120] = [
    29, 109, -83, 198, -294, -135, -415, -202, -444, -337, -313, -450, -105, -503, 145, -490, 267, -231, 340,
    77, 343, 783, 158, 1_341, 195, 1_798, 344, 1_845, 629, 1_604, 1_182, 940, 5_163, 19_522, 8_421, -50_953,
    -9_043, 18_046, -13_553, 13_336, -3_471, -107, 1_788, -7_409, 2_469, -7_994, 490, -3_860, -837, 490,
    -636, 3_682, 1_141, 5_019, 2_635, 5_025, 3_946, 4_414, 4_026, 3_005, 3_380, 1_616, 2_007, 158, 388,
    -1_198, -1_117, -2_134, -2_547, -2_589, -3_310, -2_778, -3_427, -2_779, -3_116, -2_502, -2_399, -1_956,
    -1_539, -1_239, -570, -377, 251, 331, 964, 1_177, 1_449, 1_564, 1_724, 1_871, 1_767, 1_802, 1_630, 1_632,
    1_379, 1_271, 1_063, 856, 711, 482, 289, 54, -137, -321, -490, -638, -764, -836, -800, -859, -838, -837,
    -834, -740, -673, -581, -493, -436, -327, -201,
];

/// ITU-T G.168 annex D.8.
static D8: [i32; 96] = [
    258, -111, 337, -319, 347, -434, 192, -450, -108, -343, -596, -177, -1_187, -52, -1_781, -147, -1_959,
    -326, -1_601, -1_389, -13_620, -720, 33_818, -10_683, -6_742, 12_489, -9_862, 8_950, -1_574, 758, 3_526,
    -3_118, 2_421, -8_966, -4_901, 11_385, 18_072, -14_410, -7_473, 19_836, -16_854, -3_115, 9_483, -17_799,
    7_399, -4_342, -7_415, 7_929, -10_726, 6_239, -2_526, -1_317, 5_345, -4_565, 6_868, -2_195, 3_425, 1_969,
    -109, 3_963, -1_275, 3_087, -892, 1_239, 2, -427, 596, -1_184, 551, -1_244, 141, -743, -415, -372, -769,
    -183, -785, -270, -659, -377, -523, -325, -245, -255, -60, 35, 218, 149, 340, 233, 365, 303, 251, 230,
    209, 179,
];

/// ITU-T G.168 annex D.9.
static D9: [i32; 99] = [
    80, 31, 4, 42, 42, -61, -81, -64, -121, -102, -26, 1_002, -9_250, -22_562, 39_321, 35_681, -35_289,
    25_312, -1_457, -229, 15_659, -6_786, 16_791, 3_860, 2_239, -28_730, -11_885, 33_871, -176, -16_421,
    18_173, -9_669, -10_163, 9_941, -19_365, 3_592, -5_907, -10_257, 5_336, -12_933, 4_348, -4_802, -1_791,
    3_035, -4_433, 5_553, -2_596, 3_992, 1_255, 1_450, 4_079, 324, 4_340, 1_059, 3_083, 1_917, 1_756, 2_478,
    1_027, 1_871, 845, 1_284, 813, 806, 869, 471, 646, 438, 449, 432, 473, 394, 452, 538, 717, 723, 850, 756,
    753, 899, 555, 669, 619, 500, 650, 615, 516, 492, 427, 291, 356, 147, 107, -50, -88, -59, -238, -165,
    -183,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_the_lines_response_later_and_fainter() {
        for model in LineModel::ALL {
            let (response, gain) = model.response();
            let mut path = EchoPath::new(model, 20.0, 10);
            let mut heard = vec![0.0; 10 + response.len() + 5];
            let mut said = vec![0.0; heard.len()];
            said[0] = 1_000.0;
            // In two blocks, over whose border it goes on.
            path.add(&said[..30], &mut heard[..30]);
            path.add(&said[30..], &mut heard[30..]);
            for (n, sample) in heard.iter().enumerate() {
                let at = n.checked_sub(10).and_then(|n| response.get(n)).copied().unwrap_or(0);
                let expected = 100.0 * gain * at as f32;
                assert!((sample - expected).abs() < 0.01, "{model:?}, {n}: {sample}, not {expected}");
            }
        }
    }

    #[test]
    fn who_talks_is_heard_beside_the_echo() {
        let echo = EchoPath::new(LineModel::D2, 40.0, 0);
        let said: Vec<u8> = (0..40).collect();
        let mut hybrid = Hybrid::new(Law::A, echo, Play::Forever(said.clone().into()), 0xD5);
        let mut rx = [0; 40];
        hybrid.exchange(&[Law::A.silence(); 40], &mut rx);
        assert_eq!(rx[..], said);
    }
}
