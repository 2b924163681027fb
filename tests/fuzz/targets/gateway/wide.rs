//! What a wide input can do beside all others: whole commands that reach what words put together at random
//! do not, operators who take circuits out of service, and what is heard where something is connected.

use std::time::Duration;

use control::config::{CallAgentConfig, Config, Network, Service, ServiceConfig};
use control::input::Input;
use control::mgcp::message::Version;
use control::topology::CoreId;
use dataplane::link::{Action, CheckTone, Digit, Observation, Order, PlayId, Report, Side, Sound};
use drivers::line::{SpanId, Timeslot};
use fuzz::Decisions;

use super::{Bench, ENDPOINTS, SOURCES};

/// Verb, endpoint if it is to be that one, and parameters. `%` stands for a connection of the endpoint.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("CRCX", "ds/e1-1/1", "C: A1\nM: sendrecv\nZ2: ds/e1-1/2@tollgate\n"),
    ("CRCX", "ds/e1-1/$", "C: A1\nM: sendrecv\nZ2: S3/DS1-1/$@tollgate\n"),
    ("CRCX", "", "C: A1\nM: recvonly\nL: nt:LOCAL, a:PCMA\n"),
    ("MDCX", "", "C: A1\nI: %\nM: sendrecv\n\nv=0\nc=LOCAL ds/e1-1/1@tollgate FF\nm=audio 0 LOCAL 8\n"),
    ("CRCX", "rtpbridge/1", "C: B2\nM: sendrecv\nL: a:PCMU\n"),
    ("CRCX", "rtpbridge/$", "C: B2\nM: sendrecv\nX: 5\nS: BR/x\n"),
    ("MDCX", "", "C: A1\nI: %\nM: loopback\n"),
    ("MDCX", "", "C: A1\nI: %\nM: conttest\nX: 9\nR: T/co1,T/of\nS: T/co1\n"),
    ("MDCX", "", "C: A1\nI: %\nM: netwtest\n"),
    ("DLCX", "", "C: A1\n"),
    ("DLCX", "", "I: %\n"),
    ("DLCX", "*", ""),
    ("AUEP", "*", "BA/F: BA/Z\n"),
    ("AUEP", "ds/e1-1/*", "BA/F: BA/S(I,O,D,N),BA/C,BA/M\nBA/NU: 3\n"),
    ("AUEP", "ds/*/*", "BA/F: BA/X\nBA/SE: ds/e1-1/2@tollgate\nBA/NU: 40\n"),
    ("AUEP", "", "F: C,M,P,LC,RC,L,N,I,R,D,S,X,T,O,ES,E,RM,RD,PL,MD,Q,B,Z,A,RED/NL,B/PR,B/NS,LCK/LST\n"),
    ("EPCF", "mg", "RED/EL: ds/e1-1/[1-3]\nRED/MP: TFT\nRED/EL: ds/e1-1/[7,5]\nRED/R: reset\n"),
    ("EPCF", "mg", "RED/EL: ds/e1-1/1, rtpbridge/1\nRED/NL: a@[127.0.0.1]:2727, b@ca.example.net\n"),
    ("EPCF", "", "RED/N: ca@[127.0.0.2]\n"),
    ("EPCF", "", "RED/NL: a@[127.0.0.1]:2727, b@ca.example.net\nRED/R: reset\n"),
    ("EPCF", "", "B/PR: D/5,T/co1,B/oef\n"),
    ("RQNT", "", "X: 1\nR: D/[0-9#*ABCD](N)\n"),
    ("RQNT", "", "X: 2\nR: D/[0-9*](D,L),D/#(A),D/T(D),D/L(N)\nD: (xx|0T|*L9x.)\nDM1/DM: P(xx.)\n"),
    ("RQNT", "", "X: 3\nR: D/X(S,L),G/ft(N,C(R(D/1(N)),S(T/nm)))\n"),
    ("RQNT", "", "X: 4\nR: D/X(A),B/enf\nE: 1\nES: D/5\nQ: step,process\n"),
    ("RQNT", "", "X: 5\nR: G/oc(N),G/of,SL/oc,SL/of\nS: SL/S(list={G/rt(to=200),D/5,D/9(to=50)})\n"),
    ("RQNT", "", "X: 6\nR: S/oc\nS: G/rt(to=300),G/cf(to=+),G/rbk(FF)\n"),
    ("RQNT", "", "X: 7\nS: G/rt@%,D/1@*\nR: D/[0-9](N)@%,R/co1@*,R/co2@%\n"),
    ("RQNT", "", "X: 8\nS: T/co1(to=100),T/ms\nR: T/co1,T/co2,T/ma,T/ms,T/tl,T/of,T/oc\n"),
    ("RQNT", "", "X: 9\nR: FXR/nopfax,FXR/gwfax,G/mt(N)\nS: FXR/x\n"),
    ("RQNT", "", "X: A\nQ: loop,process\nR: D/X(N),B/qbo,B/oef\nLCK/LST: 5\n"),
    ("RQNT", "", "X: B\nQ: step\nR: D/X(N,E(R(D/X(A)),S(D/5),D((xx|y))))\nB/NS: 1\n"),
    ("RQNT", "", "X: C\nR: L/hd(N),L/hu(N),L/hf(N)\nS: L/dl\n"),
    ("RQNT", "*", "X: D\nR: D/X(N)\nN: ca@[127.0.0.1]:2727\n"),
    ("RQNT", "", "X: E\nR: \nS: \n"),
    ("NTFY", "", "X: 1\nO: D/1\n"),
    ("MESG", "", "\n"),
];

/// For times that only matter when nobody answers.
const STEPS_S: &[u64] = &[1, 15, 61, 130, 600];

/// What a wide input has more of: call agents that each cannot take something.
pub(super) fn widen(config: &mut Config) {
    let agent = |address: &str, name: Option<&str>| CallAgentConfig {
        name: name.map(str::to_owned),
        networks: vec![Network { address: address.parse().expect("an address"), prefix: 32 }],
        endpoints: Vec::new(),
        provisional: true,
        piggyback: true,
        rsip: true,
        ranges: true,
        telephones: false,
        version: Version::Rfc,
    };
    let lines = CallAgentConfig { telephones: true, ..agent("127.0.0.1", Some("ca@[127.0.0.1]:2727")) };
    let plain =
        CallAgentConfig { provisional: false, piggyback: false, rsip: false, ..agent("127.0.0.2", None) };
    config.call_agents = vec![CallAgentConfig { endpoints: vec!["ds/e1-1/*".to_owned()], ..lines }, plain];
}

impl Bench {
    pub(super) fn step_wide(&mut self, decide: &mut Decisions<'_>) {
        match decide.below(16) {
            0..=7 => self.say(decide),
            8 => self.serve(decide),
            9 | 10 => self.hear_somewhere(decide),
            11 if decide.once_in(2) => self.turn_away(decide),
            11 => self.end_play(decide),
            12 => self.wait(Duration::from_secs(decide.pick(STEPS_S))),
            13 => self.answer_all(),
            _ => self.report_all(decide),
        }
    }

    /// One of the commands, or several in one datagram.
    fn say(&mut self, decide: &mut Decisions<'_>) {
        let (source, mut datagram) = (decide.below(SOURCES.len()), String::new());
        for index in 0..1 + decide.below(8).saturating_sub(5) {
            let (verb, endpoint, rest) = decide.pick(COMMANDS);
            let made = self.made.get(decide.below(self.made.len().max(1))).cloned();
            let (endpoint, id) = match made {
                Some((name, id)) if endpoint.is_empty() => (name, id),
                _ if endpoint.is_empty() => (format!("{}@tollgate", decide.pick(ENDPOINTS)), "FF".to_owned()),
                made => (format!("{endpoint}@tollgate"), made.map_or("FF".to_owned(), |(_, id)| id)),
            };
            self.transaction += 1;
            let rest = rest.replace('%', &id).replace('\n', "\r\n");
            let dot = if index > 0 { ".\r\n" } else { "" };
            datagram += &format!("{dot}{verb} {} {endpoint} MGCP 1.0\r\n{rest}", self.transaction);
            self.meant.insert(self.transaction, endpoint);
        }
        self.hear(source, datagram.into_bytes());
    }

    /// The operator takes circuits out of service, or back.
    fn serve(&mut self, decide: &mut Decisions<'_>) {
        let span = SpanId(decide.below(3) as u16);
        let timeslots: &[&[u8]] = &[&[], &[1], &[2, 24]];
        let out = decide.pick(timeslots).iter().filter_map(|number| Timeslot::new(*number)).collect();
        let service = ServiceConfig { span: decide.pick(&Service::NAMES).1, out };
        self.handle(Input::Service { span, service });
    }

    /// Something is heard where there is a connection.
    fn hear_somewhere(&mut self, decide: &mut Decisions<'_>) {
        let mut live: Vec<_> = self.live.iter().map(|(place, ds0)| (*place, *ds0)).collect();
        live.sort_unstable();
        let Some(((core, port), ds0)) = live.get(decide.below(live.len())).copied() else { return };
        let side = ds0.filter(|_| decide.once_in(2)).map_or(Side::Network(port), Side::Line);
        let tones = [CheckTone::Co1, CheckTone::Co2].map(Sound::Check);
        let sound = match decide.below(4) {
            0 => decide.pick(&tones),
            1 => decide.pick(&[Sound::FaxCalling, Sound::Answer, Sound::Octet(95), Sound::CallTone(2)]),
            _ => Sound::Digit(decide.pick(&Digit::ALL)),
        };
        // Most of what begins ends.
        let began = Observation::Began(sound);
        let ended = Observation::Ended { sound, ms: decide.word() };
        let all = if decide.once_in(4) { vec![ended] } else { vec![began, ended] };
        for what in all {
            self.tell_observed(core, side, what);
        }
    }

    /// A tone has come to its end.
    fn end_play(&mut self, decide: &mut Decisions<'_>) {
        let at = decide.below(self.plays.len());
        let Some((core, side, play)) = self.plays.get(at).copied() else { return };
        self.plays.swap_remove(at);
        self.tell_observed(core, side, Observation::PlayEnded(play));
    }

    /// The network cannot deliver what was said last, or says so of something else.
    fn turn_away(&mut self, decide: &mut Decisions<'_>) {
        let Some((remote, mut octets)) = self.told_last.clone() else { return };
        match decide.below(4) {
            0 => octets.truncate(decide.octet().into()),
            1 => octets.extend(decide.octets(4)),
            _ => {}
        }
        self.handle(Input::Undelivered { remote, octets: &octets });
    }

    fn tell_observed(&mut self, core: CoreId, side: Side, what: Observation) {
        self.handle(Input::Report { core, report: Report::Observed { side, at: self.now, what } });
    }

    /// Call agents answer all that they have been asked.
    fn answer_all(&mut self) {
        for (path, transaction) in std::mem::take(&mut self.told) {
            let text = format!("200 {transaction} OK\r\n");
            self.handle(Input::Datagram { path, octets: text.as_bytes() });
        }
    }

    /// Remembers the tones that are played.
    pub(super) fn note_play(&mut self, core: CoreId, order: &Order) {
        if let Action::Play { side, play, .. } = order.action {
            if self.plays.len() == 64 {
                self.plays.remove(0);
            }
            self.plays.push((core, side, play));
        }
    }
}

/// A tone that is played: by which core, where, and its name.
pub(super) type Playing = (CoreId, Side, PlayId);
