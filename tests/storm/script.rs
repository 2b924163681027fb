//! What call agents say in a storm: all commands, mostly sensible ones.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::agent::Agent;

const ENDPOINTS: [&str; 8] = [
    "ds/e1-1/1",
    "ds/e1-1/1",
    "ds/e1-1/2",
    "ds/e1-1/3",
    "ds/e1-1/17",
    "ds/e1-2/1",
    "ds/e1-2/31",
    "ds/e1-9/1",
];

const WILDCARDS: [&str; 6] = ["ds/e1-1/*", "*", "ds/e1-2/[1-9]", "ds/*/1", "ds/e1-1/$", "$"];

const MODES: [&str; 8] =
    ["sendrecv", "recvonly", "sendonly", "inactive", "confrnce", "loopback", "netwloop", "netwtest"];

const OPTIONS: [&str; 6] =
    ["p:20, a:PCMU", "a:PCMA;PCMU", "a:CLEARMODE", "p:10-30, e:on", "a:G729", "nt:IN, gc:auto"];

const ENTITIES: [&str; 6] = [
    "ca@[10.0.0.2]:2727",
    "ca@[10.0.0.3]:2727",
    "ca@[10.0.0.4]:2727",
    "ca@ca.example.net:2727",
    "ca@nowhere.example.net",
    "",
];

const AUDITED: [&str; 5] = ["C,M,P,LC,RC,L,N,I", "A", "R,S,X,N,I,T,O,ES,E,RM,RD,PL,MD,D,Q,B", "I,RM", ""];

const CALLS: [&str; 3] = ["A1", "B2", "C3"];

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn pick<'a>(rng: &mut StdRng, all: &[&'a str]) -> &'a str {
    all[rng.random_range(0..all.len())]
}

/// The first line of a command without its number, and the rest.
pub(crate) fn command(rng: &mut StdRng, agent: &Agent) -> (String, String) {
    let verb = match rng.random_range(0..100) {
        0..30 => "CRCX",
        30..45 => "MDCX",
        45..60 => "DLCX",
        60..75 => "RQNT",
        75..81 => "AUEP",
        81..88 => "AUCX",
        88..94 => "EPCF",
        94..96 => "RSIP",
        96..98 => "NTFY",
        _ => "MESG",
    };
    let (endpoint, connection) = subject(rng, agent, verb);
    let mut rest = String::new();
    let mut add = |name: &str, value: &str| rest.push_str(&format!("{name}: {value}\r\n"));
    let connects = matches!(verb, "CRCX" | "MDCX");
    if connects || verb == "DLCX" && rng.random_bool(0.3) {
        add("C", pick(rng, &CALLS));
    }
    if verb == "AUCX" || verb == "MDCX" || verb == "DLCX" && rng.random_bool(0.6) {
        add("I", &connection);
    }
    if verb == "CRCX" || verb == "MDCX" && rng.random_bool(0.7) {
        add("M", pick(rng, &MODES));
    }
    if connects && rng.random_bool(0.4) {
        add("L", pick(rng, &OPTIONS));
    }
    if verb == "EPCF" || rng.random_bool(0.05) {
        add("B", pick(rng, &["e:A", "e:mu"]));
    }
    let is_audit = verb.starts_with("AU");
    if !is_audit && rng.random_bool(0.15) {
        add("N", pick(rng, &ENTITIES));
    }
    if is_audit {
        add("F", pick(rng, &AUDITED));
    }
    if verb == "RQNT" || connects && rng.random_bool(0.2) {
        add("X", pick(rng, &["1", "2FF", "A0"]));
        add("R", pick(rng, &["D/[0-9#*](N)", "G/ft(N)", "D/x(N)", "", "B/oef"]));
        if rng.random_bool(0.3) {
            add("Q", pick(rng, &["loop", "step", "process,loop", "discard"]));
        }
        if rng.random_bool(0.3) {
            add("S", pick(rng, &["G/rt", "D/5", ""]));
        }
    }
    if connects && rng.random_bool(0.6) {
        rest.push_str("\r\n");
        rest.push_str(DESCRIPTION);
    }
    (format!("{verb} {endpoint}"), rest)
}

/// An endpoint, and a connection of it if there is one.
fn subject(rng: &mut StdRng, agent: &Agent, verb: &str) -> (String, String) {
    if verb != "CRCX" && !agent.made.is_empty() && rng.random_bool(0.8) {
        return agent.made[rng.random_range(0..agent.made.len())].clone();
    }
    let wild = rng.random_bool(if verb == "DLCX" { 0.1 } else { 0.15 });
    let name = if wild { pick(rng, &WILDCARDS) } else { pick(rng, &ENDPOINTS) };
    (format!("{name}@gw"), "FF".to_owned())
}
