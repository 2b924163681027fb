//! What control does with a command, from its datagram to its response.

use std::net::SocketAddr;
use std::path::Path as File;
use std::sync::Arc;
use std::time::Duration;

use control::config::Config;
use control::gateway::Gateway;
use control::input::Input;
use control::mgcp::message::Path;
use control::mgcp::parse::parse_datagram;
use control::topology::{CoreId, Topology};
use dataplane::engine::{Engine, SpanShape};
use dataplane::gear::Gear;
use dataplane::stats::Stats;
use drivers::line::{Line, SpanId};
use drivers::time::{Epoch, Instant};

use crate::{Case, counted};

/// Does a case; says how often.
pub(crate) fn run(case: Case) -> u64 {
    if case == Case::Parse {
        let crcx = crcx(1, 1);
        return (0..TIMES).map(|_| counted(|| parse_datagram(crcx.as_bytes()).count()) as u64).sum();
    }
    let mut host = Host::new();
    let mut done = 0;
    for round in 0..ROUNDS {
        for timeslot in 1..=DS0S {
            let response = host.ask(&crcx(2 * (round * DS0S + timeslot), timeslot), case == Case::Crcx);
            assert!(response.starts_with("200 "), "{response}");
        }
        for timeslot in 1..=DS0S {
            let dlcx = dlcx(2 * (round * DS0S + timeslot) + 1, timeslot);
            let response = host.ask(&dlcx, case == Case::Dlcx);
            assert!(response.starts_with("250 "), "{response}");
        }
        // The first round finds nothing where it is to be yet.
        if round > 0 {
            done += u64::from(DS0S);
        } else {
            host.is_warm = true;
        }
    }
    done
}

const TIMES: u64 = 100;
const ROUNDS: u32 = 5;
const DS0S: u32 = 31;

fn crcx(transaction: u32, timeslot: u32) -> String {
    format!(
        "CRCX {transaction} ds/e1-1/{timeslot}@gw MGCP 1.0\r\n\
         C: A3C47F21456789F0\r\nL: p:20, a:PCMA, e:off, s:off\r\nM: sendrecv\r\nX: 0123456789AC\r\n\r\n\
         v=0\r\no=- 25678 753849 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 3456 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\n"
    )
}

fn dlcx(transaction: u32, timeslot: u32) -> String {
    format!("DLCX {transaction} ds/e1-1/{timeslot}@gw MGCP 1.0\r\nC: A3C47F21456789F0\r\n")
}

/// A gateway, and the engine that does as it says.
struct Host {
    gateway: Gateway,
    engine: Engine,
    path: Path,
    now: Instant,
    octets: Vec<u8>,
    is_warm: bool,
}

impl Host {
    fn new() -> Self {
        let text = "[gateway]\nname = \"gw\"\n\
             [mgcp]\nlisten = [\"198.51.100.1:2427\"]\nallow = [\"192.0.2.0/24\"]\n\
             [media]\naddresses = [\"198.51.100.1\"]\n[[span]]\ncount = 4\n";
        let config = Config::parse(text, File::new("")).expect("the configuration is right");
        let topology = Topology::new(&config).expect("four spans fit one core");
        let now = Instant::from_nanos(1_000_000_000);
        let epoch = Epoch { at: now, unix_nanos: 1_700_000_000_000_000_000 };
        let spans: Vec<_> = topology
            .spans
            .iter()
            .map(|place| SpanShape {
                id: SpanId(place.span.0),
                line: Line { carrier: place.carrier, law: place.law },
                frames: 40,
                echo: None,
            })
            .collect();
        let limits = topology.limits(CoreId(0), &config.media.jitter);
        let [remote, local]: [SocketAddr; 2] =
            [([192, 0, 2, 1], 2_727).into(), ([198, 51, 100, 1], 2_427).into()];
        Self {
            gateway: Gateway::new(&config, &topology, 1, epoch, now),
            engine: Engine::new(&limits, &spans, 1, epoch, Arc::new(Stats::default())),
            path: Path { remote, local },
            now,
            octets: Vec::new(),
            is_warm: false,
        }
    }

    /// A command's response. Control's part counts, if `is_counted`; the core's does not.
    fn ask(&mut self, command: &str, is_counted: bool) -> String {
        self.now += Duration::from_millis(5);
        let is_counted = is_counted && self.is_warm;
        let mut response = String::new();
        self.take(is_counted, Input::Datagram { path: self.path, octets: command.as_bytes() }, &mut response);
        while let Some(report) = self.engine.poll_report() {
            self.take(is_counted, Input::Report { core: CoreId(0), report }, &mut response);
        }
        response
    }

    /// Has the gateway take an input in, and takes out what it has to say.
    fn take(&mut self, is_counted: bool, input: Input<'_>, response: &mut String) {
        let Self { gateway, octets, now, .. } = self;
        let mut orders = Vec::with_capacity(4);
        let turn = || {
            gateway.handle(*now, input);
            orders.extend(std::iter::from_fn(|| gateway.poll_order()));
            while gateway.poll_transmit(octets).is_some() {
                if octets.first().is_some_and(u8::is_ascii_digit) {
                    response.push_str(&String::from_utf8_lossy(octets));
                }
            }
        };
        if is_counted {
            counted(turn);
        } else {
            turn();
        }
        for (_, order) in &orders {
            self.engine.apply(*now, order, Gear::for_action(&order.action));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_carried_out_as_often_as_it_says() {
        let after_the_first = u64::from((ROUNDS - 1) * DS0S);
        assert_eq!(run(Case::Crcx), after_the_first);
        assert_eq!(run(Case::Dlcx), after_the_first);
        assert_eq!(run(Case::Parse), TIMES);
    }
}
