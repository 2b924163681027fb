//! Events of connections' media (RFC 3660 §2.10).

use dataplane::link::{MediaEvent, Observation, Quality, Side, Silence, Supervision};
use drivers::net::PortSlot;

use super::events::one;
use super::*;

const NONE: Supervision = Supervision::NONE;

impl Bench {
    /// Makes a connection of `ds/e1-1/1` with more parameters; its name, and its place.
    fn connect(&mut self, parameters: &str) -> (String, PortSlot) {
        let made = self.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\nM: recvonly\n{parameters}"));
        assert_code(&made, 200);
        let port = self.actions().iter().find_map(|action| match action {
            Action::Connect { port, .. } => Some(*port),
            _ => None,
        });
        (header(&made, "I").expect("an id"), port.expect("a connection"))
    }

    /// What the core looks after once an RQNT has asked for it; `None` if it was given no order.
    fn request(&mut self, events: &str) -> Option<Supervision> {
        self.actions();
        assert_code(&self.ask("RQNT ds/e1-1/1@gw", &format!("X: 7\nQ: loop\nR: {events}\n")), 200);
        self.supervision()
    }

    fn supervision(&mut self) -> Option<Supervision> {
        let actions = self.actions();
        let mut wanted = actions.iter().filter_map(|action| match action {
            Action::Supervise { wanted, .. } => Some(*wanted),
            _ => None,
        });
        wanted.next_back()
    }

    /// What is told of a connection.
    fn happen(&mut self, port: PortSlot, what: MediaEvent) -> Vec<String> {
        self.observe(Side::Network(port), Observation::Media(what))
    }
}

fn silence(after_s: u16, awaits_rtcp: bool) -> Supervision {
    Supervision { silence: Some(Silence { after_s, awaits_rtcp }), ..NONE }
}

#[test]
fn events_of_media_are_looked_after_as_they_are_asked_for() {
    let mut bench = Bench::new();
    let (id, _) = bench.connect("");
    let quality = Some(Quality { loss: 3_000, delay_ms: 200, jitter_ms: 50 });
    for (asked, expected) in [
        ("r/rto@ID", silence(60, false)),
        ("R/RTO@ID(N)(120,st=im)", silence(120, false)),
        ("r/rto@ID(N)(st=ra)", silence(60, true)),
        ("r/rto@*(N)(65535,ST=RA)", silence(65_535, true)),
        ("r/pl@ID(N)(10)", Supervision { loss: Some(10), ..NONE }),
        ("r/qa@ID", Supervision { quality, ..NONE }),
        ("r/uc@ID", Supervision { changes: true, ..NONE }),
        ("r/sr@ID,r/ji@ID", Supervision { changes: true, ..NONE }),
        ("r/ma", Supervision { start: true, ..NONE }),
        ("r/ma@ID,r/rto@ID(N)(5)", Supervision { start: true, ..silence(5, false) }),
        ("r/all@ID", Supervision { start: true, quality, changes: true, loss: None, ..silence(60, false) }),
        ("", NONE),
    ] {
        assert_eq!(bench.request(&asked.replace("ID", &id)), Some(expected), "{asked}");
    }
    assert_eq!(bench.request("D/5(N)"), None, "nothing was looked after, nothing is to be");
}

/// What is told once is told again after a further request, be it the same.
#[test]
fn each_request_begins_anew_with_what_is_measured() {
    let mut bench = Bench::new();
    let (id, port) = bench.connect("");
    let asked = format!("r/rto@{id}(N)(120),D/5(N)");
    for _ in 0..2 {
        assert_eq!(bench.request(&asked), Some(silence(120, false)));
        let told = one(bench.happen(port, MediaEvent::Missing { after_s: 120 }));
        assert_eq!(header(&told, "O"), Some(format!("R/rto@{id}(120)")));
        assert_eq!(bench.answer_to(&told), [""; 0]);
        let told = one(bench.dial("5"));
        bench.answer_to(&told);
        assert_eq!(bench.supervision(), None, "in loop mode nothing is asked again");
    }
    // An embedded request is a request.
    let embedding = format!("D/5(E(R(r/rto@{id}(N)(120)))),r/rto@{id}(N)(120)");
    assert_eq!(bench.request(&embedding), Some(silence(120, false)));
    bench.dial("5");
    assert_eq!(bench.supervision(), Some(silence(120, false)));
    // One that fails changes nothing for long.
    assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &format!("X: 7\nR: r/rto@{id}(N)(0)\n")), 538);
    assert_eq!(bench.supervision(), None);
}

#[test]
fn what_has_become_of_media_is_told_in_the_words_of_its_package() {
    let mut bench = Bench::new();
    let all = "r/ma@$(N),r/rto@$(N),r/pl@$(N)(10),r/qa@$(N),r/ji@$(N),r/sr@$(N),r/uc@$(N)";
    let (id, port) = bench.connect(&format!("X: 1\nQ: loop\nR: {all}\n"));
    for (what, expected) in [
        (MediaEvent::Began, "ma@ID"),
        (MediaEvent::Missing { after_s: 60 }, "rto@ID(60)"),
        (MediaEvent::LossAbove { per_100k: 10 }, "pl@ID(10)"),
        (MediaEvent::Poor, "qa@ID"),
        (MediaEvent::PlayoutDelay { ms: 35 }, "ji@ID(35)"),
        (MediaEvent::PacketTime { ms: 30 }, "sr@ID(30)"),
        (MediaEvent::Codec { payload_type: 8 }, "uc@ID(8)"),
        (MediaEvent::Codec { payload_type: 111 }, "uc@ID(6F)"),
    ] {
        let told = one(bench.happen(port, what));
        assert_eq!(header(&told, "O"), Some(format!("R/{}", expected.replace("ID", &id))));
        assert_eq!(bench.answer_to(&told), [""; 0]);
    }
    // Changes are looked after together, and only what was asked for is told.
    assert_eq!(bench.request(&format!("r/uc@{id}(N)")), Some(Supervision { changes: true, ..NONE }));
    assert_eq!(bench.happen(port, MediaEvent::PacketTime { ms: 30 }), [""; 0]);
}

#[test]
fn the_first_packet_of_connections_to_come_is_told() {
    let mut bench = Bench::new();
    assert_eq!(bench.request("r/ma(N)"), None);
    let made = bench.ask("CRCX ds/e1-1/1@gw", "C: A1\nM: recvonly\n");
    let actions = bench.actions();
    let [Action::Connect { port, .. }, Action::Supervise { wanted, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*wanted, Supervision { start: true, ..NONE });
    let told = one(bench.happen(*port, MediaEvent::Began));
    let id = header(&made, "I").expect("an id");
    assert_eq!(header(&told, "O"), Some(format!("R/ma@{id}")));
}

#[test]
fn media_that_are_not_delivered_are_told_once_a_request() {
    let mut bench = Bench::with(|config| config.media.icmp = true);
    let made = bench.ask("CRCX ds/e1-1/1@gw", &format!("C: A1\nM: sendrecv\n\n{REMOTE}"));
    let id = header(&made, "I").expect("an id");
    let port = made.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("a port");
    let local: u16 = port.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    let undelivered = |bench: &mut Bench, local: u16, remote: u16| {
        let at = |port: u16| format!("127.0.0.1:{port}").parse().expect("an address");
        let input = Input::Unreachable { local: at(local), remote: at(remote), code: 3 };
        bench.gateway.handle(bench.now, input);
        bench.sent()
    };
    for (asked, enough) in [("", 3), ("(N)(5)", 5), ("(N)(1)", 1)] {
        bench.request(&format!("r/iu@{id}{asked}"));
        let mut lines = 0;
        for n in 1..enough + 10 {
            // RTP and RTCP count together; what goes elsewhere is not its.
            let told = undelivered(&mut bench, local + n % 2, 30_934 + n % 2);
            assert_eq!(undelivered(&mut bench, local, 30_936), [""; 0]);
            assert_eq!(undelivered(&mut bench, local + 2, 30_934), [""; 0]);
            match n == enough {
                false => assert_eq!(told, [""; 0], "{n} of {enough}"),
                true => {
                    let told = one(told);
                    assert_eq!(header(&told, "O"), Some(format!("R/iu@{id}({enough},3)")));
                    bench.answer_to(&told);
                    lines = bench.gateway.journal().lines().count();
                }
            }
        }
        // What anybody can forge pushes nothing out of the journal.
        assert_eq!(bench.gateway.journal().lines().count(), lines);
    }
    assert_code(&Bench::new().ask("RQNT ds/e1-1/1@gw", "X: 1\nR: r/iu@*(N)\n"), 512);
}

#[test]
fn events_of_media_are_those_of_connections() {
    let mut bench = Bench::new();
    let (id, _) = bench.connect("");
    for (asked, code) in [
        ("r/rto", 512),
        ("r/pl(N)(10)", 512),
        ("r/rto@FFFF", 515),
        (&format!("r/pl@{id}"), 538),
        (&format!("r/pl@{id}(N)(100001)"), 538),
        (&format!("r/rto@{id}(N)(65536)"), 538),
        (&format!("r/rto@{id}(N)(5,st=later)"), 538),
    ] {
        assert_code(&bench.ask("RQNT ds/e1-1/1@gw", &format!("X: 7\nR: {asked}\n")), code);
    }
}
