//! What endpoints tell, while requests cross it, datagrams get lost, and call agents die.

use std::net::SocketAddr;
use std::time::Duration;

use drivers::net::sim::{Impairment, SimEndpoint};
use tests::World;
use tests::world::GATEWAY;

/// The value of a parameter.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let lines = message.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(own, _)| *own == name).map(|(_, value)| value.trim()).next()
}

/// The X of each notification that the call agent has got, as often as it got it.
fn told(w: &World) -> Vec<u32> {
    let notifications = w.commands.iter().filter(|command| command.starts_with("NTFY "));
    notifications.map(|command| header(command, "X").expect("a name").parse().expect("a number")).collect()
}

/// A request whose ringback ends after `ms`, which is to be told.
fn ring(x: u32, ms: u32) -> String {
    format!("X: {x}\r\nR: G/oc(N)\r\nS: G/rt(to={ms})\r\n")
}

#[test]
fn a_notification_that_a_connection_command_crosses_comes_first_and_once_more_with_the_next() {
    let mut w = World::builder(401).build();
    let id = w.connect("ds/e1-1/1", "recvonly", "").connection().to_owned();
    w.agent_answers = false;
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", &ring(1, 100)).code, 200);
    w.run_for(Duration::from_millis(150));
    assert_eq!(told(&w), [1]);
    // It has not been answered when the next request comes, inside another command.
    let change = format!("C: A1\r\nI: {id}\r\nM: inactive\r\n{}", ring(2, 100));
    assert_eq!(w.ask("MDCX ds/e1-1/1@gw", &change).code, 200);
    w.commands.clear();
    w.run_for(Duration::from_millis(115));
    let told = told(&w);
    assert!(told.ends_with(&[1, 2]), "the older one goes in front: {told:?}");
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: B/NS,O\r\n");
    assert_eq!(audit.parameter("B/NS"), Some("ns"));
    assert_eq!(audit.parameter("O"), Some("G/oc(G/rt)"));
    // Answered when they are repeated.
    w.agent_answers = true;
    w.run_for(Duration::from_secs(5));
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: B/NS,O\r\n");
    assert_eq!(audit.parameter("B/NS"), Some("ls"), "a request is waited for");
    assert_eq!(audit.parameter("O"), Some(""));
}

#[test]
fn over_a_bad_network_all_is_told_in_order() {
    for seed in 410..414 {
        let mut w = World::builder(seed).build();
        let hold = Duration::from_millis(40);
        w.run_for(Duration::from_millis(100));
        w.commands.clear();
        for x in 1..=40 {
            // Requests come through; what is told and its answers may not.
            w.net().impair(Impairment::default());
            let ms = 50 + x * 37 % 400;
            assert_eq!(w.ask(&format!("RQNT ds/e1-{}/7@gw", x % 2 + 1), &ring(x, ms)).code, 200);
            w.net().impair(Impairment { loss: 0.3, duplicate: 0.2, hold, ..Impairment::default() });
            w.run_for(Duration::from_millis(u64::from(ms) + u64::from(x) % 3 * 700));
        }
        w.run_for(Duration::from_secs(10));
        let all = told(&w);
        for parity in 0..2 {
            let mut first = Vec::new();
            let own = all.iter().filter(|x| *x % 2 == parity);
            for x in own {
                if !first.contains(x) {
                    first.push(*x);
                }
            }
            let expected: Vec<_> = (1..=40).filter(|x| x % 2 == parity).collect();
            assert_eq!(first, expected, "seed {seed}");
        }
    }
}

#[test]
fn what_happens_while_nobody_listens_is_told_behind_the_disconnected_procedure() {
    let mut w = World::builder(420).build();
    w.run_for(Duration::from_millis(100));
    w.agent_answers = false;
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", &ring(1, 100)).code, 200);
    // 2 * T-HIST until it is lost, and then the wait of the disconnected procedure.
    w.run_for(Duration::from_secs(62));
    w.commands.clear();
    w.agent_answers = true;
    w.run_for(Duration::from_secs(60));
    let first = w.commands.first().expect("the gateway speaks");
    assert_eq!(header(first, "RM"), Some("disconnected"), "{first}");
    assert_eq!(told(&w), [0; 0], "what was told to nobody is lost");
    // RFC 3435 §4.4.1: it is over with the procedure, and the endpoint waits for a request.
    assert_eq!(w.ask("AUEP ds/e1-1/1@gw", "F: B/NS\r\n").parameter("B/NS"), Some("ls"));
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", &ring(2, 100)).code, 200);
    w.run_for(Duration::from_millis(300));
    assert_eq!(told(&w), [2]);
}

#[test]
fn what_the_first_call_agent_does_not_answer_goes_to_the_second() {
    let mut w = World::builder(430).build();
    w.run_for(Duration::from_millis(100));
    let backup = w.net().endpoint("10.0.0.3:2727".parse().expect("an address"));
    assert_eq!(w.ask("EPCF *@gw", "RED/NL: backup@[10.0.0.3]\r\n").code, 200);
    assert_eq!(w.ask("RQNT ds/e1-1/1@gw", &ring(1, 100)).code, 200);
    w.agent_answers = false;
    w.commands.clear();
    w.run_for(Duration::from_secs(10));
    let heard = heard(&backup);
    let ntfy = heard.first().expect("the backup is told");
    assert_eq!(w.commands.first(), Some(ntfy), "the same notification");
    let transaction = ntfy.split(' ').nth(1).expect("a transaction");
    backup.send(SocketAddr::new(GATEWAY, 2427), format!("200 {transaction} OK\r\n").as_bytes());
    w.run_for(Duration::from_secs(90));
    assert_eq!(w.ask("AUEP ds/e1-1/1@gw", "F: B/NS,RM\r\n").parameter("B/NS"), Some("ls"));
    assert!(w.commands.iter().all(|command| header(command, "RM").is_none()), "nobody is disconnected");
}

fn heard(backup: &SimEndpoint) -> Vec<String> {
    let datagrams = std::iter::from_fn(|| backup.receive());
    datagrams.map(|(_, _, octets)| String::from_utf8(octets).expect("MGCP is text")).collect()
}
