//! A call agent that repeats what is not answered, and answers what it is asked; text alone, so that it
//! shares no mistake with the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use drivers::net::sim::SimEndpoint;
use drivers::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::World;
use tests::world::GATEWAY;

/// How long a command is repeated at most.
const REPEATED_FOR: Duration = Duration::from_secs(20);

/// The wait before the first repetition.
const WAIT_FIRST: Duration = Duration::from_millis(200);

/// How old a command is at most when the network heals, so that it must be answered before it is given up.
const YOUNG: Duration = Duration::from_secs(5);

/// How long a datagram is under way at most. An agent that restarts begins at 1 again: what it acknowledged
/// before, and comes so late, is taken for an acknowledgement of what it asks now.
const STRAY: Duration = Duration::from_secs(2);

/// The longest wait between two.
const WAIT_MAX: Duration = Duration::from_secs(4);

/// What has become of the commands of one number, in all lives of the agent.
#[derive(Default)]
pub(crate) struct Asked {
    /// The commands, without what may differ when they are repeated.
    pub(crate) requests: BTreeSet<String>,
    /// The final responses.
    pub(crate) values: BTreeSet<String>,
    /// Connections and descriptions of provisional responses.
    promises: Vec<(String, String)>,
    /// Whether a command was given up: by the agent's death, or because nothing came through in time.
    pub(crate) is_abandoned: bool,
}

/// A command that has no final response.
struct Pending {
    id: u32,
    text: String,
    first_at: Instant,
    due: Instant,
    wait: Duration,
}

/// A call agent.
pub(crate) struct Agent {
    socket: SimEndpoint,
    rng: StdRng,
    next: u32,
    pending: Vec<Pending>,
    pub(crate) asked: BTreeMap<u32, Asked>,
    /// Final responses that were not acknowledged yet.
    received: Vec<u32>,
    /// Until when it hears and says nothing.
    down_until: Instant,
    /// When its latest life began.
    restarted_at: Option<Instant>,
    /// When the network healed.
    healed_at: Option<Instant>,
    /// Connections it was told of: endpoint and name.
    pub(crate) made: Vec<(String, String)>,
    /// What its commands were for.
    meant: BTreeMap<u32, String>,
    /// What it has been asked, by transaction.
    heard: BTreeSet<String>,
    /// Whether it may answer what it is asked with a refusal.
    pub(crate) is_moody: bool,
    pub(crate) restarts: u64,
    pub(crate) repeated: u64,
    pub(crate) promised: u64,
    pub(crate) notified: u64,
    pub(crate) announced: u64,
    /// How often it was told that it could not be reached.
    pub(crate) missed: u64,
    /// The commands that it was sent since somebody looked.
    pub(crate) told: String,
}

impl Agent {
    pub(crate) fn new(w: &World, address: &str, seed: u64) -> Self {
        let address: SocketAddr = address.parse().expect("an address and a port");
        Self {
            socket: w.net().endpoint(address),
            rng: StdRng::seed_from_u64(seed),
            next: 1,
            pending: Vec::new(),
            asked: BTreeMap::new(),
            received: Vec::new(),
            down_until: Instant::ZERO,
            restarted_at: None,
            healed_at: None,
            made: Vec::new(),
            meant: BTreeMap::new(),
            heard: BTreeSet::new(),
            is_moody: true,
            restarts: 0,
            repeated: 0,
            promised: 0,
            notified: 0,
            announced: 0,
            missed: 0,
            told: String::new(),
        }
    }

    /// Dies, and comes back knowing nothing, its transactions beginning at 1 again.
    pub(crate) fn restart(&mut self, until: Instant) {
        for pending in self.pending.drain(..) {
            self.asked.entry(pending.id).or_default().is_abandoned = true;
        }
        self.next = 1;
        self.received.clear();
        self.meant.clear();
        self.made.clear();
        self.down_until = until;
        self.restarted_at = Some(until);
        self.restarts += 1;
    }

    /// Hears and says nothing until then.
    pub(crate) fn sleep(&mut self, until: Instant) {
        self.down_until = until;
    }

    /// Nothing is lost from now on.
    pub(crate) fn heal(&mut self, now: Instant) {
        self.healed_at = Some(now);
    }

    /// Sends commands in one datagram, each `VERB endpoint` with its parameters and description. The
    /// transaction of the last.
    pub(crate) fn send(&mut self, now: Instant, commands: &[(String, String)]) -> u32 {
        let mut datagram = String::new();
        for (line, rest) in commands {
            let id = self.next;
            self.next += 1;
            let (verb, endpoint) = line.split_once(' ').expect("a verb and an endpoint");
            let acknowledged = self.acknowledged();
            let text = format!("{verb} {id} {endpoint} MGCP 1.0\r\n{acknowledged}{rest}");
            let request = format!("{line}\r\n{rest}");
            self.asked.entry(id).or_default().requests.insert(request);
            self.meant.insert(id, endpoint.to_owned());
            if !datagram.is_empty() {
                datagram.push_str(".\r\n");
            }
            datagram.push_str(&text);
            let due = now + WAIT_FIRST;
            self.pending.push(Pending { id, text, first_at: now, due, wait: WAIT_FIRST });
        }
        self.say(now, &datagram);
        self.next - 1
    }

    /// When it wants to do something next.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.due).min()
    }

    /// Whether all its commands have their answers.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Hears what has come, and repeats what is due.
    pub(crate) fn step(&mut self, now: Instant) {
        while let Some((from, _, octets)) = self.socket.receive() {
            if now >= self.down_until {
                let text = String::from_utf8(octets).expect("what the gateway says of itself is ASCII");
                self.hear(now, from, &text);
            }
        }
        for at in 0..self.pending.len() {
            let pending = &mut self.pending[at];
            if pending.due > now {
                continue;
            }
            pending.wait = (pending.wait * 2).min(WAIT_MAX);
            pending.due = now + pending.wait.mul_f64(self.rng.random_range(0.5..=1.0));
            let text = pending.text.clone();
            self.repeated += 1;
            self.say(now, &text);
        }
        let (asked, healed_at, restarted_at) = (&mut self.asked, self.healed_at, self.restarted_at);
        self.pending.retain(|pending| {
            let goes_on = now.since(pending.first_at) < REPEATED_FOR;
            if !goes_on {
                let was_heard = healed_at.is_some_and(|healed| healed <= pending.first_at + YOUNG);
                let is_new_here = restarted_at.is_some_and(|at| pending.first_at < at + STRAY);
                assert!(!was_heard || is_new_here, "repeated in vain: {}", pending.text);
                asked.entry(pending.id).or_default().is_abandoned = true;
            }
            goes_on
        });
    }

    fn say(&self, now: Instant, text: &str) {
        if now >= self.down_until {
            self.socket.send(SocketAddr::new(GATEWAY, 2427), text.as_bytes());
        }
    }

    /// A `K:` line, sometimes.
    fn acknowledged(&mut self) -> String {
        if self.received.is_empty() || !self.rng.random_bool(0.3) {
            return String::new();
        }
        let ids: Vec<_> = self.received.drain(..).map(|id| id.to_string()).collect();
        format!("K: {}\r\n", ids.join(","))
    }

    fn hear(&mut self, now: Instant, from: SocketAddr, datagram: &str) {
        for message in datagram.split_inclusive("\r\n.\r\n") {
            let message = message.strip_suffix(".\r\n").unwrap_or(message);
            let mut words = message.split_whitespace();
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            match first.parse::<u16>() {
                Ok(code) => self.response(now, code, second.parse().expect("a transaction"), message),
                Err(_) => {
                    self.told.push_str(message);
                    self.missed += u64::from(message.contains("RM: disconnected\r\n"));
                    self.command(now, from, first, second);
                }
            }
        }
    }

    fn response(&mut self, now: Instant, code: u16, id: u32, text: &str) {
        let header = |name: &str| {
            let lines = text.split("\r\n\r\n").next().unwrap_or_default().lines();
            lines.filter_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned()).next()
        };
        if code == 0 {
            return;
        }
        if code < 200 {
            assert!(code == 100 || code == 101, "a provisional response: {text}");
            self.promised += 1;
            let promises = &mut self.asked.entry(id).or_default().promises;
            promises.extend(header("I:").map(|connection| (connection, description(text))));
            return;
        }
        let asked = self.asked.get_mut(&id).unwrap_or_else(|| panic!("who asked? {text}"));
        // RFC 3435 §3.5.6: what was promised is in the answer, unless that is a refusal.
        if let (200, [promise], 1) = (code, &*asked.promises, asked.requests.len()) {
            let told = (header("I:").unwrap_or_default(), description(text));
            assert_eq!(*promise, told, "{text}");
        }
        asked.values.insert(text.to_owned());
        assert!(
            asked.values.len() <= asked.requests.len(),
            "one final response each: {:#?} to {:#?}",
            asked.values,
            asked.requests
        );
        if let (Some(connection), true) = (header("I:"), code == 200 && text.contains("\r\n\r\nv=0")) {
            let endpoint = header("Z:").or_else(|| self.meant.get(&id).cloned());
            if let Some(endpoint) = endpoint.filter(|name| !name.contains(['*', '$'])) {
                self.made.push((endpoint, connection));
            }
        }
        if header("K:").is_some() && self.rng.random_bool(0.8) {
            self.say(now, &format!("000 {id}\r\n"));
        }
        let before = self.pending.len();
        self.pending.retain(|pending| pending.id != id);
        if self.pending.len() < before {
            self.received.push(id);
        }
    }

    fn command(&mut self, now: Instant, from: SocketAddr, verb: &str, id: &str) {
        match verb {
            "NTFY" => self.notified += 1,
            "RSIP" => self.announced += 1,
            _ => panic!("a gateway sends no {verb}"),
        }
        let is_new = self.heard.insert(id.to_owned());
        let mood = if self.is_moody { self.rng.random_range(0..20) } else { 19 };
        let rest = match mood {
            0 => return,
            1 => return self.socket.send(from, format!("100 {id} wait\r\n").as_bytes()),
            2 if is_new => "400 {} not now\r\n",
            3 if is_new => "500 {} never\r\n",
            4 if is_new && verb == "RSIP" => "521 {} there\r\nN: ca@ca.example.net:2727\r\n",
            5 => "200 {} OK\r\nK:\r\n",
            _ => "200 {} OK\r\n",
        };
        if now >= self.down_until {
            self.socket.send(from, rest.replace("{}", id).as_bytes());
        }
    }
}

/// What is behind the header.
fn description(text: &str) -> String {
    text.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())
}
