use rand::RngExt;

use super::*;

const A: u16 = 2427;
const B: u16 = 2428;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn path(port: u16) -> Path {
    Path { remote: SocketAddr::from(([10, 0, 0, 1], port)), local: SocketAddr::from(([10, 0, 0, 2], 2427)) }
}

fn ids(from: u32, to: u32) -> TransactionRange {
    TransactionRange { from: TransactionId(from), to: TransactionId(to) }
}

/// What happens.
enum In {
    /// A command comes from a port, with its id and its octets.
    Command(u16, u32, &'static str),
    /// The n-th new command is answered.
    Answer(usize, &'static str),
    /// K or 000 comes from a port.
    Ack(u16, u32, u32),
    /// Only time goes on.
    Time,
}

/// What is seen of it.
#[derive(PartialEq, Debug)]
enum Out {
    New,
    Known,
    Full,
    /// A datagram to a port.
    Send(u16, &'static str),
}

use In::{Ack, Answer, Command, Time};
use Out::{Known, New, Send};

const CRCX: &str = "CRCX 1 ds/e1-1/1@gw MGCP 1.0\r\nC: 1";
const OK: &str = "200 1 OK\r\n";
const EXECUTING: &str = "100 1 Executing\r\n";

fn settings() -> IncomingSettings {
    IncomingSettings {
        response_history: Duration::from_secs(30),
        transactions_max: 4,
        provisional_after: None,
        secret: 42,
    }
}

fn with_provisional() -> IncomingSettings {
    IncomingSettings { provisional_after: Some(Duration::from_millis(200)), ..settings() }
}

/// Makes what promises there are to make.
fn promise(incoming: &mut Incoming) {
    while let Some((promise, id, ())) = incoming.poll_promise() {
        incoming.promise(promise, format!("100 {} Executing\r\n", id.0).into());
    }
}

/// Plays a table of (milliseconds, what happens, what is seen of it).
fn play(settings: IncomingSettings, table: &[(u64, In, &[Out])]) -> Incoming {
    let mut incoming = Incoming::<()>::new(settings);
    let mut tickets = Vec::new();
    for (row, (ms, what, expected)) in table.iter().enumerate() {
        let now = at(*ms);
        let mut seen = Vec::new();
        match *what {
            Command(port, id, octets) => {
                let id = TransactionId(id);
                seen.push(match incoming.receive(now, path(port), id, octets.as_bytes()) {
                    Disposition::New(ticket) => {
                        tickets.push(ticket);
                        New
                    }
                    Disposition::Known => Known,
                    Disposition::Full => Out::Full,
                });
            }
            Answer(index, octets) => incoming.answer(now, tickets[index], octets.into()),
            Ack(port, from, to) => incoming.acknowledged(now, path(port).remote, &[ids(from, to)]),
            Time => {}
        }
        incoming.handle_timeout(now);
        promise(&mut incoming);
        let mut octets = Vec::new();
        while let Some((path, ())) = incoming.poll_transmit(&mut octets) {
            let text = String::from_utf8(octets.clone()).expect("text");
            seen.push(Send(path.remote.port(), text.leak()));
        }
        assert_eq!(seen, *expected, "row {row}");
    }
    incoming
}

#[test]
fn a_repeated_command_gets_the_answer_it_got_before() {
    let incoming = play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (5, Answer(0, OK), &[Send(A, OK)]),
            (250, Command(A, 1, CRCX), &[Known, Send(A, OK)]),
            (30_000, Command(A, 1, CRCX), &[Known, Send(A, OK)]),
        ],
    );
    assert_eq!(incoming.counters().repeated, 2);
}

#[test]
fn a_response_is_forgotten_after_t_hist() {
    let incoming = play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (5, Answer(0, OK), &[Send(A, OK)]),
            (30_005, Command(A, 1, CRCX), &[New]),
        ],
    );
    assert_eq!(incoming.poll_timeout(), None);
    assert_eq!(incoming.known.len(), 1);
}

#[test]
fn a_command_repeated_while_it_is_executed_is_met_with_silence() {
    play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (250, Command(A, 1, CRCX), &[Known]),
            (9_000, Command(A, 1, CRCX), &[Known]),
            (9_001, Answer(0, OK), &[Send(A, OK)]),
        ],
    );
}

#[test]
fn a_restarted_call_agent_gets_no_answer_of_its_former_life() {
    play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (5, Answer(0, OK), &[Send(A, OK)]),
            (9_000, Command(A, 1, "AUEP 1 *@gw MGCP 1.0"), &[New]),
            (9_001, Answer(1, "500 1 Endpoint\r\n"), &[Send(A, "500 1 Endpoint\r\n")]),
            (9_100, Command(A, 1, CRCX), &[Known, Send(A, OK)]),
        ],
    );
}

#[test]
fn white_space_between_words_hides_no_difference() {
    play(
        settings(),
        &[
            (1, Command(A, 1, "DLCX\t1 ds/e1-1/2@gw MGCP 1.0"), &[New]),
            (1, Command(A, 1, "DLCX\t1 ds/e1-1/1@gw MGCP 1.0"), &[New]),
            (2, Command(A, 1, "DLCX 1\tds/e1-1/3@gw MGCP 1.0"), &[New]),
            (3, Command(A, 1, "DLCX 1\tds/e1-1/4@gw MGCP 1.0"), &[New]),
            (4, Command(A, 1, "DLCX 01\tds/e1-1/4@gw MGCP 1.0"), &[Known]),
        ],
    );
}

#[test]
fn white_space_before_the_verb_does_not_hide_it() {
    play(
        settings(),
        &[
            (0, Command(A, 1, " DLCX 1 ds/e1-1/4@gw MGCP 1.0"), &[New]),
            (1, Command(A, 1, " AUEP 1 ds/e1-1/4@gw MGCP 1.0"), &[New]),
        ],
    );
}

#[test]
fn call_agents_have_numbers_of_their_own() {
    play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (1, Command(B, 1, CRCX), &[New]),
            (2, Answer(1, OK), &[Send(B, OK)]),
            (3, Answer(0, OK), &[Send(A, OK)]),
        ],
    );
}

#[test]
fn k_lines_do_not_tell_commands_apart() {
    play(
        settings(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (250, Command(A, 1, "CRCX 1 ds/e1-1/1@gw MGCP 1.0\r\nK: 7\r\nC: 1"), &[Known]),
            (500, Command(A, 1, "CRCX 1 ds/e1-1/1@gw MGCP 1.0\r\nC: 2"), &[New]),
            (600, Command(A, 2, "DLCX 2 ds/e1-1/1@gw MGCP 1.0"), &[New]),
            (700, Command(A, 2, "DLCX 2 ds/e1-1/1@gw MGCP 1.0\r\nK: 7"), &[Known]),
        ],
    );
}

#[test]
fn an_acknowledged_response_is_not_sent_again_but_its_number_is_remembered() {
    play(
        settings(),
        &[
            (0, Command(A, 5, CRCX), &[New]),
            (5, Answer(0, OK), &[Send(A, OK)]),
            (9, Ack(A, 1, 999_999_999), &[]),
            (10, Command(A, 5, CRCX), &[Known]),
            (30_005, Command(A, 5, CRCX), &[New]),
        ],
    );
}

#[test]
fn only_who_asked_can_acknowledge_and_only_what_was_answered() {
    play(
        settings(),
        &[
            (0, Command(A, 5, CRCX), &[New]),
            (1, Ack(A, 5, 5), &[]),
            (2, Answer(0, OK), &[Send(A, OK)]),
            (3, Ack(B, 5, 5), &[]),
            (4, Command(A, 5, CRCX), &[Known, Send(A, OK)]),
        ],
    );
}

#[test]
fn what_takes_long_is_answered_100_first() {
    let incoming = play(
        with_provisional(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (100, Command(B, 2, "quick"), &[New]),
            (150, Answer(1, "200 2 OK\r\n"), &[Send(B, "200 2 OK\r\n")]),
            (199, Time, &[]),
            (200, Time, &[Send(A, EXECUTING)]),
            (300, Time, &[]),
            (400, Command(A, 1, CRCX), &[Known, Send(A, EXECUTING)]),
        ],
    );
    let ticket = |slot| Ticket { slot, generation: 0 };
    assert!(incoming.wants_acknowledgement(ticket(0)));
    assert!(!incoming.wants_acknowledgement(ticket(1)));
}

#[test]
fn a_final_response_after_100_is_repeated_until_it_is_acknowledged() {
    play(
        with_provisional(),
        &[
            (0, Command(A, 1, CRCX), &[New]),
            (200, Time, &[Send(A, EXECUTING)]),
            (300, Answer(0, OK), &[Send(A, OK)]),
            (499, Time, &[]),
            (500, Time, &[Send(A, OK)]),
            (901, Time, &[Send(A, OK)]),
            (902, Ack(A, 1, 1), &[]),
            (9_000, Time, &[]),
        ],
    );
}

#[test]
fn a_final_response_is_not_repeated_for_ever() {
    let mut incoming = Incoming::<()>::new(with_provisional());
    let Disposition::New(ticket) = incoming.receive(at(0), path(A), TransactionId(1), b"1") else {
        panic!("it is new");
    };
    incoming.handle_timeout(at(200));
    promise(&mut incoming);
    incoming.answer(at(200), ticket, b"200 1 OK\r\n".to_vec());
    let mut sent = 0;
    let mut last = at(0);
    while let Some(now) = incoming.poll_timeout() {
        incoming.handle_timeout(now);
        let mut octets = Vec::new();
        while incoming.poll_transmit(&mut octets).is_some() {
            sent += 1;
            last = now;
        }
    }
    // 100, the response, and Max2 repetitions of it within T-MAX.
    assert_eq!(sent, 1 + 1 + 7);
    assert!(last < at(20_200));
    assert!(incoming.known.is_empty() && incoming.newest.is_empty());
}

#[test]
fn a_full_table_forgets_responses_but_never_what_is_being_executed() {
    let incoming = play(
        settings(),
        &[
            (0, Command(A, 1, "1"), &[New]),
            (1, Command(A, 2, "2"), &[New]),
            (2, Command(A, 3, "3"), &[New]),
            (3, Command(A, 4, "4"), &[New]),
            (4, Command(A, 5, "5"), &[Out::Full]),
            (5, Answer(1, "200 2 OK\r\n"), &[Send(A, "200 2 OK\r\n")]),
            (6, Command(A, 5, "5"), &[New]),
            (7, Command(A, 1, "1"), &[Known]),
            (8, Command(A, 2, "2"), &[Out::Full]),
        ],
    );
    let expected = IncomingCounters { repeated: 1, evicted: 1, refused: 2 };
    assert_eq!(incoming.counters(), expected);
}

#[test]
fn what_is_acknowledged_makes_room_before_what_is_not() {
    let incoming = play(
        settings(),
        &[
            (0, Command(A, 1, "1"), &[New]),
            (0, Command(A, 2, "2"), &[New]),
            (0, Command(A, 3, "3"), &[New]),
            (0, Command(A, 4, "4"), &[New]),
            (1, Answer(0, "200 1 OK\r\n"), &[Send(A, "200 1 OK\r\n")]),
            (2, Answer(1, "200 2 OK\r\n"), &[Send(A, "200 2 OK\r\n")]),
            (3, Ack(A, 2, 2), &[]),
            (4, Command(A, 5, "5"), &[New]),
            (5, Command(A, 1, "1"), &[Known, Send(A, "200 1 OK\r\n")]),
            (6, Command(A, 2, "2"), &[New]),
        ],
    );
    assert_eq!(incoming.counters().evicted, 1, "the second only");
    assert_eq!(incoming.newest.len(), 4);
}

#[test]
fn nobody_wakes_for_a_promise_that_is_not_needed_any_more() {
    let incoming =
        play(with_provisional(), &[(0, Command(A, 1, CRCX), &[New]), (5, Answer(0, OK), &[Send(A, OK)])]);
    assert_eq!(incoming.poll_timeout(), Some(at(30_005)));
}

#[test]
fn requests_that_are_told_apart_differ_from_secret_to_secret() {
    let fingerprint = |secret| {
        let incoming = Incoming::<()>::new(IncomingSettings { secret, ..settings() });
        incoming.fingerprint(path(A).remote, TransactionId(1), CRCX.as_bytes())
    };
    assert_eq!(fingerprint(1), fingerprint(1));
    assert_ne!(fingerprint(1), fingerprint(2));
}

#[test]
#[should_panic(expected = "one final response")]
fn a_transaction_is_answered_once() {
    play(
        settings(),
        &[(0, Command(A, 1, CRCX), &[New]), (1, Answer(0, OK), &[Send(A, OK)]), (2, Answer(0, OK), &[])],
    );
}

#[test]
fn each_command_is_executed_at_most_once_whatever_the_order() {
    let seed = 0x0a7_0ce;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut incoming = Incoming::<()>::new(IncomingSettings { transactions_max: 64, ..settings() });
    let mut executed = HashMap::<(u16, u32), u32>::new();
    let mut open = Vec::new();
    for ms in 0..20_000 {
        let now = at(ms);
        let (port, id) = ([A, B][random.random_range(0..2)], random.random_range(1..30));
        match random.random_range(0..4) {
            0 if !open.is_empty() => incoming.answer(now, open.remove(0), b"200 1 OK\r\n".to_vec()),
            1 => incoming.acknowledged(now, path(port).remote, &[ids(id, id + 3)]),
            _ => {
                let octets = id.to_be_bytes();
                match incoming.receive(now, path(port), TransactionId(id), &octets) {
                    Disposition::New(ticket) => {
                        open.push(ticket);
                        *executed.entry((port, id)).or_default() += 1;
                    }
                    Disposition::Known => {}
                    Disposition::Full => panic!("there is room for all"),
                }
            }
        }
        incoming.handle_timeout(now);
        while incoming.poll_transmit(&mut Vec::new()).is_some() {}
    }
    assert_eq!(executed.len(), 58);
    assert!(executed.values().all(|&times| times == 1));
}

#[test]
fn long_responses_are_forgotten_before_their_time_to_bound_memory() {
    let mut incoming = Incoming::<()>::new(IncomingSettings { transactions_max: 64, ..settings() });
    let path = path(A);
    for id in 1..=10 {
        let Disposition::New(ticket) = incoming.receive(at(0), path, TransactionId(id), b"") else {
            panic!("{id} is new")
        };
        incoming.answer(at(0), ticket, vec![b'2'; 5_000]);
    }
    assert_eq!(incoming.counters().evicted, 7, "three fit");
    let range = TransactionRange { from: TransactionId(1), to: TransactionId(10) };
    incoming.acknowledged(at(1), path.remote, &[range]);
    for id in 11..=13 {
        let Disposition::New(ticket) = incoming.receive(at(2), path, TransactionId(id), b"") else {
            panic!("{id} is new")
        };
        incoming.answer(at(2), ticket, vec![b'2'; 5_000]);
    }
    assert_eq!(incoming.counters().evicted, 7, "what is acknowledged takes no room");
}
