//! WAV files as a telephone line has them: one channel, 8,000 samples a second.
//!
//! Three formats: 16-bit linear, and both laws of G.711 octet for octet. It exists because the WAV
//! crates that are kept up read and write linear samples, and what a far end recorded must be
//! compared bit by bit. It is strict where a file would sound wrong (rate, channels) and lenient
//! where files differ without meaning it (chunks of other kinds, the extensible header, the sizes
//! that a program leaves open when it writes to a pipe). Files are read and written by the caller.
//!
//! Source: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991),
//! RFC 2361 for the numbers of the formats.

use std::fmt;

use crate::line::{FRAMES_PER_SECOND, Law};

/// A recording of one channel at 8,000 samples a second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wav {
    /// 16-bit linear samples.
    Linear(Vec<i16>),
    /// G.711 octets.
    Companded(Law, Vec<u8>),
}

impl Wav {
    /// Reads a WAV file.
    ///
    /// # Errors
    /// [`WavError`] says what in it is not as it must be.
    pub fn parse(file: &[u8]) -> Result<Self, WavError> {
        let mut chunks = Chunks::of(file)?;
        let mut format = None;
        while let Some(Chunk { id, body, is_cut }) = chunks.next() {
            match &id {
                b"fmt " => format = Some(Format::parse(body)?),
                b"data" => {
                    let format = format.ok_or(WavError::DataBeforeFormat)?;
                    return if is_cut {
                        Err(WavError::Cut { missing: chunks.missing })
                    } else {
                        format.read(body)
                    };
                }
                _ => {}
            }
        }
        Err(if format.is_some() { WavError::NoData } else { WavError::NoFormat })
    }

    /// Writes a WAV file.
    ///
    /// # Panics
    /// If it would be longer than a WAV file can be: 4 GiB, some 74 hours of linear samples.
    pub fn emit(&self) -> Vec<u8> {
        match self {
            Self::Linear(samples) => {
                let octets: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                let mut body = b"WAVE".to_vec();
                append(&mut body, *b"fmt ", &format(FORMAT_LINEAR, 2));
                append(&mut body, *b"data", &octets);
                let mut file = Vec::with_capacity(body.len() + 8);
                append(&mut file, *b"RIFF", &body);
                file
            }
            Self::Companded(law, octets) => {
                let mut file = Self::companded_header(*law, length(octets.len()));
                file.extend(octets);
                file.resize(file.len().next_multiple_of(2), 0);
                file
            }
        }
    }

    /// All that stands before the octets of a companded file, for a file that is written as it grows:
    /// its length depends on the law alone. Behind an odd number of octets comes one of padding.
    ///
    /// A file longer than a WAV file can be, 4 GiB or some 149 hours, leaves its size open, as one that is
    /// written to a pipe does; `u32::MAX` octets stand for any number above.
    pub fn companded_header(law: Law, octets: u32) -> Vec<u8> {
        let tag = match law {
            Law::A => FORMAT_A,
            Law::Mu => FORMAT_MU,
        };
        // Whatever is not linear has a length of its extension, here none, and says in a chunk of its
        // own how many samples it has.
        let mut format = format(tag, 1);
        format.extend(0_u16.to_le_bytes());
        let mut body = b"WAVE".to_vec();
        append(&mut body, *b"fmt ", &format);
        append(&mut body, *b"fact", &octets.to_le_bytes());
        body.extend(*b"data");
        body.extend(octets.to_le_bytes());
        let mut file = b"RIFF".to_vec();
        let size = u32::try_from(body.len() + (octets as usize).next_multiple_of(2)).unwrap_or(SIZE_OPEN);
        file.extend(size.to_le_bytes());
        file.extend(body);
        file
    }
}

/// A `fmt ` chunk for one channel of these samples, as far as all formats have it.
fn format(tag: u16, sample_octets: u16) -> Vec<u8> {
    let mut format = Vec::new();
    format.extend(tag.to_le_bytes());
    format.extend(1_u16.to_le_bytes());
    format.extend(FRAMES_PER_SECOND.to_le_bytes());
    format.extend((FRAMES_PER_SECOND * u32::from(sample_octets)).to_le_bytes());
    format.extend(sample_octets.to_le_bytes());
    format.extend((sample_octets * 8).to_le_bytes());
    format
}

/// Why a file is not a WAV file that a line can play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WavError {
    /// It does not begin as a RIFF file of the kind WAVE.
    NotWav,
    /// It has no `fmt ` chunk, or one that is too short.
    NoFormat,
    /// Its samples come before it is said what they are.
    DataBeforeFormat,
    /// It has no samples.
    NoData,
    /// It ends before its samples do, by this many octets.
    Cut {
        /// The octets that are not there.
        missing: usize,
    },
    /// Its samples are of this format, which is not read.
    Format(u16),
    /// Its samples have this many bits, which does not go with their format.
    Bits(u16),
    /// It has this many channels, not one.
    Channels(u16),
    /// It has this many samples a second, not 8,000.
    Rate(u32),
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWav => f.write_str("not a WAV file"),
            Self::NoFormat => f.write_str("a WAV file that does not say its format"),
            Self::DataBeforeFormat => f.write_str("a WAV file whose samples come before their format"),
            Self::NoData => f.write_str("a WAV file without samples"),
            Self::Cut { missing } => write!(f, "a WAV file that is cut off: {missing} octets are missing"),
            Self::Format(tag) => {
                write!(f, "WAV format {tag:#06x}; only 16-bit linear, A-law and mu-law are played")
            }
            Self::Bits(bits) => {
                write!(f, "{bits} bits a sample; only 16-bit linear and 8-bit G.711 are played")
            }
            Self::Channels(channels) => write!(f, "{channels} channels; a timeslot carries one"),
            Self::Rate(rate) => write!(f, "{rate} samples a second; a timeslot carries 8000"),
        }
    }
}

impl std::error::Error for WavError {}

/// RFC 2361: WAVE_FORMAT_PCM, _ALAW and _MULAW.
const FORMAT_LINEAR: u16 = 0x0001;
const FORMAT_A: u16 = 0x0006;
const FORMAT_MU: u16 = 0x0007;
/// WAVE_FORMAT_EXTENSIBLE: the format is in the extension, as the first field of a GUID.
const FORMAT_EXTENSIBLE: u16 = 0xFFFE;
const EXTENSIBLE_GUID_TAIL: [u8; 14] =
    [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71];
/// A size that was not known when it was written.
const SIZE_OPEN: u32 = u32::MAX;

/// A format that is read.
#[derive(Clone, Copy)]
enum Format {
    Linear,
    Companded(Law),
}

impl Format {
    fn parse(body: &[u8]) -> Result<Self, WavError> {
        let &[t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1, ref extension @ ..] = body else {
            return Err(WavError::NoFormat);
        };
        let tag = match u16::from_le_bytes([t0, t1]) {
            FORMAT_EXTENSIBLE => extended_tag(extension)?,
            tag => tag,
        };
        let format = match tag {
            FORMAT_LINEAR => Self::Linear,
            FORMAT_A => Self::Companded(Law::A),
            FORMAT_MU => Self::Companded(Law::Mu),
            other => return Err(WavError::Format(other)),
        };
        let channels = u16::from_le_bytes([c0, c1]);
        let rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let bits = u16::from_le_bytes([b0, b1]);
        match (channels, rate, bits) {
            (1, FRAMES_PER_SECOND, bits) if bits == format.bits() => Ok(format),
            (1, FRAMES_PER_SECOND, bits) => Err(WavError::Bits(bits)),
            (1, rate, _) => Err(WavError::Rate(rate)),
            (channels, _, _) => Err(WavError::Channels(channels)),
        }
    }

    fn read(self, body: &[u8]) -> Result<Wav, WavError> {
        match self {
            Self::Companded(law) => Ok(Wav::Companded(law, body.to_vec())),
            Self::Linear => {
                let (samples, rest) = body.as_chunks();
                if !rest.is_empty() {
                    return Err(WavError::Cut { missing: 1 });
                }
                Ok(Wav::Linear(samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect()))
            }
        }
    }

    const fn bits(self) -> u16 {
        match self {
            Self::Linear => 16,
            Self::Companded(_) => 8,
        }
    }
}

/// The format in an extensible header: behind its own length, the valid bits and the speakers.
fn extended_tag(extension: &[u8]) -> Result<u16, WavError> {
    let &[_, _, _, _, _, _, _, _, t0, t1, ref tail @ ..] = extension else {
        return Err(WavError::Format(FORMAT_EXTENSIBLE));
    };
    if !tail.starts_with(&EXTENSIBLE_GUID_TAIL) {
        return Err(WavError::Format(FORMAT_EXTENSIBLE));
    }
    Ok(u16::from_le_bytes([t0, t1]))
}

/// The chunks of a file, in order.
struct Chunks<'a> {
    rest: &'a [u8],
    /// Octets by which the file is too short for its last chunk.
    missing: usize,
}

struct Chunk<'a> {
    id: [u8; 4],
    body: &'a [u8],
    is_cut: bool,
}

impl<'a> Chunks<'a> {
    fn of(file: &'a [u8]) -> Result<Self, WavError> {
        // The size of the whole is not looked at: programs that are cut short leave it wrong.
        match file {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', rest @ ..] => {
                Ok(Self { rest, missing: 0 })
            }
            _ => Err(WavError::NotWav),
        }
    }

    fn next(&mut self) -> Option<Chunk<'a>> {
        let &[i0, i1, i2, i3, s0, s1, s2, s3, ref rest @ ..] = self.rest else { return None };
        let id = [i0, i1, i2, i3];
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        if size == SIZE_OPEN {
            self.rest = &[];
            return Some(Chunk { id, body: rest, is_cut: false });
        }
        let size = size as usize;
        let Some((body, after)) = rest.split_at_checked(size) else {
            self.rest = &[];
            self.missing = size - rest.len();
            return Some(Chunk { id, body: rest, is_cut: true });
        };
        // A chunk of an odd size is followed by an octet that is not part of it.
        self.rest = after.get(size % 2..).unwrap_or_default();
        Some(Chunk { id, body, is_cut: false })
    }
}

fn append(file: &mut Vec<u8>, id: [u8; 4], body: &[u8]) {
    file.extend(id);
    file.extend(length(body.len()).to_le_bytes());
    file.extend(body);
    if body.len() % 2 == 1 {
        file.push(0);
    }
}

fn length(octets: usize) -> u32 {
    u32::try_from(octets).expect("a WAV file is shorter than 4 GiB")
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    use super::*;

    /// A file of these chunks.
    fn riff(chunks: &[([u8; 4], &[u8])]) -> Vec<u8> {
        let mut body = b"WAVE".to_vec();
        chunks.iter().for_each(|(id, chunk)| append(&mut body, *id, chunk));
        let mut file = Vec::new();
        append(&mut file, *b"RIFF", &body);
        file
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut format = Vec::new();
        format.extend(tag.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend([0; 6]);
        format.extend(bits.to_le_bytes());
        format
    }

    fn parsed_with(format: &[u8]) -> Result<Wav, WavError> {
        Wav::parse(&riff(&[(*b"fmt ", format), (*b"data", &[1, 2])]))
    }

    #[test]
    fn what_is_written_is_read_back_octet_for_octet() {
        let seed = 0x5EED_3A7E;
        println!("seed {seed:#x}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let n = random.random_range(0..300);
            let mut octets = vec![0; n];
            random.fill_bytes(&mut octets);
            let samples = (0..n).map(|_| random.random()).collect();
            for wav in [
                Wav::Companded(Law::A, octets.clone()),
                Wav::Companded(Law::Mu, octets.clone()),
                Wav::Linear(samples),
            ] {
                let file = wav.emit();
                assert_eq!(file.len() % 2, 0);
                assert_eq!(u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize, file.len() - 8);
                assert_eq!(Wav::parse(&file), Ok(wav));
            }
        }
    }

    #[test]
    fn a_companded_file_is_written_with_its_fact_chunk() {
        let file = Wav::Companded(Law::A, vec![0xD5, 0x55, 0xAA]).emit();
        let expected = b"RIFF\x36\0\0\0WAVE\
            fmt \x12\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0\0\0\
            fact\x04\0\0\0\x03\0\0\0\
            data\x03\0\0\0\xD5\x55\xAA\0";
        assert_eq!(file, expected);
    }

    #[test]
    fn chunks_of_other_kinds_are_passed_over() {
        let format = format(FORMAT_MU, 1, 8_000, 8);
        let file = riff(&[(*b"LIST", b"odd"), (*b"fmt ", &format), (*b"fact", &[0; 4]), (*b"data", &[7])]);
        assert_eq!(Wav::parse(&file), Ok(Wav::Companded(Law::Mu, vec![7])));
    }

    #[test]
    fn an_extensible_header_is_read_through() {
        let mut extensible = format(FORMAT_EXTENSIBLE, 1, 8_000, 16);
        extensible.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
        extensible.extend(EXTENSIBLE_GUID_TAIL);
        assert_eq!(parsed_with(&extensible), Ok(Wav::Linear(vec![0x0201])));
        extensible.pop();
        assert_eq!(parsed_with(&extensible), Err(WavError::Format(FORMAT_EXTENSIBLE)));
    }

    #[test]
    fn what_was_written_to_a_pipe_has_an_open_size() {
        let mut file = Wav::Companded(Law::A, vec![1, 2, 3, 4]).emit();
        let size = file.len() - 8;
        file[size..size + 4].fill(0xFF);
        assert_eq!(Wav::parse(&file), Ok(Wav::Companded(Law::A, vec![1, 2, 3, 4])));
    }

    #[test]
    fn what_is_longer_than_a_wav_file_can_be_has_an_open_size() {
        for octets in [u32::MAX - 8, u32::MAX] {
            let header = Wav::companded_header(Law::Mu, octets);
            assert_eq!(header[4..8], [0xFF; 4]);
            assert_eq!(header.len(), Wav::companded_header(Law::Mu, 0).len());
        }
        let mut file = Wav::companded_header(Law::Mu, u32::MAX);
        file.extend([1, 2, 3]);
        assert_eq!(Wav::parse(&file), Ok(Wav::Companded(Law::Mu, vec![1, 2, 3])));
    }

    #[test]
    fn what_does_not_fit_a_timeslot_is_refused_with_what_was_found() {
        assert_eq!(parsed_with(&format(1, 2, 8_000, 16)), Err(WavError::Channels(2)));
        assert_eq!(parsed_with(&format(1, 1, 44_100, 16)), Err(WavError::Rate(44_100)));
        assert_eq!(parsed_with(&format(1, 1, 8_000, 24)), Err(WavError::Bits(24)));
        assert_eq!(parsed_with(&format(6, 1, 8_000, 16)), Err(WavError::Bits(16)));
        assert_eq!(parsed_with(&format(3, 1, 8_000, 32)), Err(WavError::Format(3)));
        assert_eq!(WavError::Rate(44_100).to_string(), "44100 samples a second; a timeslot carries 8000");
    }

    #[test]
    fn a_file_that_lacks_something_is_refused_by_what_it_lacks() {
        let format = format(FORMAT_A, 1, 8_000, 8);
        assert_eq!(Wav::parse(b"OggS"), Err(WavError::NotWav));
        assert_eq!(Wav::parse(&riff(&[])), Err(WavError::NoFormat));
        assert_eq!(parsed_with(&format[..15]), Err(WavError::NoFormat));
        assert_eq!(Wav::parse(&riff(&[(*b"fmt ", &format)])), Err(WavError::NoData));
        assert_eq!(Wav::parse(&riff(&[(*b"data", &[1])])), Err(WavError::DataBeforeFormat));
        let file = Wav::Companded(Law::A, vec![0; 100]).emit();
        assert_eq!(Wav::parse(&file[..file.len() - 30]), Err(WavError::Cut { missing: 30 }));
    }

    #[test]
    fn no_mutilated_file_is_a_panic() {
        let seed = 0x5EED_BAD5;
        println!("seed {seed:#x}");
        let mut random = StdRng::seed_from_u64(seed);
        let good = Wav::Linear((0..20).collect()).emit();
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..bad.len());
                bad[at] = random.random();
            }
            bad.truncate(random.random_range(0..=bad.len()));
            let _ = Wav::parse(&bad);
        }
    }
}
