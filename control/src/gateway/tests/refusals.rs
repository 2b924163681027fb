//! Each wrong command has its own code (RFC 3435 §2.4, RFC 3661), and changes nothing.

use super::*;

/// Sends a command that is refused; nothing may come of it.
#[track_caller]
fn refused(bench: &mut Bench, code: u16, verb_and_endpoint: &str, parameters: &str) {
    let before = bench.gateway.digest();
    let answer = bench.ask(verb_and_endpoint, parameters);
    assert_code(&answer, code);
    assert_eq!(bench.gateway.digest(), before, "{verb_and_endpoint} {parameters}");
    assert_eq!(bench.actions(), []);
}

#[test]
fn names_that_mean_nothing() {
    let bench = &mut Bench::with(|config| config.gateway.aliases = vec!["[127.0.0.1]".to_owned()]);
    for name in ["ds/e1-1/0", "ds/e1-1/32", "ds/e1-9/1", "rtpbridge/81", "rtpbridge/0", "ds/ds1-9/*", "mg"] {
        refused(bench, 500, &format!("AUEP {name}@gw"), "");
    }
    refused(bench, 500, "AUEP ds/e1-1/1@elsewhere", "");
    assert_code(&bench.ask("AUEP ds/e1-1/1@Gw:2427", ""), 200);
    assert_code(&bench.ask("AUEP ds/e1-1/1@127.0.0.1", ""), 200);
    assert_code(&bench.ask("AUEP ds/e1-1/1@[127.0.0.1]:2427", ""), 200);
}

#[test]
fn wildcards_where_they_cannot_be() {
    let bench = &mut Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    refused(bench, 503, "CRCX ds/e1-1/*@gw", "C: A1\nM: recvonly\n");
    refused(bench, 503, "MDCX ds/e1-1/*@gw", &format!("C: A1\nI: {id}\nM: recvonly\n"));
    refused(bench, 503, "DLCX ds/e1-1/*@gw", &format!("C: A1\nI: {id}\n"));
    refused(bench, 503, "DLCX ds/e1-1/$@gw", "");
    refused(bench, 503, "EPCF $@gw", "B: e:mu\n");
    refused(bench, 503, "AUEP $@gw", "");
    refused(bench, 503, "AUCX ds/e1-1/*@gw", &format!("I: {id}\nF: M\n"));
    refused(bench, 503, "DLCX ds/*/$@gw", "");
}

#[test]
fn parameters_that_are_missing_or_out_of_place() {
    let bench = &mut Bench::new();
    refused(bench, 510, "CRCX ds/e1-1/1@gw", "M: recvonly\n");
    refused(bench, 510, "CRCX ds/e1-1/1@gw", "C: A1\n");
    refused(bench, 510, "MDCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n");
    refused(bench, 510, "EPCF ds/e1-1/1@gw", "");
    refused(bench, 510, "RQNT ds/e1-1/1@gw", "R: \n");
    refused(bench, 510, "CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\nR: \n");
    refused(bench, 539, "CRCX ds/e1-1/1@gw", "C: A1\nI: B2\nM: recvonly\n");
    refused(bench, 539, "AUEP ds/e1-1/1@gw", "F: A\nM: recvonly\n");
    refused(bench, 539, "DLCX ds/e1-1/1@gw", &format!("\n{REMOTE}"));
}

#[test]
fn extensions_that_nobody_knows() {
    let bench = &mut Bench::new();
    let with = |line: &str| format!("C: A1\nM: recvonly\n{line}\n");
    refused(bench, 511, "CRCX ds/e1-1/1@gw", &with("X+Flower: Daisy"));
    refused(bench, 518, "CRCX ds/e1-1/1@gw", &with("RES/ER: 1"));
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", &with("X-Osmo-IGN: C")), 200);
}

#[test]
fn commands_that_are_not_for_a_gateway() {
    let bench = &mut Bench::new();
    refused(bench, 504, "NTFY ds/e1-1/1@gw", "X: A1\nO: L/hd\n");
    refused(bench, 504, "RSIP ds/e1-1/1@gw", "RM: restart\n");
    refused(bench, 504, "MESG ds/e1-1/1@gw", "");
}

#[test]
fn events_that_are_not_supported() {
    let bench = &mut Bench::new();
    refused(bench, 518, "RQNT ds/e1-1/1@gw", "X: A1\nR: D/[0-9#*](N),G/ft(N),nas/au\n");
    refused(bench, 522, "RQNT ds/e1-1/1@gw", "X: A1\nR: hd(N)\n");
    refused(bench, 513, "RQNT ds/e1-1/1@gw", "X: A1\nS: L/rg\n");
    refused(bench, 512, "RQNT ds/e1-1/1@gw", "X: A1\nR: L/hd(N)\n");
    refused(bench, 508, "RQNT ds/e1-1/1@gw", "X: A1\nQ: loop,twice\n");
    refused(bench, 537, "RQNT ds/e1-1/1@gw", "X: A1\nD: (xxFx)\n");
    refused(bench, 523, "RQNT ds/e1-1/1@gw", "X: A1\nR: B/oef(Z)\n");
    refused(bench, 512, "RQNT ds/e1-1/1@gw", "X: A1\nR: B/oef@*(N)\n");
    refused(bench, 519, "RQNT ds/e1-1/1@gw", "X: A1\nR: B/oef(D)\n");
    refused(bench, 539, "EPCF ds/e1-1/1@gw", "B: e:A\nB/PR: B/oef\n");
    refused(bench, 511, "RQNT ds/e1-1/1@gw", "X: A1\nB/XY: 1\n");
    for name in ["T/as", "G/pat(N)(7)", "L/aw", "L/e", "L/p", "L/s(N)(7)"] {
        refused(bench, 512, "RQNT ds/e1-1/1@gw", &format!("X: A1\nR: {name}\n"));
    }
    for name in ["T/as", "T/bl", "G/pat(7)", "L/aw", "L/e", "L/ht", "L/s(7)"] {
        refused(bench, 513, "RQNT ds/e1-1/1@gw", &format!("X: A1\nS: {name}\n"));
    }
    // RFC 3660 §2.1: these are signals alone.
    for name in ["G/cg", "G/rt", "L/dl", "L/bz"] {
        refused(bench, 522, "RQNT ds/e1-1/1@gw", &format!("X: A1\nR: {name}\n"));
    }
    // RFC 3660 §2.3: which tone is to be heard has to be said.
    refused(bench, 538, "RQNT ds/e1-1/1@gw", "X: A1\nR: T/sit(N)\n");
    refused(bench, 510, "RQNT ds/e1-1/1@gw", "X: A1\nR: T/sit(N)(2),T/sit(A)(2)\n");
    refused(bench, 518, "CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\nX: A1\nR: H/hd(N)\n");
}

#[test]
fn modes_that_cannot_be() {
    let bench = &mut Bench::new();
    for mode in ["sendrecv", "sendonly", "confrnce", "netwloop", "netwtest"] {
        refused(bench, 527, "CRCX ds/e1-1/1@gw", &format!("C: A1\nM: {mode}\n"));
    }
    refused(bench, 517, "CRCX ds/e1-1/1@gw", "C: A1\nM: data\n");
    refused(bench, 518, "CRCX ds/e1-1/1@gw", "C: A1\nM: nas/data\n");
    for mode in ["recvonly", "inactive", "loopback", "conttest"] {
        assert_code(&bench.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\nM: {mode}\n")), 200);
    }
}

#[test]
fn local_options_that_cannot_be_had() {
    let bench = &mut Bench::new();
    let options = [
        (532, "s:on"),
        (532, "gc:auto"),
        (532, "gc:-3"),
        (532, "r:g"),
        (532, "nt:ATM"),
        (532, "t:01"),
        (541, "k:clear:secret"),
        (534, "a:G729"),
        (534, "a:image/t38"),
        (525, "x+flower:daisy"),
        (518, "fm/t38:loose"),
        (541, "zz:1"),
        (532, "fxr/fx:t38;t38-loose"),
    ];
    for (code, option) in options {
        refused(bench, code, "CRCX ds/e1-1/1@gw", &format!("C: A1\nL: {option}\nM: recvonly\n"));
    }
    assert_code(
        &bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nL: x-flower:daisy, fxr/fx:t38;gw\nM: recvonly\n"),
        200,
    );
}

#[test]
fn remote_descriptions_that_cannot_be_used() {
    let bench = &mut Bench::new();
    let with = |description: &str| format!("C: A1\nM: sendrecv\n\n{description}");
    refused(bench, 509, "CRCX ds/e1-1/1@gw", &with("v=0\nthis is no line\n"));
    refused(bench, 534, "CRCX ds/e1-1/1@gw", &with(&REMOTE.replace("RTP/AVP 0 8 101", "RTP/AVP 18")));
}

#[test]
fn connections_that_are_not_there_or_of_another_call() {
    let bench = &mut Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    refused(bench, 515, "MDCX ds/e1-1/1@gw", "C: A1\nI: FF\nM: recvonly\n");
    refused(bench, 515, "MDCX ds/e1-1/2@gw", &format!("C: A1\nI: {id}\nM: recvonly\n"));
    refused(bench, 516, "MDCX ds/e1-1/1@gw", &format!("C: B2\nI: {id}\nM: recvonly\n"));
    refused(bench, 515, "DLCX ds/e1-1/1@gw", "I: FF\n");
    refused(bench, 516, "DLCX ds/e1-1/1@gw", &format!("C: B2\nI: {id}\n"));
    refused(bench, 515, "AUCX ds/e1-1/1@gw", "I: FF\nF: M\n");
}

#[test]
fn a_bad_mdcx_leaves_the_connection_as_it_was() {
    let bench = &mut Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    bench.actions();
    let bad = REMOTE.replace("RTP/AVP 0 8 101", "RTP/AVP 18").replace("30934", "40000");
    let parameters = format!("C: A1\nI: {id}\nN: other@[127.0.0.9]\nB: e:mu\nM: inactive\n\n{bad}");
    refused(bench, 534, "MDCX ds/e1-1/1@gw", &parameters);
}

#[test]
fn a_fifth_connection_is_too_many_and_harms_none() {
    let bench = &mut Bench::new();
    (0..4).for_each(|_| drop(bench.crcx("ds/e1-1/1@gw", "A1")));
    bench.actions();
    refused(bench, 540, "CRCX ds/e1-1/1@gw", &format!("C: A1\nM: sendrecv\n\n{REMOTE}"));
}

#[test]
fn no_port_is_left() {
    let bench = &mut Bench::with(|config| {
        config.spans.truncate(1);
        config.media.port_last = config.media.port_first + 31 * 2 - 1;
    });
    for timeslot in 1..=31 {
        bench.crcx(&format!("ds/e1-1/{timeslot}@gw"), "A1");
    }
    bench.actions();
    refused(bench, 403, "CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n");
    assert_code(&bench.ask("DLCX ds/e1-1/9@gw", ""), 250);
    assert_code(&bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n"), 200);
}

#[test]
fn a_profile_changes_the_protocol_and_is_refused() {
    let bench = &mut Bench::new();
    let said = bench.say("AUEP 5 ds/e1-1/1@gw MGCP 1.0 NCS 1.0\n");
    assert_code(&said[0], 528);
}
