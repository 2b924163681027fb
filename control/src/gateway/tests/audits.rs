//! AUEP and AUCX.

use super::*;

#[test]
fn capabilities_are_told_as_they_are() {
    let mut bench = Bench::new();
    let answer = bench.ask("AUEP ds/ds1-1/1@[127.0.0.1]", "F: A\n");
    let capabilities = header(&answer, "A").expect("capabilities");
    assert_eq!(
        capabilities,
        "a:PCMA;PCMU;CLEARMODE;telephone-event, p:5-60, e:on, s:off, gc:0, t:1, nt:IN, v:T;G;D;R;L;FXR;B;SL;DM1;BA;RED;LCK, \
         m:sendonly;recvonly;sendrecv;confrnce;inactive;loopback;conttest;netwloop;netwtest"
    );
}

#[test]
fn what_has_no_value_is_told_as_empty_and_what_is_unknown_not_at_all() {
    let mut bench = Bench::new();
    let answer = bench.ask("AUEP ds/e1-1/1@gw", "F: I,R,S,N,Q,PL,B/NS,RM,RD,E,xyz/a\n");
    for (name, value) in [("I", ""), ("R", ""), ("S", ""), ("N", ""), ("RM", "restart"), ("RD", "0")] {
        assert_eq!(header(&answer, name).as_deref(), Some(value), "{name} in {answer}");
    }
    assert!(header(&answer, "E").expect("a reason").starts_with("000"));
    assert_eq!(header(&answer, "Q").as_deref(), Some("step,process"));
    assert_eq!(
        header(&answer, "PL").as_deref(),
        Some("T:1,G:1,D:1,R:1,L:1,FXR:0,B:0,SL:0,DM1:0,BA:0,RED:0,LCK:0")
    );
    assert_eq!(header(&answer, "B/NS").as_deref(), Some("o"));
    assert!(!answer.contains("xyz"), "{answer}");
    let twice = bench.ask("AUEP ds/e1-1/1@gw", "F: I,B/NS,I,b/ns\n");
    assert_eq!(twice.lines().skip(1).collect::<Vec<_>>(), ["I: ", "B/NS: o"]);
    assert_eq!(bench.ask("AUEP ds/e1-1/1@gw", ""), "200 3 OK\n");
}

#[test]
fn a_wildcard_lists_names_in_the_form_it_has() {
    let mut bench = Bench::new();
    let answer = bench.ask("AUEP ds/ds1-2/*@[127.0.0.1]", "F: A\n");
    let names: Vec<_> = answer.lines().filter(|line| line.starts_with("Z: ")).collect();
    assert_eq!(names.len(), 31);
    assert_eq!(names[30], "Z: ds/ds1-2/31@[127.0.0.1]");
    assert!(!answer.contains("\nA:"));
    assert_code(&bench.ask("AUEP ds/e1-[1-2]/[1-3,7]@gw", ""), 200);
}

#[test]
fn a_list_that_does_not_fit_a_datagram_is_refused() {
    let mut bench = Bench::new();
    let domain = "a-very-long-name-of-a-gateway.example.net";
    assert_code(&bench.ask(&format!("AUEP *@{domain}"), ""), 533);
}

#[test]
fn auditing_a_connection_tells_what_was_given_and_agreed() {
    let mut bench = Bench::new();
    let parameters = format!("C: A1\nN: ca@[127.0.0.1]:2727\nL: p:20, a:PCMA\nM: sendrecv\n\n{REMOTE}");
    let made = bench.ask("CRCX ds/e1-1/1@gw", &parameters);
    let id = header(&made, "I").expect("an id");
    let answer = bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: C,N,L,M,LC,RC,P\n"));
    assert_code(&answer, 200);
    assert_eq!(header(&answer, "C").as_deref(), Some("A1"));
    assert_eq!(header(&answer, "N").as_deref(), Some("ca@[127.0.0.1]:2727"));
    assert_eq!(header(&answer, "M").as_deref(), Some("sendrecv"));
    let options = header(&answer, "L").expect("options");
    assert!(options.contains("p:20") && options.contains("a:PCMA"), "{options}");
    assert_eq!(header(&answer, "P").as_deref(), Some("PS=50, OS=8000, PR=49, OR=7840, PL=1, JI=3, LA=7"));
    let descriptions: Vec<_> = answer.split("\n\n").skip(1).collect();
    assert_eq!(descriptions.len(), 2);
    assert_eq!(descriptions[0], made.split_once("\n\n").expect("a description").1.trim_end());
    assert_eq!(descriptions[1], REMOTE);
}

#[test]
fn a_remote_description_that_there_is_not_is_a_version_line() {
    let mut bench = Bench::new();
    let made = bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n");
    let id = header(&made, "I").expect("an id");
    bench.actions();
    let answer = bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: RC\n"));
    assert_eq!(answer, "200 2 OK\n\nv=0\n");
    assert_eq!(bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: \n")), "200 3 OK\n");
    assert_eq!(bench.actions(), []);
}

#[test]
fn an_audit_of_a_connection_that_ends_meanwhile_finds_none() {
    let mut bench = Bench::new();
    let id = bench.crcx("ds/e1-1/1@gw", "A1");
    assert_eq!(bench.say_only(&format!("AUCX 50 ds/e1-1/1@gw MGCP 1.0\nI: {id}\nF: P\n")), [""; 0]);
    assert_eq!(bench.say_only("DLCX 51 ds/e1-1/1@gw MGCP 1.0\n"), [""; 0]);
    let said = bench.carry_out();
    assert_code(&said[0], 515);
    assert_eq!(said[1], "250 51 OK\n");
}

#[test]
fn audits_do_not_make_a_notified_entity() {
    let mut bench = Bench::new();
    bench.ask("AUEP ds/e1-1/1@gw", "F: N\n");
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/1@gw", "F: N\n"), "N").as_deref(), Some(""));
    bench.ask("DLCX ds/e1-1/1@gw", "");
    assert_eq!(header(&bench.ask("AUEP ds/e1-1/1@gw", "F: N\n"), "N").as_deref(), Some("[127.0.0.1]:2727"));
}

#[test]
fn an_answer_that_no_datagram_holds_is_refused() {
    let mut bench = Bench::new();
    let long = format!("{REMOTE}{}", "a=x-filler:0123456789\n".repeat(200));
    let answer = bench.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\nM: sendrecv\n\n{long}"));
    let id = header(&answer, "I").expect("a connection id");
    assert_code(&bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: RC\n")), 533);
    assert_code(&bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: P,RC\n")), 533);
    assert_code(&bench.ask("AUCX ds/e1-1/1@gw", &format!("I: {id}\nF: P,LC\n")), 200);
}
