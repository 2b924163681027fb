//! Call agents that die, backups that take over, and a control network that loses a third of it all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use drivers::line::{Alarm, Alarms};
use drivers::net::sim::{Impairment, SimEndpoint};
use tests::World;
use tests::world::GATEWAY;

/// What a backup call agent has heard and not taken.
fn heard(backup: &SimEndpoint) -> Vec<String> {
    let datagrams = std::iter::from_fn(|| backup.receive());
    datagrams.map(|(_, _, octets)| String::from_utf8(octets).expect("MGCP is text")).collect()
}

#[test]
fn a_backup_takes_over_from_a_call_agent_that_died_and_calls_stay_up() {
    let mut w = World::builder(301).build();
    let (first, _) = w.call("ds/e1-1/1", "ds/e1-2/1");
    w.agent_answers = false;
    w.script(3).set_alarms(Alarms::NONE.with(Alarm::Los));
    // 2.5 s until the alarm counts, 2 * T-HIST until its RSIP is lost.
    w.run_for(Duration::from_secs(70));
    let backup = w.net().endpoint("10.0.0.3:2727".parse().expect("an address"));
    let gateway = SocketAddr::new(GATEWAY, 2427);
    let text = "RQNT 1 ds/e1-4/*@gw MGCP 1.0\r\nX: 1\r\nN: backup@[10.0.0.3]\r\n";
    backup.send(gateway, text.as_bytes());
    w.run_for(Duration::from_millis(100));
    assert!(heard(&backup).iter().any(|text| text.starts_with("501 1 ")), "it is out of service");
    let text = "RQNT 2 ds/e1-1/*@gw MGCP 1.0\r\nX: 1\r\nN: backup@[10.0.0.3]\r\n";
    backup.send(gateway, text.as_bytes());
    w.run_for(Duration::from_millis(100));
    assert!(heard(&backup).iter().any(|text| text.contains("200 2 ")), "it is in service");
    // What it has to tell goes to the backup now, and to nobody else.
    w.commands.clear();
    w.script(0).set_alarms(Alarms::NONE.with(Alarm::Los));
    let audit = w.ask("AUEP ds/e1-1/1@gw", "F: I,N\r\n");
    assert_eq!(audit.parameter("I"), Some(&*first.connection()), "the call is up");
    assert_eq!(audit.parameter("N"), Some("backup@[10.0.0.3]"));
    w.run_for(Duration::from_secs(4));
    let told = heard(&backup);
    assert!(
        told.iter().any(|text| text.contains(" ds/e1-1/*@gw ") && text.contains("RM: forced")),
        "{told:?}"
    );
    assert!(!w.commands.iter().any(|text| text.contains(" ds/e1-1/*@gw ")), "{:?}", w.commands);
}

#[test]
fn with_a_third_lost_and_half_doubled_each_command_is_executed_once() {
    for seed in 310..316 {
        let mut w = World::builder(seed).build();
        let hold = Duration::from_millis(40);
        w.net().impair(Impairment { loss: 0.3, duplicate: 0.5, reorder: 0.3, hold, ..Impairment::default() });
        let mut finals: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for n in 1..=60 {
            let endpoint = format!("ds/e1-{}/{}", n % 4 + 1, n % 7 + 1);
            let text = match n % 3 {
                0 => format!("DLCX {n} {endpoint}@gw MGCP 1.0\r\n"),
                _ => format!("CRCX {n} {endpoint}@gw MGCP 1.0\r\nC: {n}\r\nM: recvonly\r\n"),
            };
            ask_until_answered(&mut w, n, &text, &mut finals);
        }
        ask_until_answered(&mut w, 61, "DLCX 61 *@gw MGCP 1.0\r\n", &mut finals);
        for (transaction, texts) in &finals {
            let same = texts.iter().all(|text| *text == texts[0]);
            assert!(same, "seed {seed}: one final response to {transaction}: {texts:?}");
        }
        assert!(w.gateway().ledger().is_empty(), "seed {seed}");
        w.net().impair(Impairment::default());
        w.run_for(Duration::from_secs(5));
        w.commands.clear();
        w.run_for(Duration::from_secs(700));
        assert_eq!(w.commands, [""; 0], "seed {seed}: the restart has been heard of");
    }
}

fn ask_until_answered(w: &mut World, n: u32, text: &str, finals: &mut BTreeMap<u32, Vec<String>>) {
    for _ in 0..100 {
        w.send_text(text);
        w.run_for(Duration::from_millis(200));
        for reply in w.take_replies().into_iter().filter(|reply| reply.code >= 200) {
            finals.entry(reply.transaction).or_default().push(reply.text);
        }
        if finals.contains_key(&n) {
            return;
        }
    }
    panic!("seed {}: no response to {n}", w.seed());
}
