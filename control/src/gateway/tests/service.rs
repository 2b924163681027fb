//! Circuits that the operator takes out of service and back.

use drivers::line::Timeslot;

use super::restart::{acknowledge, announced};
use super::*;
use crate::config::{Service, ServiceConfig};

fn serve(bench: &mut Bench, span: u16, service: Service, out: &[u8]) -> Vec<String> {
    let out = out.iter().filter_map(|number| Timeslot::new(*number)).collect();
    let service = ServiceConfig { span: service, out };
    bench.gateway.handle(bench.now, Input::Service { span: SpanId(span), service });
    let mut said = bench.sent();
    said.extend(bench.carry_out());
    said
}

fn method(bench: &mut Bench, endpoint: &str) -> String {
    let audit = bench.ask(&format!("AUEP {endpoint}@gw"), "F: RM\n");
    header(&audit, "RM").expect("a method")
}

#[test]
fn a_span_is_taken_out_at_once_and_comes_back() {
    let mut bench = announced();
    bench.crcx("ds/e1-2/5@gw", "A1");
    let said = serve(&mut bench, 1, Service::Out, &[]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
    assert!(header(&said[0], "E").expect("a reason").starts_with("904"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert!(bench.gateway.ledger().is_empty());
    assert_code(&bench.ask("CRCX ds/e1-2/6@gw", "C: A1\nM: recvonly\n"), 501);
    let said = serve(&mut bench, 1, Service::In, &[]);
    assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: restart\n"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    bench.crcx("ds/e1-2/5@gw", "A1");
    assert_eq!(serve(&mut bench, 1, Service::In, &[]), [""; 0]);
}

#[test]
fn a_span_drains_and_goes_out_with_its_last_call() {
    let mut bench = announced();
    let id = bench.crcx("ds/e1-2/5@gw", "A1");
    let said = serve(&mut bench, 1, Service::Graceful, &[]);
    assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: graceful\n"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert_eq!(method(&mut bench, "ds/e1-2/6"), "graceful");
    assert_eq!(method(&mut bench, "ds/e1-1/6"), "restart");
    assert_eq!(bench.after(Duration::from_secs(3_600)), [""; 0]);
    let said = bench.say(&format!("DLCX 900 ds/e1-2/5@gw MGCP 1.0\nC: A1\nI: {id}\n"));
    assert!(said.iter().any(|text| text.contains("250 900 ")), "{said:?}");
    let forced: Vec<_> = said.into_iter().filter(|text| text.contains("RM: forced\n")).collect();
    assert!(forced[0].contains(" ds/e1-2/*@gw "), "{forced:?}");
    acknowledge(&mut bench, &forced, 200);
    assert_eq!(method(&mut bench, "ds/e1-2/6"), "forced");
    // One that is idle goes out at once.
    let said = serve(&mut bench, 2, Service::Graceful, &[]);
    assert!(said[0].contains(" ds/e1-3/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
}

#[test]
fn draining_can_be_called_off_and_has_an_end() {
    let mut bench = announced_with(|config| config.mgcp.graceful_stop_max = Some(Duration::from_secs(300)));
    bench.crcx("ds/e1-2/5@gw", "A1");
    let said = serve(&mut bench, 1, Service::Graceful, &[]);
    assert!(said[0].ends_with("RM: graceful\nRD: 300\n"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    let said = serve(&mut bench, 1, Service::In, &[]);
    assert!(said[0].ends_with("RM: cancel-graceful\n"), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert_eq!(bench.after(Duration::from_secs(400)), [""; 0]);
    let said = serve(&mut bench, 1, Service::Graceful, &[]);
    acknowledge(&mut bench, &said, 200);
    assert_eq!(bench.after(Duration::from_secs(299)), [""; 0]);
    let said = bench.after(Duration::from_secs(1));
    assert!(said[0].contains(" ds/e1-2/*@gw ") && said[0].contains("RM: forced\n"), "{said:?}");
    bench.carry_out();
    assert!(bench.gateway.ledger().is_empty());
}

#[test]
fn single_timeslots_can_be_out() {
    let mut bench = announced();
    let said = serve(&mut bench, 1, Service::In, &[5, 7]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains(" ds/e1-2/5@gw ") && said[1].contains(" ds/e1-2/7@gw "), "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert_code(&bench.ask("CRCX ds/e1-2/5@gw", "C: A1\nM: recvonly\n"), 501);
    bench.crcx("ds/e1-2/6@gw", "A1");
    let said = serve(&mut bench, 1, Service::In, &[7]);
    assert!(said.len() == 1 && said[0].contains("RM: restart\n"), "{said:?}");
}

#[test]
fn what_is_out_by_its_operator_does_not_come_back_with_its_line() {
    let mut bench = announced();
    let said = serve(&mut bench, 1, Service::Out, &[]);
    acknowledge(&mut bench, &said, 200);
    assert_eq!(bench.span_event(1, down()), [""; 0], "it is known to be out");
    assert_eq!(bench.span_event(1, SpanEvent::Alarms(Alarms::NONE)), [""; 0]);
    assert_eq!(method(&mut bench, "ds/e1-2/6"), "forced");
    bench.span_event(1, down());
    let said = serve(&mut bench, 1, Service::In, &[]);
    assert!(header(&said[0], "E").expect("a reason").starts_with("905"), "now it is the line: {said:?}");
    acknowledge(&mut bench, &said, 200);
    let said = bench.span_event(1, SpanEvent::Alarms(Alarms::NONE));
    assert!(said[0].contains("RM: restart\n"), "{said:?}");
}

#[test]
fn what_is_out_at_the_start_is_told_as_out() {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        config.spans[1].service.span = Service::Out;
        config.rtpbridge.endpoints = 0;
    });
    let said = bench.after(Duration::from_millis(1));
    let out: Vec<_> = said.iter().filter(|rsip| rsip.contains("RM: forced\n")).collect();
    assert!(out.len() == 1 && out[0].contains(" ds/e1-2/*@gw "), "{said:?}");
    let back: Vec<_> = said.iter().filter(|rsip| rsip.contains("RM: restart\n")).collect();
    assert_eq!(back.len(), 3, "{said:?}");
    acknowledge(&mut bench, &said, 200);
    assert_code(&bench.ask("CRCX ds/e1-2/$@gw", "C: A1\nM: recvonly\n"), 410);
}

/// A gateway that has been told of, and nothing else.
fn announced_with(change: impl FnOnce(&mut Config)) -> Bench {
    let mut bench = Bench::with(|config| {
        config.mgcp.notified_entity = Some("ca@[127.0.0.1]:2727".to_owned());
        config.mgcp.restart_wait_max = Duration::ZERO;
        change(config);
    });
    let said = bench.after(Duration::from_millis(1));
    acknowledge(&mut bench, &said, 200);
    bench
}
