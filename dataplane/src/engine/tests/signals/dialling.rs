//! Digits that a peer is told of as telephone-events, read from the octets that were sent.

use rand::RngExt;
use rand::rngs::StdRng;

use super::*;
use crate::link::{DigitSet, EventFormat};

const TYPE: u8 = 97;

/// What one packet says, by RFC 3550 §5.1 and RFC 4733 §2.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Told {
    is_marked: bool,
    timestamp: u32,
    code: u8,
    is_over: bool,
    volume: u8,
    duration: u16,
}

fn leg_that_tells(mode: Mode, remote: Remote, digits: DigitSet) -> Leg {
    Leg { send_events: Some(EventFormat { payload_type: TYPE, digits }), ..leg(mode, remote) }
}

fn told(sent: &Sent) -> Option<Told> {
    let octets: [u8; 16] = sent.octets[..].try_into().ok()?;
    assert_eq!((octets[0], octets[1] & 0x7F, octets[13] & 0x40), (0x80, TYPE, 0));
    Some(Told {
        is_marked: octets[1] & 0x80 != 0,
        timestamp: u32::from_be_bytes(octets[4..8].try_into().expect("4")),
        code: octets[12],
        is_over: octets[13] & 0x80 != 0,
        volume: octets[13] & 0x3F,
        duration: u16::from_be_bytes(octets[14..].try_into().expect("2")),
    })
}

/// A digit for `on` octets and a pause for `off`.
fn pressed(written: char, on: usize, off: usize) -> Vec<u8> {
    let tone = ToneSpec::dtmf(digit(written), -10, 1_000, 1_000);
    let mut samples = vec![0; on];
    Player::new(tone, Law::A).add(&mut samples);
    samples.resize(on + off, 0);
    samples.into_iter().map(|sample| Law::A.encode(sample as i16)).collect()
}

impl Core {
    fn type_on(&mut self, octets: Vec<u8>) {
        let ticks = octets.len() / BLOCK;
        self.scripts.insert(LINE, octets.into());
        self.ticks(ticks);
    }

    fn told(&self) -> Vec<Told> {
        self.out.iter().filter_map(told).collect()
    }

    /// The first octet's timestamp of each audio packet.
    fn audio(&self) -> Vec<u32> {
        self.rtp_from(0).iter().filter(|one| one.payload_type == 8).map(|one| one.timestamp).collect()
    }
}

#[test]
fn a_digit_of_the_line_is_told_from_its_beginning_to_its_end_and_not_sounded() {
    for ptime_ms in [5, 10, 20, 60] {
        let mut core = Core::new();
        let leg = leg_that_tells(Mode::SendReceive, peer(1), DigitSet::ALL);
        core.connect(LINE, 0, Leg { ptime_ms: ms(ptime_ms), ..leg });
        let mut script = vec![Law::A.silence(); 1_600];
        script.extend(pressed('5', 800, 1_600));
        core.type_on(script);
        let began = identity(0).timestamp.wrapping_add(1_600);
        let all = core.told();
        let (first, ends) = (all[0], &all[all.len() - 3..]);
        assert!(first.is_marked && all[1..].iter().all(|one| !one.is_marked), "{all:?}");
        assert!(all.iter().all(|one| one.code == 5 && one.timestamp == first.timestamp));
        assert!(first.timestamp.wrapping_sub(began) as i32 / 8 <= 3, "{ptime_ms}: {first:?} {began}");
        assert!(all.windows(2).all(|two| two[0].duration <= two[1].duration), "{all:?}");
        assert!(ends.iter().all(|one| one.is_over && *one == ends[0]), "{all:?}");
        assert_eq!(all.iter().filter(|one| one.is_over).count(), 3);
        assert!((780..=824).contains(&ends[0].duration), "{all:?}");
        // Two tones of -10 and -8 dBm0.
        assert!((5..=7).contains(&first.volume), "{first:?}");
        // What had left before it was known is all that was heard; no packet has any of what came then.
        let heard: Vec<u32> = core.audio().iter().map(|at| at.wrapping_sub(began)).collect();
        let leaked = heard.iter().filter(|at| (**at as i32) < 600).map(|at| *at as i32).max();
        assert!(leaked.expect("audio") + i32::from(ptime_ms) * 8 <= 36 * 8, "{leaked:?}");
        assert!(heard.iter().any(|at| (800..1_300).contains(&(*at as i32))), "{ptime_ms}: {heard:?}");
        let octets = core.rtp_from(0);
        assert!(
            octets
                .windows(2)
                .all(|two| two[1].sequence == two[0].sequence.wrapping_add(1) && two[1].ssrc == two[0].ssrc)
        );
        let seen = core.survey(0);
        assert_eq!(seen.packets_sent as usize, octets.len());
        assert_eq!(seen.octets_sent as usize, octets.iter().map(|one| one.payload.len()).sum::<usize>());
        assert_eq!(core.observations(), [], "nobody had asked");
    }
}

// RFC 4733 §2.5.1.1.
#[test]
fn who_is_told_of_a_digit_of_the_line_hears_the_others_meanwhile() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg_that_tells(Mode::Conference, peer(1), DigitSet::ALL));
    core.connect(LINE, 1, leg(Mode::Conference, peer(2)));
    core.scripts.insert(LINE, pressed('5', 4_000, 4_000).into());
    let mut peers = [Peer::new(2, 1)];
    core.talk(&mut peers, 100);
    let told = core.told();
    assert!(!told.is_empty() && told.iter().all(|one| one.code == 5), "{told:?}");
    let audio: Vec<_> = core.rtp_from(0).into_iter().filter(|one| one.payload_type == 8).collect();
    assert!(audio.windows(2).all(|two| two[1].timestamp.wrapping_sub(two[0].timestamp) == 160), "no gap");
    let octets: Vec<u8> = audio.iter().flat_map(|one| one.payload.clone()).collect();
    // 36 ms of the digit had left before it was known.
    let during = &octets[800..3_600];
    assert_eq!(digits_in(during), "", "the tone itself is left out");
    assert!(find(&peers[0].said(), &during[..800]).is_some(), "the other is heard as it is");
}

#[test]
fn what_is_told_to_the_peer_is_observed_all_the_same_if_asked_for() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg_that_tells(Mode::SendReceive, peer(1), DigitSet::ALL));
    core.scripts.insert(LINE, pressed('7', 1_600, 4_000).into());
    core.ticks(20);
    core.watch(line(), DetectorSet::DTMF);
    core.ticks(40);
    assert_eq!(core.observations(), [], "its beginning was not asked for");
    core.type_on(pressed('8', 480, 1_600));
    assert_eq!(core.digits_at(line()), "8");
    assert_eq!(
        core.told().iter().filter(|one| one.is_marked).map(|one| one.code).collect::<Vec<_>>(),
        [7, 8]
    );
}

/// Two gateways' legs, one telling the other; `lost` of 100 datagrams are lost on the way.
fn dialled_across(digits: &str, on_off_ms: usize, lost: u32, seed: u64) -> (String, String) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut core = Core::new();
    let tells = leg_that_tells(Mode::SendReceive, ourselves(1), DigitSet::ALL);
    core.connect(LINE, 0, tells);
    core.connect(18, 1, Leg { receive_events: Some(TYPE), ..leg(Mode::SendReceive, ourselves(0)) });
    core.watch(network(1), DetectorSet::DTMF);
    let mut script = vec![Law::A.silence(); 1_600];
    for written in digits.chars() {
        script.extend(pressed(written, on_off_ms * 8, on_off_ms * 8));
    }
    script.extend([Law::A.silence(); 3_200]);
    let mut observed = String::new();
    let ticks = script.len() / BLOCK;
    core.scripts.insert(LINE, script.into());
    for _ in 0..ticks {
        core.tick();
        core.coming.retain(|(to, ..)| *to != rtp(1) || rng.random_range(0..100) >= lost);
        observed += &core.digits_at(network(1));
    }
    (observed, digits_in(core.heard(18)))
}

#[test]
fn all_digits_typed_at_50_ms_come_to_the_other_gateway_and_its_line() {
    let all = "0123456789*#ABCD11";
    assert_eq!(dialled_across(all, 50, 0, 1), (all.to_owned(), all.to_owned()));
}

#[test]
fn loss_doubles_no_digit_and_takes_none_away() {
    let all = "5550199*#12";
    for seed in 0..8 {
        println!("seed {seed}");
        assert_eq!(dialled_across(all, 100, 20, seed), (all.to_owned(), all.to_owned()), "seed {seed}");
    }
}

// RFC 4733 §2.5.1.1.
#[test]
fn what_the_peer_does_not_list_is_sounded() {
    let mut core = Core::new();
    let digits = DigitSet::NONE.with(digit('1'));
    core.connect(LINE, 0, leg_that_tells(Mode::SendReceive, peer(1), digits));
    core.type_on([pressed('2', 480, 800), pressed('1', 480, 1_600)].concat());
    assert!(core.told().iter().all(|one| one.code == 1) && !core.told().is_empty());
    let audio: Vec<u8> = core
        .rtp_from(0)
        .into_iter()
        .filter(|one| one.payload_type == 8)
        .flat_map(|one| one.payload)
        .collect();
    assert_eq!(digits_in(&audio), "2");
}

#[test]
fn a_digit_that_is_played_to_the_peer_is_told_whatever_the_mode() {
    for mode in [Mode::Inactive, Mode::SendReceive, Mode::ReceiveOnly] {
        let mut core = Core::new();
        core.connect(LINE, 0, leg_that_tells(mode, peer(1), DigitSet::ALL));
        core.scripts.insert(LINE, VecDeque::new());
        core.play(network(0), 3, ToneSpec::dtmf(digit('#'), -10, 83, 80));
        core.ticks(60);
        assert_eq!(core.observations(), [(network(0), Observation::PlayEnded(PlayId(3)))]);
        let all = core.told();
        assert!(all.iter().all(|one| one.code == 11 && one.volume == 6), "{all:?}");
        assert_eq!(all.iter().filter(|one| one.is_over && one.duration == 664).count(), 3, "{all:?}");
        assert_eq!(all.iter().filter(|one| one.is_marked).count(), 1);
        let audio = core.rtp_from(0).into_iter().filter(|one| one.payload_type == 8);
        assert!(audio.flat_map(|one| one.payload).all(|octet| octet == Law::A.silence()), "{mode}");
        let silent = core.out.len();
        core.ticks(20);
        assert_eq!(mode == Mode::SendReceive, core.out.len() > silent, "{mode}");
    }
}

#[test]
fn a_played_digit_that_is_stopped_is_over() {
    let mut core = Core::new();
    core.connect(LINE, 0, leg_that_tells(Mode::Inactive, peer(1), DigitSet::ALL));
    let (low, high) = digit('4').hz();
    let tone = ToneSpec::steady(&[Frequency::hz(low, -10), Frequency::hz(high, -8)], Blend::Alone);
    core.play(network(0), 3, tone);
    core.ticks(30);
    core.stop(network(0), 3);
    core.ticks(30);
    let all = core.told();
    assert_eq!(all.iter().filter(|one| one.is_over && one.duration == 1_200).count(), 3, "{all:?}");
}

#[test]
fn who_no_longer_hears_the_line_is_told_no_more() {
    for change in [
        leg_that_tells(Mode::ReceiveOnly, peer(1), DigitSet::ALL),
        leg(Mode::SendReceive, peer(1)),
        Leg { peer: link::Peer::OnHold, ..leg_that_tells(Mode::SendReceive, peer(1), DigitSet::ALL) },
    ] {
        let mut core = Core::new();
        core.connect(LINE, 0, leg_that_tells(Mode::SendReceive, peer(1), DigitSet::ALL));
        core.scripts.insert(LINE, pressed('5', 4_000, 0).into());
        core.ticks(40);
        let before = core.told().len();
        assert!(before > 3);
        core.modify(0, change);
        core.ticks(80);
        assert_eq!(core.told().len(), before, "{change:?}");
    }
}
