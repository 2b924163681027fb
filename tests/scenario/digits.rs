//! Digits from one gateway's line to the other's over telephone-events: line, RTP, line, NTFY.
//!
//! Both are the same gateway here; between its spans lies the network, with its losses.

use std::sync::Arc;
use std::time::Duration;

use dataplane::dsp::dtmf::DtmfReceiver;
use dataplane::link::{Observation, Sound};
use drivers::line::Law;
use drivers::net::sim::Impairment;
use drivers::span::sim::{FarEnd, Play, Recording};
use tests::World;
use tests::audio::dialled;

use crate::requests::{begun, observed};

/// A world where the first DS0 of the first span dials and the first of the second is recorded.
fn dialling(seed: u64, octets: &[u8]) -> (World, Arc<Recording>) {
    let recording = Arc::new(Recording::new(8_000 * 60));
    let listens = FarEnd::File { play: Play::Nothing, record: Some(Arc::clone(&recording)) };
    let dials = FarEnd::File { play: Play::Once(octets.into()), record: None };
    let builder = World::builder(seed).spans("[[span]]\n[[span]]\n");
    (begun(builder.far_end(0, 1, dials).far_end(1, 1, listens)), recording)
}

/// All that was observed; what is said again because the network lost it counts once.
fn told(w: &mut World) -> String {
    w.commands.dedup();
    observed(w).iter().map(|events| format!("{events} ")).collect()
}

/// Makes a call from the one to the other, and asks for the digits that come to the second's connection.
fn listen(w: &mut World, options: &str) -> String {
    let first = w.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\r\nM: recvonly\r\n{options}"));
    let sdp = first.description().expect("it is described").to_owned();
    let asked = "R: D/[0-9#*A-D]@$(N)\r\nX: 1\r\nQ: loop\r\n";
    let second = w.ask("CRCX ds/e1-2/1@gw", &format!("C: A1\r\nM: sendrecv\r\n{asked}\r\n{sdp}"));
    assert_eq!(second.code, 200, "{}", second.text);
    let sdp = second.description().expect("it is described").to_owned();
    let text = format!("C: A1\r\nI: {}\r\nM: sendrecv\r\n\r\n{sdp}", first.connection());
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &text).code, 200);
    assert_eq!(sdp.contains("telephone-event"), options.is_empty(), "{sdp}");
    second.connection().to_owned()
}

fn expected(digits: &str, id: &str) -> String {
    digits.chars().map(|digit| format!("D/{digit}@{id} ")).collect()
}

/// The digits that a line hears in some octets.
fn heard(octets: &[u8]) -> String {
    pressed(octets).iter().map(|(digit, _)| *digit).collect()
}

/// The same, and for how many ms each was there.
fn pressed(octets: &[u8]) -> Vec<(char, u16)> {
    let (mut receiver, mut digits) = (DtmfReceiver::new(), Vec::new());
    for block in octets.chunks_exact(40) {
        let samples: Vec<f32> = block.iter().map(|octet| Law::A.decode(*octet).into()).collect();
        receiver.hear(&samples, |what, _| {
            if let Observation::Ended { sound: Sound::Digit(digit), ms } = what {
                digits.push((digit.written(), ms));
            }
        });
    }
    digits
}

#[test]
fn digits_go_from_line_to_line_as_events_or_as_tones() {
    for options in ["", "L: a:PCMA\r\n"] {
        let digits = "0123456789*#ABCD";
        let (mut w, recording) = dialling(901, &dialled(Law::A, 1_000, digits));
        let id = listen(&mut w, options);
        w.run_for(Duration::from_secs(5));
        assert_eq!(told(&mut w), expected(digits, &id), "{options:?}");
        assert_eq!(heard(&recording.octets_from(0).expect("there is room")), digits, "{options:?}");
    }
}

#[test]
fn a_network_that_loses_a_fifth_doubles_no_digit() {
    for seed in 911..915 {
        let digits = "5501997#";
        let (mut w, recording) = dialling(seed, &dialled(Law::A, 1_000, digits));
        let id = listen(&mut w, "");
        w.net().impair(Impairment { loss: 0.2, ..Impairment::default() });
        w.run_for(Duration::from_secs(4));
        w.net().impair(Impairment::default());
        w.run_for(Duration::from_secs(20));
        assert_eq!(told(&mut w), expected(digits, &id), "seed {seed}");
        assert_eq!(heard(&recording.octets_from(0).expect("there is room")), digits, "seed {seed}");
    }
}

// RFC 4733 §2.5.1.3, §2.5.2.2: what is repeated, doubled or comes late is the same event, and its duration is
// that of the last report.
#[test]
fn digits_keep_number_and_length_over_loss_doubles_and_disorder() {
    for (seed, loss, duplicate, jitter_ms) in
        [(931, 0.05, 0.0, 0), (932, 0.0, 0.3, 60), (933, 0.05, 0.2, 30), (934, 0.1, 0.1, 20)]
    {
        let digits = "8#0C7153#D7A3706B85A524C440066559*6656A90#B5482*90";
        let (mut w, recording) = dialling(seed, &dialled(Law::A, 1_000, digits));
        let id = listen(&mut w, "");
        let jitter = Duration::from_millis(jitter_ms);
        w.net().impair(Impairment { loss, duplicate, jitter, ..Impairment::default() });
        w.run_for(Duration::from_secs(9));
        w.net().impair(Impairment::default());
        w.run_for(Duration::from_secs(20));
        assert_eq!(told(&mut w), expected(digits, &id), "seed {seed}");
        let pressed = pressed(&recording.octets_from(0).expect("there is room"));
        assert_eq!(pressed.iter().map(|(digit, _)| *digit).collect::<String>(), digits, "seed {seed}");
        // What holds the end of a digit up makes it longer.
        let longest = 100 + jitter_ms as u16;
        for (digit, ms) in pressed {
            assert!(
                (45..=longest).contains(&ms),
                "seed {seed}: {digit} was pressed for 60 ms and sounds for {ms}"
            );
        }
    }
}

#[test]
fn a_digit_that_is_signalled_on_a_connection_reaches_a_peer_that_takes_only_events() {
    let (mut w, _) = dialling(921, &[]);
    let id = listen(&mut w, "");
    let back = w.ask("RQNT ds/e1-1/1@gw", "X: 9\r\nS: D/8@*\r\n");
    assert_eq!(back.code, 200, "{}", back.text);
    w.run_for(Duration::from_millis(600));
    assert_eq!(told(&mut w), expected("8", &id));
}
