//! RFC 3435 Appendices F and G: the exchanges with events and signals, at DS0s instead of phones.
//!
//! The call agent is one that takes them for phones. No circuit has a hook, so hooks are asked for, and
//! what is told is what a circuit can tell of: digits, and a fax machine.

use std::time::Duration;

use drivers::line::Law;
use drivers::span::sim::{FarEnd, Play};
use tests::World;
use tests::audio::{dialled, tones};

use crate::script::play;

/// A world whose restart is over, and whose first DS0's far end says this, once.
fn world(seed: u64, octets: &[u8]) -> World {
    let far_end = FarEnd::File { play: Play::Once(octets.into()), record: None };
    let agent = "[[call_agent]]\nnetworks = [\"10.0.0.2\"]\ntelephones = true\n";
    let spans = "[[span]]\ncount = 2\n";
    let mut w = World::builder(seed).spans(spans).config(agent).far_end(0, 1, far_end).build();
    w.run_for(Duration::from_millis(100));
    w.commands.clear();
    w
}

#[test]
fn a_phone_is_rung_and_its_hook_asked_for() {
    play(
        &mut world(171, &[]),
        "
        # F.1, the first
        > RQNT 1201 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > N: ca@ca1.whatever.net:5678
        > X: 0123456789AC
        > R: l/hd(N)
        > S: l/rg

        < 200 1201 OK
        ",
    );
}

#[test]
fn a_request_stands_in_a_request() {
    play(
        &mut world(172, &[]),
        "
        # F.1, the second
        > RQNT 1202 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > N: ca@ca1.whatever.net:5678
        > X: 0123456789AC
        > R: L/hd(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D))))
        > D: (0T|00T|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)
        > S:
        > Q: process
        > T: G/ft

        < 200 1202 OK

        > AUEP 1203 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > F: R,D,Q,T,N

        < 200 1203 OK
        < N: ca@ca1.whatever.net:5678
        < R: L/hd(A,E(R(L/oc(N),L/hu(N),D/[0-9*#T](D)),S(L/dl)))
        < D: (0T|00T|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)
        < Q: step,process
        < T: G/ft
        ",
    );
}

#[test]
fn twelve_digits_are_told_behind_another_event() {
    let mut octets = tones(Law::A, &[(&[], 500), (&[1_100.0], 500), (&[], 500)]);
    octets.extend(dialled(Law::A, 0, "912018294266"));
    play(
        &mut world(173, &octets),
        "
        > RQNT 1202 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > N: ca@[10.0.0.2]:2727
        > X: 0123456789AC
        > R: G/ft(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D))))
        > D: (0T|00T|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)

        < 200 1202 OK

        # F.2
        < NTFY $ntfy ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        < N: ca@[10.0.0.2]:2727
        < X: 0123456789AC
        < O: G/ft,D/9,D/1,D/2,D/0,D/1,D/8,D/2,D/9,D/4,D/2,D/6,D/6

        > 200 $ntfy OK
        ",
    );
}

#[test]
fn a_connection_is_described_and_ringback_played() {
    play(
        &mut world(174, &[]),
        "
        > CRCX 1208 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > L: a:PCMU
        > M: inactive

        < 200 1208 OK
        < I: $id
        <
        < (ours $session $port 20)

        # F.4, the second
        > MDCX 1210 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > C: A3C47F21456789F0
        > I: $id
        > M: recvonly
        > X: 0123456789AE
        > R: L/hu
        > S: G/rt
        >
        > (theirs 4723891 7428910 128.96.63.25 3456)

        < 200 1210 OK

        > AUEP 1211 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > F: X,S

        < 200 1211 OK
        < X: 0123456789AE
        < S: G/rt
        ",
    );
}

#[test]
fn a_request_is_audited() {
    let mut octets = tones(Law::A, &[(&[], 100), (&[1_100.0], 500), (&[], 300)]);
    octets.extend(dialled(Law::A, 0, "912"));
    let mut w = world(175, &octets);
    play(
        &mut w,
        "
        > RQNT 2001 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > X: 0123456789B1
        > N: ca@[10.0.0.2]:2727
        > R: L/hu,L/oc(N),D/[0-9](A),G/ft(A)
        > S: L/vmwi(+)
        > T: G/ft

        < 200 2001 OK
        ",
    );
    w.run_for(Duration::from_secs(2));
    play(
        &mut w,
        "
        # F.8, the third
        > AUEP 2002 ds/e1-1/1@rgw-2567.whatever.net MGCP 1.0
        > F: R,D,S,X,N,I,T,O,ES

        < 200 2002 OK
        < I:
        < N: ca@[10.0.0.2]:2727
        < X: 0123456789B1
        < R: L/hu(N),L/oc(N),D/[0-9](A),G/ft(A)
        < S: L/vmwi(+)
        < D:
        < T: G/ft
        < O: G/ft,D/9,D/1,D/2
        < ES:
        ",
    );
}

#[test]
fn after_a_restart_each_endpoint_is_asked_for_its_hook() {
    play(
        &mut world(176, &[]),
        "
        # G.1.1, step 3
        > rqnt 154 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 3456789a0

        < 200 154 OK

        > rqnt 155 ds/e1-1/2@rgw1.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 3456789a1

        < 200 155 OK

        # G.1.2, step 4
        > rqnt 4 ds/e1-2/1@rgw2.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 234567892

        < 200 4 OK

        > rqnt 5 ds/e1-2/2@rgw2.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 234567893

        < 200 5 OK
        ",
    );
}

#[test]
fn a_number_is_dialled_and_the_call_rings() {
    play(
        &mut world(177, &dialled(Law::A, 1_000, "5001")),
        "
        # G.2.1, steps 2 to 4
        > rqnt 1057 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hu(n), d/[0-9#*T](d)
        > s: l/dl
        > x: 445678945
        > d: 5xxx

        < 200 1057 OK

        < NTFY $ntfy ds/e1-1/1@rgw1.whatever.net MGCP 1.0
        < X: 445678945
        < O: D/5,D/0,D/0,D/1

        > 200 $ntfy ok

        > rqnt 1058 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hu(n)
        > x: 445678946

        < 200 1058 OK

        # steps 8, 9, 11 and 12
        > rqnt 1061 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hu(n)
        > s: g/rt
        > x: 445678947

        < 200 1061 OK

        > rqnt 2053 ds/e1-2/1@rgw2.whatever.net mgcp 1.0
        > r: l/hd(n)
        > s: l/rg
        > x: 445678948

        < 200 2053 OK

        > rqnt 2054 ds/e1-2/1@rgw2.whatever.net mgcp 1.0
        > r: l/hu(n)
        > x: 445678949

        < 200 2054 OK

        > rqnt 1062 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hu(n)
        > x: 445678950

        < 200 1062 OK

        # G.3.1, steps 4 and 6
        > rqnt 2056 ds/e1-2/1@rgw2.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 445678951

        < 200 2056 OK

        > rqnt 1065 ds/e1-1/1@rgw1.whatever.net mgcp 1.0
        > r: l/hd(n)
        > x: 445678952

        < 200 1065 OK
        ",
    );
}
