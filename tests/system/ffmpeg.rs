//! ffmpeg sends RTP into DS0s and hears a DS0's tone.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use drivers::line::Law;
use nix::sys::signal::Signal;
use tests::audio::distinct;

use crate::harness::{Running, has, wav_octets};

/// Packetization periods that ffmpeg is made to send, in ms.
const PTIMES: [usize; 6] = [5, 10, 20, 30, 40, 60];

/// What is between the gateway and ffmpeg: how each of them is started at its end.
pub(crate) struct Ground<'a> {
    /// A gateway with these settings.
    pub(crate) gateway: &'a dyn Fn(&str) -> Running,
    /// A program.
    pub(crate) program: &'a dyn Fn(&mut Command) -> Child,
    /// What the gateway's log must show at its end.
    pub(crate) check: &'a dyn Fn(&str),
}

const LOOPBACK: Ground<'_> = Ground {
    gateway: &Running::start,
    program: &|command| command.spawn().expect("ffmpeg starts"),
    check: &|_| {},
};

#[test]
fn what_ffmpeg_sends_at_each_ptime_is_what_the_far_end_records() {
    if has("ffmpeg") {
        records_what_ffmpeg_sends(&LOOPBACK);
    }
}

#[test]
fn ffmpeg_hears_a_ds0s_tone() {
    if has("ffmpeg") {
        lets_ffmpeg_hear_a_tone(&LOOPBACK);
    }
}

/// ffmpeg paces by the host's clock. A host that holds it up for longer than the jitter buffer waits makes a
/// real hole, which shows as late octets; then, and only then, the recording says nothing about us.
pub(crate) fn records_what_ffmpeg_sends(ground: &Ground<'_>) {
    for _ in 0..3 {
        match record_what_ffmpeg_sends(ground) {
            Ok(()) => return,
            Err(late) => println!("the host held ffmpeg up: {late}"),
        }
    }
    panic!("the host held ffmpeg up three times: this machine is too busy for the test");
}

/// One round: the recordings equal the sources, or some octets came too late for the jitter buffer.
fn record_what_ffmpeg_sends(ground: &Ground<'_>) -> Result<(), String> {
    // ffmpeg's own pacing on a busy machine is what the deep jitter buffer is for.
    let settings = "jitter_nominal_ms = 200\njitter_max_ms = 200\n\
        [[span]]\nlaw = \"a\"\nfar_end = \"idle\"\n[[span.timeslot]]\nnumbers = \"1-6\"\n\
        far_end = { kind = \"file\", record = \"a-{timeslot}.wav\" }\n\
        [[span]]\nlaw = \"mu\"\nfar_end = \"idle\"\n[[span.timeslot]]\nnumbers = \"1-6\"\n\
        far_end = { kind = \"file\", record = \"mu-{timeslot}.wav\" }\n";
    let mut gateway = (ground.gateway)(settings);
    let mut legs = Vec::new();
    for (span, law, payload_type, format) in [(1, Law::A, 8, "alaw"), (2, Law::Mu, 0, "mulaw")] {
        for (index, ptime) in PTIMES.iter().enumerate() {
            let port = 30_000 + 100 * span as u16 + 2 * index as u16;
            let sdp = gateway.peer(port, payload_type);
            let endpoint = format!("ds/e1-{span}/{}", index + 1);
            let reply = gateway.connect(&endpoint, "recvonly", &sdp);
            let to = reply.rtp();
            // Three seconds, whole packets of each size.
            let source = distinct((10 * span + index) as u64, law, 8 * 3_000);
            let file = gateway.folder.join(format!("{format}-{ptime}"));
            fs::write(&file, &source).expect("a file can be written");
            let url = format!(
                "rtp://{to}?localrtpport={port}&localrtcpport={}&localaddr={}&pkt_size={}",
                port + 1,
                gateway.peers,
                12 + 8 * ptime
            );
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg
                .args([
                    "-hide_banner",
                    "-loglevel",
                    "error",
                    "-re",
                    "-f",
                    format,
                    "-ar",
                    "8000",
                    "-ac",
                    "1",
                    "-i",
                ])
                .arg(&file)
                .args(["-af", &format!("asetnsamples=n={}", 8 * ptime)])
                .args(["-c:a", &format!("pcm_{format}"), "-f", "rtp", &url])
                .stdout(Stdio::null());
            let child = (ground.program)(&mut ffmpeg);
            legs.push((endpoint, law, index, source, reply.connection(), child));
        }
    }
    for (endpoint, .., child) in &mut legs {
        assert!(child.wait().expect("ffmpeg ends").success(), "ffmpeg for {endpoint}");
    }
    // What the jitter buffers still hold is yet to be played.
    gateway.listen_for(Duration::from_millis(400));
    for (endpoint, _, _, source, connection, _) in &legs {
        let seen = gateway.ask(&format!("DLCX {endpoint}@gw"), &format!("C: A1\r\nI: {connection}\r\n"));
        assert_eq!(seen.code, 250, "{}", seen.text);
        assert_eq!(seen.seen("PL"), Some(0), "{}", seen.text);
        assert_eq!(seen.seen("OR"), Some(source.len() as u64), "{}", seen.text);
    }
    // The counters are logged before the signal that follows is looked at.
    gateway.signal(Signal::SIGUSR1);
    gateway.listen();
    assert_eq!(gateway.stop(), Some(0));
    (ground.check)(&gateway.log());
    let late = gateway.log().lines().find(|line| line.contains("rtp_late_octets=")).map(str::to_owned);
    if let Some(line) = late {
        return Err(line);
    }
    for (endpoint, law, index, source, ..) in &legs {
        let name = if *law == Law::A { "a" } else { "mu" };
        let heard = gateway.recording(&format!("{name}-{}.wav", index + 1));
        let at = heard.windows(64).position(|run| run == &source[..64]);
        let at = at.unwrap_or_else(|| panic!("{endpoint}: the source's first octets were not heard"));
        let len = source.len().min(heard.len() - at);
        let first_wrong = (0..len).find(|&i| heard[at + i] != source[i]);
        assert_eq!(first_wrong, None, "{endpoint} at {} ms: an octet differs", PTIMES[*index]);
        assert_eq!(len, source.len(), "{endpoint}: the recording ends early");
    }
    Ok(())
}

/// A tone of the far end's, as loud and as pure at ffmpeg's ear.
pub(crate) fn lets_ffmpeg_hear_a_tone(ground: &Ground<'_>) {
    let settings = "[[span]]\nfar_end = { kind = \"tone\", hz = 1004, dbm0 = -10 }\n";
    let mut gateway = (ground.gateway)(settings);
    let description = gateway.peer(31_000, 8);
    let sdp = gateway.folder.join("peer.sdp");
    fs::write(&sdp, &description).expect("a file can be written");
    let wav = gateway.folder.join("heard.wav");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,udp,rtp", "-i"])
        .arg(&sdp)
        .args(["-t", "2", "-c:a", "pcm_s16le", "-y"])
        .arg(&wav)
        .stdout(Stdio::null());
    let mut child = (ground.program)(&mut ffmpeg);
    gateway.connect("ds/e1-1/1", "sendrecv", &description);
    assert!(child.wait().expect("ffmpeg ends").success());
    let samples: Vec<f64> = wav_octets(&fs::read(&wav).expect("ffmpeg has written"))
        .chunks_exact(2)
        .map(|two| f64::from(i16::from_le_bytes([two[0], two[1]])))
        .collect();
    assert!(samples.len() >= 12_000, "ffmpeg heard {} samples", samples.len());
    // 1,000 samples in the middle: 125.5 periods of 1,004 Hz.
    let samples = &samples[4_000..12_000];
    let turn = std::f64::consts::TAU * 1_004.0 / 8_000.0;
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
        (re + s * (turn * i as f64).cos(), im + s * (turn * i as f64).sin())
    });
    let n = samples.len() as f64;
    let power = samples.iter().map(|s| s * s).sum::<f64>() / n;
    let at_tone = 2.0 * (re * re + im * im) / (n * n);
    #[expect(clippy::approx_constant, reason = "3.14 dBm0 is the level of a full-scale A-law sine, not pi")]
    const FULL_SCALE_DBM0: f64 = 3.14;
    // A full-scale A-law sine is +3.14 dBm0 and has a peak of 32,256 in 16 bits (ITU-T G.711).
    let dbm0 = 10.0 * (power / (32_256.0_f64.powi(2) / 2.0)).log10() + FULL_SCALE_DBM0;
    assert!(at_tone / power > 0.99, "the power is at 1,004 Hz: {:.3}", at_tone / power);
    assert!((dbm0 + 10.0).abs() < 0.2, "a -10 dBm0 tone was heard as {dbm0:.2} dBm0");
}
