//! Orders and what they leave behind.

use super::*;

#[test]
fn a_disconnect_in_mid_packet_leaves_silence_and_an_idle_pair() {
    let mut core = Core::new();
    core.connect(5, 0, leg(Mode::SendReceive, peer(1)));
    let mut peers = [Peer::new(1, 0)];
    core.talk(&mut peers, 62);
    let seen = core.disconnect(0);
    assert_eq!(seen.packets_sent as usize, core.rtp_from(0).len());
    assert_eq!((seen.packets_received, seen.octets_received), (16, 16 * 160));
    let before = core.heard(5).len();
    let sent = core.rtp_from(0).len();
    core.talk(&mut peers, 60);
    assert_silent(&core.heard(5)[before..]);
    assert_eq!(core.rtp_from(0).len(), sent);
    assert_eq!(core.count(Counter::DroppedIdle), 15);
    assert!(core.rtcp_from(0).last().expect("a BYE").bye);

    core.connect(6, 0, leg(Mode::SendReceive, peer(1)));
    core.talk(&mut peers, 60);
    assert!(
        find(core.heard(6), &peers[0].said()[40 * 160..42 * 160]).is_some(),
        "the pair serves another DS0"
    );
    assert_silent(&core.heard(5)[before..]);
}

#[test]
fn reports_come_in_the_order_of_the_orders() {
    let mut core = Core::new();
    let leg = leg(Mode::SendReceive, peer(1));
    let actions = [
        Action::Connect { ds0: ds0(0, 1), port: rtp(0), identity: identity(0), leg },
        Action::Survey { port: rtp(0) },
        Action::Modify { port: rtp(0), leg },
        Action::Disconnect { port: rtp(0) },
        Action::Connect { ds0: ds0(0, 2), port: rtp(0), identity: identity(0), leg },
    ];
    for (id, action) in actions.into_iter().enumerate() {
        let gear = Gear::for_action(&action);
        core.engine.apply(core.now, &Order { id: OrderId(id as u64), action }, gear);
    }
    core.engine.span_event(0, SpanEvent::Slip(Slip::Deleted));
    let reports: Vec<Report> = std::iter::from_fn(|| core.engine.poll_report()).collect();
    for (n, report) in reports[..5].iter().enumerate() {
        assert!(matches!(report, Report::Done { id: OrderId(id), .. } if *id == n as u64), "{report:?}");
    }
    assert_eq!(reports[5], Report::Span { span: SpanId(0), event: SpanEvent::Slip(Slip::Deleted) });
    assert_eq!(core.count(Counter::Slips), 1);
}

#[test]
fn pairs_are_marked_when_their_mark_changes() {
    let mut core = Core::new();
    let best_effort = Dscp::default();
    core.connect(1, 0, leg(Mode::SendReceive, peer(1)));
    core.connect(2, 1, Leg { dscp: best_effort, ..leg(Mode::SendReceive, peer(1)) });
    core.tick();
    core.modify(0, leg(Mode::Inactive, peer(1)));
    core.tick();
    core.disconnect(1);
    core.connect(3, 1, leg(Mode::SendReceive, peer(1)));
    core.tick();
    let ef = Dscp::EF;
    let expected = [(0, ef), (1, ef), (2, best_effort), (3, best_effort), (2, ef), (3, ef)]
        .map(|(slot, dscp)| (PortSlot(slot), dscp));
    assert_eq!(core.sockets.marks, expected);
}

#[test]
#[should_panic(expected = "control orders only what it has connected")]
fn an_order_for_an_idle_pair_is_a_broken_plan() {
    Core::new().modify(0, leg(Mode::SendReceive, peer(1)));
}

#[test]
fn gear_that_nothing_wants_any_more_goes_back() {
    let mut core = Core::new();
    let told = |mode| Leg { receive_events: Some(101), ..leg(mode, peer(0)) };
    core.connect(1, 0, told(Mode::SendReceive));
    assert!(core.engine.poll_returned().is_none(), "the connection has it");
    core.order(Action::Modify { port: PortSlot(0), leg: told(Mode::ReceiveOnly) });
    assert!(core.engine.poll_returned().is_some(), "the connection had it");
    core.order(Action::Disconnect { port: PortSlot(0) });
    assert!(core.engine.poll_returned().is_some_and(|gear| !gear.is_empty()));
    core.connect(1, 0, leg(Mode::SendReceive, peer(0)));
    core.order(Action::Disconnect { port: PortSlot(0) });
    assert!(core.engine.poll_returned().is_none(), "there was none");
}
