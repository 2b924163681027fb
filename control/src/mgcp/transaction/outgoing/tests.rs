use std::iter;

use super::*;
use crate::mgcp::message::Verb;
use crate::mgcp::parse::parse_datagram;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn path() -> Path {
    Path { remote: SocketAddr::from(([10, 0, 0, 1], 2727)), local: SocketAddr::from(([10, 0, 0, 2], 2427)) }
}

fn settings() -> OutgoingSettings {
    OutgoingSettings {
        transaction_max: Duration::from_secs(20),
        response_history: Duration::from_secs(30),
        suspicion: 5,
        disconnection: 7,
        transactions_max: 2,
        pace: PaceSettings::NONE,
    }
}

fn rsip() -> Command<'static> {
    let endpoint = "*@gw".parse().expect("a name");
    Command::new(Verb::RestartInProgress, TransactionId(0), endpoint)
}

fn response(code: u16, id: TransactionId) -> Response<'static> {
    Response::new(ReturnCode(code), id)
}

fn asking_for_acknowledgement(id: TransactionId) -> Response<'static> {
    let mut response = response(200, id);
    response.parameters.response_ack = Some(vec![]);
    response
}

/// All datagrams that are to be sent.
fn sent(outgoing: &mut Outgoing) -> Vec<String> {
    let mut octets = Vec::new();
    iter::from_fn(|| {
        assert_eq!(outgoing.poll_transmit(&mut octets)?, path());
        Some(String::from_utf8(octets.clone()).expect("text"))
    })
    .collect()
}

/// Sends one RSIP at the start of time.
fn started() -> (Outgoing, TransactionId) {
    let mut outgoing = Outgoing::new(settings(), 7);
    let id = outgoing.send(at(0), vec![path()], rsip()).expect("there is room");
    assert_eq!(sent(&mut outgoing), [format!("RSIP {} *@gw MGCP 1.0\r\n", id.0)]);
    (outgoing, id)
}

/// Times in ms at which something is sent, and at which the command is lost.
fn run_until_lost(outgoing: &mut Outgoing) -> (Vec<u64>, u64) {
    let mut times = Vec::new();
    while let Some(now) = outgoing.poll_timeout() {
        let ms = now.as_nanos() / 1_000_000;
        outgoing.handle_timeout(now);
        times.extend(sent(outgoing).iter().map(|_| ms));
        if outgoing.poll_lost().is_some() {
            return (times, ms);
        }
    }
    panic!("it is never lost");
}

#[test]
fn a_command_is_repeated_ever_more_slowly_and_lost_after_twice_t_hist() {
    let (mut outgoing, _) = started();
    let (times, lost) = run_until_lost(&mut outgoing);
    assert_eq!(times[0], 200);
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, most) in waits.iter().zip([400, 800, 1_600, 3_200, 4_000, 4_000]) {
        assert!((most / 2 - 1..=most + 1).contains(wait), "{wait} {most}");
    }
    assert!(*times.last().expect("some") < 20_000);
    assert_eq!(lost, 60_000);
    assert_eq!(times.len(), 7, "Max2");
    let repeated = times.len() as u64;
    assert_eq!(outgoing.counters(), OutgoingCounters { repeated, lost: 1, ..Default::default() });
    assert_eq!(outgoing.poll_timeout(), None);
}

#[test]
fn nothing_is_repeated_after_t_max_however_often_and_wherever_it_could_be() {
    let way = |host: u8| Path { remote: SocketAddr::from(([10, 0, 0, host], 2727)), ..path() };
    let mut outgoing = Outgoing::new(OutgoingSettings { disconnection: 1_000, ..settings() }, 7);
    let id = outgoing.send(at(0), (1..=3).map(way).collect(), rsip()).expect("there is room");
    let sends = |outgoing: &mut Outgoing| iter::from_fn(|| outgoing.poll_transmit(&mut Vec::new())).count();
    assert_eq!(sends(&mut outgoing), 1);
    let mut last = at(0);
    while let Some(now) = outgoing.poll_timeout().filter(|now| *now <= at(20_000)) {
        outgoing.handle_timeout(now);
        last = if sends(&mut outgoing) > 0 { now } else { last };
    }
    assert!(last > at(15_000), "it goes on until then: {last:?}");
    outgoing.add_ways(at(20_000), id, &[way(4)]);
    outgoing.redirect(at(20_001), id, vec![way(5)]);
    while let Some(now) = outgoing.poll_timeout() {
        outgoing.handle_timeout(now);
        assert_eq!(sends(&mut outgoing), 0, "{now:?}");
    }
    assert_eq!(outgoing.poll_lost(), Some(id));
}

#[test]
fn a_final_response_ends_it() {
    let (mut outgoing, id) = started();
    assert_eq!(outgoing.receive(at(10), path(), &response(200, id)), Answer::Final);
    outgoing.handle_timeout(at(60_000));
    assert_eq!((sent(&mut outgoing).len(), outgoing.poll_lost()), (0, None));
    assert_eq!(outgoing.receive(at(70_000), path(), &response(200, id)), Answer::Stray);
    assert_eq!(outgoing.counters().strays, 1);
}

#[test]
fn errors_and_redirections_are_final_too() {
    for code in [250, 302, 401, 521, 899] {
        let (mut outgoing, id) = started();
        assert_eq!(outgoing.receive(at(10), path(), &response(code, id)), Answer::Final);
    }
}

#[test]
fn a_promised_response_is_waited_for_twice_t_hist() {
    let (mut outgoing, id) = started();
    assert_eq!(outgoing.receive(at(50), path(), &response(100, id)), Answer::Provisional);
    let (times, lost) = run_until_lost(&mut outgoing);
    assert_eq!(times, [5_050, 10_050, 15_050]);
    assert_eq!(lost, 60_000);
}

#[test]
fn a_final_response_that_asks_for_it_is_acknowledged_each_time() {
    let (mut outgoing, id) = started();
    let acknowledgement = vec![format!("000 {}\r\n", id.0)];
    outgoing.receive(at(10), path(), &response(100, id));
    let answer = outgoing.receive(at(900), path(), &asking_for_acknowledgement(id));
    assert_eq!((answer, sent(&mut outgoing)), (Answer::Final, acknowledgement.clone()));
    let answer = outgoing.receive(at(1_100), path(), &asking_for_acknowledgement(id));
    assert_eq!((answer, sent(&mut outgoing)), (Answer::Stray, acknowledgement));
}

#[test]
fn what_was_never_asked_is_not_acknowledged() {
    let (mut outgoing, id) = started();
    for stranger in [TransactionId(id.0 - 1), TransactionId(id.0 + 1), TransactionId(0)] {
        let answer = outgoing.receive(at(10), path(), &asking_for_acknowledgement(stranger));
        assert_eq!((answer, sent(&mut outgoing).len()), (Answer::Stray, 0));
    }
}

#[test]
fn ids_begin_somewhere_and_are_not_used_again_soon() {
    let (_, first) = started();
    let mut other = Outgoing::new(settings(), 8);
    let second = other.send(at(0), vec![path()], rsip()).expect("there is room");
    assert_ne!(first, second);

    let mut outgoing = Outgoing::new(settings(), 7);
    outgoing.first_id = ID_MAX - 1;
    let ids: Vec<_> = (0..4)
        .map(|_| {
            let id = outgoing.send(at(0), vec![path()], rsip()).expect("there is room");
            outgoing.receive(at(0), path(), &response(200, id));
            id.0
        })
        .collect();
    assert_eq!(ids, [ID_MAX - 1, ID_MAX, 1, 2]);
    sent(&mut outgoing);
    outgoing.receive(at(0), path(), &asking_for_acknowledgement(TransactionId(1)));
    assert_eq!(sent(&mut outgoing), ["000 1\r\n"]);
}

#[test]
fn no_more_commands_are_under_way_than_may_be() {
    let (mut outgoing, first) = started();
    assert!(outgoing.send(at(0), vec![path()], rsip()).is_ok());
    assert_eq!(outgoing.send(at(0), vec![path()], rsip()), Err(Full));
    outgoing.cancel(at(0), first);
    assert!(outgoing.send(at(0), vec![path()], rsip()).is_ok());
    assert_eq!(outgoing.counters().refused, 1);
}

#[test]
fn a_cancelled_command_is_neither_repeated_nor_lost() {
    let (mut outgoing, id) = started();
    outgoing.cancel(at(0), id);
    outgoing.handle_timeout(at(60_000));
    assert_eq!((sent(&mut outgoing).len(), outgoing.poll_lost()), (0, None));
}

#[test]
fn a_slow_peer_is_given_its_time() {
    let mut outgoing = Outgoing::new(settings(), 7);
    for start in [0, 10_000, 20_000] {
        let id = outgoing.send(at(start), vec![path()], rsip()).expect("there is room");
        while outgoing.poll_timeout().is_some_and(|due| due <= at(start + 600)) {
            outgoing.handle_timeout(at(start + 600));
        }
        outgoing.receive(at(start + 600), path(), &response(200, id));
    }
    // The first took a repetition; the second began with its wait, and was repeated or measured.
    let id = outgoing.send(at(30_000), vec![path()], rsip()).expect("there is room");
    outgoing.handle_timeout(at(30_000 + 250));
    assert_eq!(outgoing.under_way[&id].repetition.count, 0);
}

#[test]
fn what_is_repeated_is_what_was_sent() {
    let (mut outgoing, id) = started();
    outgoing.handle_timeout(at(200));
    let again = sent(&mut outgoing).pop().expect("a repetition");
    let part = parse_datagram(again.as_bytes()).next().expect("a message");
    let mut expected = rsip();
    expected.transaction = id;
    assert_eq!(part.message, Ok(crate::mgcp::message::Message::Command(expected)));
}

fn paced(window: usize) -> Outgoing {
    let pace = PaceSettings { window_max: window, window_min: 1, slow_after: Duration::from_secs(1) };
    Outgoing::new(OutgoingSettings { transactions_max: 100, pace, ..settings() }, 1)
}

fn send(outgoing: &mut Outgoing, ms: u64) -> TransactionId {
    let id = outgoing.send(at(ms), vec![path()], rsip()).expect("there is room");
    outgoing.send_queued();
    id
}

#[test]
fn commands_beyond_the_window_wait_for_answers() {
    let mut outgoing = paced(2);
    let ids: Vec<_> = (0..5).map(|_| send(&mut outgoing, 0)).collect();
    assert_eq!(sent(&mut outgoing).len(), 2);
    outgoing.receive(at(5), path(), &response(100, ids[0]));
    assert_eq!(sent(&mut outgoing).len(), 0, "a promise is no answer");
    outgoing.receive(at(10), path(), &response(200, ids[0]));
    assert_eq!(sent(&mut outgoing).len(), 1);
    outgoing.cancel(at(11), ids[1]);
    assert_eq!(sent(&mut outgoing).len(), 1);
    // One that waits can be forgotten like any other.
    outgoing.cancel(at(12), ids[4]);
    outgoing.receive(at(13), path(), &response(200, ids[2]));
    outgoing.receive(at(13), path(), &response(200, ids[3]));
    assert_eq!(sent(&mut outgoing).len(), 0);
    assert!(outgoing.under_way.is_empty());
}

#[test]
fn who_never_answers_gets_few_commands_and_all_are_lost_in_time() {
    let mut outgoing = paced(1);
    let ids: Vec<_> = (0..3).map(|_| send(&mut outgoing, 0)).collect();
    let mut lost = Vec::new();
    let mut last = at(0);
    while let Some(now) = outgoing.poll_timeout() {
        outgoing.handle_timeout(now);
        lost.extend(iter::from_fn(|| outgoing.poll_lost()));
        last = now;
    }
    assert_eq!(lost, ids);
    // The second begins when the first is no longer repeated, and the third when that is not.
    assert!(last <= at(60_000 + 2 * 20_000), "{last:?}");
}

#[test]
fn promises_without_end_take_no_memory() {
    let mut outgoing = paced(1);
    let id = send(&mut outgoing, 0);
    for ms in 1..1_000 {
        outgoing.receive(at(ms), path(), &response(100, id));
    }
    assert!(outgoing.timers.len() <= 2, "{}", outgoing.timers.len());
    assert_eq!(outgoing.poll_timeout(), Some(at(200)), "the timer that it had, which is none now");
}

#[test]
fn what_says_that_a_command_was_not_delivered_must_quote_it() {
    let (mut outgoing, id) = started();
    let remote = path().remote;
    let quoted = format!("RSIP {} *@gw MGCP 1.0\r\n", id.0);
    assert_eq!(outgoing.undelivered(remote, quoted.as_bytes()), Some(id));
    // RFC 792 has errors quote 64 bits behind the header; most quote more.
    let short = &quoted.as_bytes()[..quoted.find(" *").expect("a name") + 1];
    assert_eq!(outgoing.undelivered(remote, short), Some(id));
    assert_eq!(outgoing.undelivered(SocketAddr::from(([10, 0, 0, 9], 2727)), quoted.as_bytes()), None);
    let other = format!("RSIP {} *@gw MGCP 1.0\r\n", id.0 ^ 1);
    let verb = format!("NTFY {} *@gw MGCP 1.0\r\n", id.0);
    let cut = format!("RSIP {}", id.0);
    for forged in ["", " ", "RSIP", "RSIP ", "200 1 OK\r\n", "RSIP x *@gw", &other, &verb, &cut] {
        assert_eq!(outgoing.undelivered(remote, forged.as_bytes()), None, "{forged}");
    }
    // Who has promised an answer is there.
    outgoing.receive(at(10), path(), &response(100, id));
    assert_eq!(outgoing.undelivered(remote, quoted.as_bytes()), None);
    outgoing.receive(at(20), path(), &response(200, id));
    assert_eq!(outgoing.undelivered(remote, quoted.as_bytes()), None);
}

#[test]
fn what_is_not_delivered_on_its_last_way_is_repeated_as_ever() {
    let (mut outgoing, id) = started();
    (0..100).for_each(|_| outgoing.turn_away(at(1), id));
    assert_eq!(sent(&mut outgoing), Vec::<String>::new());
    assert_eq!(run_until_lost(&mut outgoing), run_until_lost(&mut started().0));
}
