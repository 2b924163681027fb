//! Events, requests and answers in any order, over a network that loses datagrams, against RFC 3435 §4.4.1
//! written down a second time, as plainly as can be.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::events::bench;
use super::*;

/// Of ten datagrams, how many are lost, either way.
const LOST: u32 = 3;

/// A datagram is repeated no more often than this before it comes through: nobody gets disconnected here.
const TRIES_MAX: u32 = 4;

/// After how many seconds lockstep is reported.
const LOCKSTEP_S: u64 = 7;

/// Digits up to this are accumulated, others notified.
const ACCUMULATED: u32 = 4;

/// What an endpoint is to do, for requests of `R: D/[0-4](A),D/[5-9](N)`.
#[derive(Default)]
struct Oracle {
    is_loop: bool,
    identifier: u32,
    state: Expected,
    observed: Vec<u32>,
    quarantined: Vec<u32>,
    /// What is told: X and the digits.
    told: Vec<(u32, Vec<u32>)>,
    unanswered: Vec<usize>,
    /// Since when it is in lockstep, if that has not been reported.
    since: Option<Instant>,
    reports: usize,
}

#[derive(Clone, Copy, PartialEq, Default, Debug)]
enum Expected {
    #[default]
    Normal,
    /// The answer to this is awaited, and a request has come for which it has to be.
    Notified(usize, bool),
    Lockstep,
}

impl Oracle {
    fn request(&mut self, identifier: u32, is_loop: bool, discards: bool) {
        if let Expected::Notified(..) = self.state {
            self.observed.clear();
        }
        if discards {
            self.observed.clear();
            self.quarantined.clear();
        }
        self.quarantined.splice(0..0, self.observed.drain(..));
        (self.identifier, self.is_loop, self.since) = (identifier, is_loop, None);
        self.state = match self.state {
            Expected::Notified(last, _) if self.unanswered.len() >= 3 => Expected::Notified(last, true),
            _ => Expected::Normal,
        };
        self.drain();
    }

    fn event(&mut self, digit: u32) {
        self.quarantined.push(digit);
        self.drain();
    }

    fn answer(&mut self, now: Instant, number: usize) {
        self.unanswered.retain(|other| *other != number);
        let Expected::Notified(last, renewed) = self.state else { return };
        if last == number {
            self.observed.clear();
            let goes_on = self.is_loop || renewed;
            self.state = if goes_on { Expected::Normal } else { Expected::Lockstep };
            self.since = (!goes_on).then_some(now);
            self.drain();
        }
    }

    fn time(&mut self, now: Instant) {
        let is_due = |since: &mut Instant| now >= *since + Duration::from_secs(LOCKSTEP_S);
        self.reports += usize::from(self.since.take_if(is_due).is_some());
    }

    fn drain(&mut self) {
        while self.state == Expected::Normal && !self.quarantined.is_empty() {
            let digit = self.quarantined.remove(0);
            self.observed.push(digit);
            if digit > ACCUMULATED {
                self.state = Expected::Notified(self.told.len(), false);
                self.unanswered.push(self.told.len());
                self.told.push((self.identifier, self.observed.clone()));
            }
        }
    }
}

/// A gateway and its call agent, with a bad network between them.
struct Network {
    bench: Bench,
    oracle: Oracle,
    rng: StdRng,
    /// The notifications by their transactions, in the order in which they were first sent.
    numbers: BTreeMap<String, usize>,
    told: Vec<(u32, Vec<u32>)>,
    reports: Vec<String>,
    /// How often something has been sent.
    tries: BTreeMap<String, u32>,
    /// What the call agent has got, in the order in which it first got it.
    received: Vec<usize>,
}

impl Network {
    /// Takes what the gateway says to the call agent, as far as it gets there, and its answers back.
    fn carry(&mut self, said: Vec<String>) {
        for datagram in said {
            let commands =
                datagram.split(".\n").filter(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
            let commands: Vec<_> = commands.map(str::to_owned).collect();
            let mut comes_through = self.rng.random_range(0..10) >= LOST;
            for command in &commands {
                let transaction = command.split(' ').nth(1).expect("a transaction").to_owned();
                let tries = self.tries.entry(transaction.clone()).or_default();
                *tries += 1;
                comes_through |= *tries > TRIES_MAX;
                self.notice(command, transaction);
            }
            for command in commands.iter().filter(|_| comes_through) {
                self.receive(command);
            }
        }
    }

    /// Something is sent, perhaps for the first time.
    fn notice(&mut self, command: &str, transaction: String) {
        if command.starts_with("RSIP ") {
            assert_eq!(header(command, "RM").as_deref(), Some("LCK/lockstep"));
            if !self.reports.contains(&transaction) {
                self.reports.push(transaction);
            }
        } else if !self.numbers.contains_key(&transaction) {
            self.numbers.insert(transaction, self.told.len());
            let digits = header(command, "O").expect("events");
            let digits = digits.split(',').map(|digit| digit[2..].parse().expect("D/n")).collect();
            let identifier = header(command, "X").expect("a name");
            self.told.push((u32::from_str_radix(&identifier, 16).expect("hex"), digits));
        }
    }

    /// The call agent gets a command, and answers.
    fn receive(&mut self, command: &str) {
        let transaction = command.split(' ').nth(1).expect("a transaction");
        let number = self.numbers.get(transaction).copied();
        if let Some(number) = number.filter(|number| !self.received.contains(number)) {
            self.received.push(number);
        }
        let is_late = self.tries[transaction] > TRIES_MAX;
        if is_late || self.rng.random_range(0..10) >= LOST {
            if let Some(number) = number {
                self.oracle.answer(self.bench.now, number);
            }
            let said = self.bench.say(&format!("200 {transaction} OK\n"));
            self.carry(said);
        }
    }

    fn dial(&mut self, digit: u32) {
        self.oracle.event(digit);
        let said = self.bench.dial(&digit.to_string());
        self.carry(said);
    }

    fn request(&mut self, identifier: u32) {
        let (is_loop, discards) = (self.rng.random(), self.rng.random());
        let handling = match (is_loop, discards) {
            (false, false) => "step,process",
            (false, true) => "step,discard",
            (true, false) => "loop,process",
            (true, true) => "discard,loop",
        };
        self.oracle.request(identifier, is_loop, discards);
        let request = format!("X: {identifier:X}\nQ: {handling}\nR: D/[0-4](A),D/[5-9](N)\n");
        let transaction = 10_000 + identifier;
        let said = self.bench.say(&format!("RQNT {transaction} ds/e1-1/1@gw MGCP 1.0\n{request}"));
        assert!(said[0].starts_with("200 "), "{said:?}");
        self.carry(said);
    }

    /// Lets a tenth of a second pass, again and again.
    fn wait(&mut self, tenths: u32) {
        for _ in 0..tenths {
            let end = self.bench.now + Duration::from_millis(100);
            self.oracle.time(end);
            let said = self.bench.after(Duration::from_millis(100));
            self.carry(said);
        }
    }

    #[track_caller]
    fn compare(&mut self) {
        assert_eq!(self.told, self.oracle.told, "told");
        assert!(self.received.is_sorted(), "nothing comes before what is older: {:?}", self.received);
        assert_eq!(self.reports.len(), self.oracle.reports, "reports of lockstep");
        let audit = self.bench.ask("AUEP ds/e1-1/1@gw", "F: O,B/NS\n");
        let state = match self.oracle.state {
            Expected::Normal => "o",
            Expected::Notified(..) => "ns",
            Expected::Lockstep => "ls",
        };
        assert_eq!(header(&audit, "B/NS").as_deref(), Some(state));
        let observed: Vec<_> = self.oracle.observed.iter().map(|digit| format!("D/{digit}")).collect();
        assert_eq!(header(&audit, "O"), Some(observed.join(",")));
    }
}

#[test]
fn what_is_told_is_what_the_rfc_says_whatever_is_lost() {
    for seed in 0..100 {
        println!("seed {seed}");
        let mut network = Network {
            bench: bench(),
            oracle: Oracle::default(),
            rng: StdRng::seed_from_u64(seed),
            numbers: BTreeMap::new(),
            told: Vec::new(),
            reports: Vec::new(),
            tries: BTreeMap::new(),
            received: Vec::new(),
        };
        let configured = network.bench.ask("EPCF ds/e1-1/1@gw", &format!("LCK/LST: {LOCKSTEP_S}\n"));
        assert_code(&configured, 200);
        network.request(0);
        for step in 1..120 {
            match network.rng.random_range(0..20) {
                0..10 => {
                    let digit = network.rng.random_range(0..10);
                    network.dial(digit);
                }
                10..14 => network.request(step),
                14..19 => {
                    let tenths = network.rng.random_range(0..5);
                    network.wait(tenths);
                }
                _ => network.wait(80),
            }
            network.compare();
        }
        // In the end all that was told has been heard.
        network.wait(100);
        assert_eq!(network.received.len(), network.told.len());
    }
}
