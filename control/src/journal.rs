//! The journal: what happened to the gateway, line by line, so that it can happen again.
//!
//! The gateway is pure: its seed and its inputs decide all it does. So the list of inputs is the
//! gateway. Tests shrink it, a crash report holds it, and [`replay`](crate::replay::replay()) makes the same gateway of it.
//!
//! A line is a time in nanoseconds, a kind, and what belongs to it, to be read by people too:
//!
//! ```text
//! tollgate-journal 2 1000 42 1000 1795329134000000000
//! 2000 datagram 127.0.0.1:2727 127.0.0.1:2427 AUEP 1 *@gw MGCP 1.0\r\n
//! 3000 done 0 17
//! 3000 seen 0 18 50 8000 50 8000 0 125000 0 20000000
//! 4000 span 0 2 alarms los+rai
//! 4500 observed 0 line 2 17 4440 ended digit 5 60
//! 4700 undelivered 192.0.2.1:2727 RSIP 4711 *@gw MGCP 1.0\r\n
//! 5000 resolved ca.example.net 60000000000 192.0.2.1,192.0.2.2
//! 6000 timeout
//! ```
//!
//! In memory it is bounded: the oldest lines go, and what has lost its beginning cannot be replayed.

mod observed;

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use dataplane::link::{ConnectionStats, OrderId, Outcome, Report};
use drivers::line::{Alarm, Alarms, SpanId, Timeslot};
use drivers::span::{Slip, SpanEvent};
use drivers::time::{Epoch, Instant};

use crate::config::{Service, ServiceConfig};
use crate::input::Input;
use crate::mgcp::message::Path;
use crate::topology::CoreId;

/// What the first line begins with: the format's name and version. The version changes with each word that
/// a line may no longer have.
const HEADER: &str = "tollgate-journal 2";

/// The journal of one gateway.
#[derive(Debug)]
pub struct Journal {
    /// The lines, oldest first, behind `begin` octets that have had to go.
    text: String,
    begin: usize,
    /// What lies before this has been polled, or has gone.
    polled: usize,
    octets_max: usize,
    lost: u64,
}

impl Journal {
    /// A journal that keeps `octets_max` octets of lines, of a gateway made like this.
    pub fn new(octets_max: usize, seed: u64, epoch: Epoch, now: Instant) -> Self {
        let mut journal = Self { text: String::new(), begin: 0, polled: 0, octets_max, lost: 0 };
        let (now, at, unix) = (now.as_nanos(), epoch.at.as_nanos(), epoch.unix_nanos);
        journal.write(format_args!("{HEADER} {now} {seed} {at} {unix}\n"));
        journal
    }

    /// Writes down what happened at `now`.
    pub fn record(&mut self, now: Instant, input: &Input<'_>) {
        self.write(format_args!("{} {}\n", now.as_nanos(), Written(input)));
    }

    /// All lines that were not polled yet, each with its line feed.
    pub fn poll(&mut self) -> Option<String> {
        let unread = self.text[self.polled..].to_owned();
        self.polled = self.text.len();
        (!unread.is_empty()).then_some(unread)
    }

    /// The lines that there still are, oldest first, each with its line feed.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text[self.begin..].split_inclusive('\n')
    }

    /// How many lines had to go.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn write(&mut self, line: fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("a String takes whatever is written");
        while self.text.len() - self.begin > self.octets_max
            && let Some(end) = self.text[self.begin..].find('\n')
        {
            self.begin += end + 1;
            self.lost += 1;
        }
        self.polled = self.polled.max(self.begin);
        // Moved as rarely as this, each octet is moved once.
        if self.begin > self.octets_max {
            self.text.drain(..self.begin);
            self.polled -= self.begin;
            self.begin = 0;
        }
    }
}

/// Reads the first line: the seed, the wall time, and when the gateway was made.
pub(crate) fn read_beginning(line: &str) -> Option<(u64, Epoch, Instant)> {
    let numbers =
        line.strip_prefix(HEADER)?.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>();
    let [now, seed, at, unix_nanos] = numbers.ok()?.try_into().ok()?;
    Some((seed, Epoch { at: Instant::from_nanos(at), unix_nanos }, Instant::from_nanos(now)))
}

/// Reads a line; a datagram's octets go to `octets`.
pub(crate) fn read_line<'a>(line: &str, octets: &'a mut Vec<u8>) -> Option<(Instant, Input<'a>)> {
    let (now, rest) = line.strip_suffix('\n').unwrap_or(line).split_once(' ')?;
    let now = Instant::from_nanos(now.parse().ok()?);
    let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let input = match kind {
        "datagram" => {
            let (remote, rest) = rest.split_once(' ')?;
            let (local, escaped) = rest.split_once(' ')?;
            unescape(escaped, octets)?;
            Input::Datagram {
                path: Path { remote: remote.parse().ok()?, local: local.parse().ok()? },
                octets,
            }
        }
        "undelivered" => {
            let (remote, escaped) = rest.split_once(' ')?;
            unescape(escaped, octets)?;
            Input::Undelivered { remote: remote.parse().ok()?, octets }
        }
        "unreachable" => {
            let mut words = rest.split(' ');
            let (local, remote) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Input::Unreachable { local, remote, code: words.next()?.parse().ok()? }
        }
        "done" | "seen" | "span" | "observed" => {
            let (core, rest) = rest.split_once(' ')?;
            let report = match kind {
                "done" => Report::Done { id: OrderId(rest.parse().ok()?), outcome: Outcome::Done },
                "seen" => read_seen(rest)?,
                "observed" => observed::read(rest)?,
                _ => read_span(rest)?,
            };
            Input::Report { core: CoreId(core.parse().ok()?), report }
        }
        "resolved" => {
            let mut words = rest.split(' ');
            let (host, ttl, addresses) = (words.next()?, words.next()?, words.next()?);
            let addresses = addresses.split(',').filter(|address| !address.is_empty()).map(str::parse);
            let addresses = addresses.collect::<Result<Vec<IpAddr>, _>>().ok()?;
            Input::Resolved { host: host.to_owned(), addresses, ttl: Duration::from_nanos(ttl.parse().ok()?) }
        }
        "timeout" => Input::Timeout,
        "shutdown" => Input::Shutdown,
        "graceful" => Input::Graceful,
        "cancel-graceful" => Input::CancelGraceful,
        "service" => read_service(rest)?,
        _ => return None,
    };
    Some((now, input))
}

fn read_service(rest: &str) -> Option<Input<'static>> {
    let mut words = rest.split(' ');
    let (span, word, out) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (_, service) = Service::NAMES.into_iter().find(|(name, _)| *name == word)?;
    let out = out.split(',').filter(|number| !number.is_empty());
    let out = out.map(|number| Timeslot::new(number.parse().ok()?)).collect::<Option<_>>()?;
    Some(Input::Service { span: SpanId(span), service: ServiceConfig { span: service, out } })
}

fn read_seen(rest: &str) -> Option<Report> {
    let numbers = rest.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>();
    let [id, sent, sent_octets, received, received_octets, lost, jitter, latency, playout_delay] =
        numbers.ok()?.try_into().ok()?;
    let count = |n: u64| u32::try_from(n).ok();
    let stats = ConnectionStats {
        packets_sent: count(sent)?,
        octets_sent: count(sent_octets)?,
        packets_received: count(received)?,
        octets_received: count(received_octets)?,
        packets_lost: count(lost)?,
        jitter: Duration::from_nanos(jitter),
        latency: Duration::from_nanos(latency),
        playout_delay: Duration::from_nanos(playout_delay),
    };
    Some(Report::Done { id: OrderId(id), outcome: Outcome::Seen(stats) })
}

fn read_span(rest: &str) -> Option<Report> {
    let (span, event) = rest.split_once(' ')?;
    let event = match event {
        "slip deleted" => SpanEvent::Slip(Slip::Deleted),
        "slip repeated" => SpanEvent::Slip(Slip::Repeated),
        "failed" => SpanEvent::Failed,
        "alarms none" => SpanEvent::Alarms(Alarms::NONE),
        event => {
            let names = event.strip_prefix("alarms ")?.split('+');
            let named = |name: &str| Alarm::ALL.into_iter().find(|alarm| alarm.name() == name);
            SpanEvent::Alarms(names.map(named).try_fold(Alarms::NONE, |all, alarm| Some(all.with(alarm?)))?)
        }
    };
    Some(Report::Span { span: SpanId(span.parse().ok()?), event })
}

/// An input as its line has it, behind the time.
struct Written<'a>(&'a Input<'a>);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::Datagram { path, octets } => {
                write!(f, "datagram {} {} ", path.remote, path.local)?;
                escape(octets, f)
            }
            Input::Report { core, report: Report::Done { id, outcome } } => match outcome {
                Outcome::Done => write!(f, "done {} {}", core.0, id.0),
                Outcome::Seen(seen) => write!(
                    f,
                    "seen {} {} {} {} {} {} {} {} {} {}",
                    core.0,
                    id.0,
                    seen.packets_sent,
                    seen.octets_sent,
                    seen.packets_received,
                    seen.octets_received,
                    seen.packets_lost,
                    seen.jitter.as_nanos(),
                    seen.latency.as_nanos(),
                    seen.playout_delay.as_nanos()
                ),
            },
            Input::Report { core, report: Report::Span { span, event } } => {
                write!(f, "span {} {} ", core.0, span.0)?;
                write_event(*event, f)
            }
            Input::Report { core, report: Report::Observed { side, at, what } } => {
                write!(f, "observed {} ", core.0)?;
                observed::write(*side, *at, *what, f)
            }
            Input::Resolved { host, addresses, ttl } => {
                write!(f, "resolved {host} {} ", ttl.as_nanos())?;
                for (index, address) in addresses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{address}")?;
                }
                Ok(())
            }
            Input::Undelivered { remote, octets } => {
                write!(f, "undelivered {remote} ")?;
                escape(octets, f)
            }
            Input::Unreachable { local, remote, code } => write!(f, "unreachable {local} {remote} {code}"),
            Input::Timeout => f.write_str("timeout"),
            Input::Shutdown => f.write_str("shutdown"),
            Input::Graceful => f.write_str("graceful"),
            Input::CancelGraceful => f.write_str("cancel-graceful"),
            Input::Service { span, service } => {
                write!(f, "service {} {} ", span.0, service.span.name())?;
                service.out.iter().try_for_each(|timeslot| write!(f, "{timeslot},"))
            }
        }
    }
}

fn write_event(event: SpanEvent, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match event {
        SpanEvent::Slip(Slip::Deleted) => f.write_str("slip deleted"),
        SpanEvent::Slip(Slip::Repeated) => f.write_str("slip repeated"),
        SpanEvent::Failed => f.write_str("failed"),
        SpanEvent::Alarms(alarms) => write!(f, "alarms {alarms}"),
    }
}

/// Octets as one line of ASCII: what cannot be printed, and the backslash, behind a backslash.
fn escape(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_plain = |octet: &u8| matches!(octet, b' '..=b'~') && *octet != b'\\';
    let mut rest = octets;
    while !rest.is_empty() {
        let (plain, others) =
            rest.split_at(rest.iter().position(|octet| !is_plain(octet)).unwrap_or(rest.len()));
        f.write_str(str::from_utf8(plain).expect("ASCII is UTF-8"))?;
        match others {
            [b'\r', b'\n', ..] => f.write_str("\\r\\n")?,
            [b'\r', ..] => f.write_str("\\r")?,
            [b'\n', ..] => f.write_str("\\n")?,
            [b'\\', ..] => f.write_str("\\\\")?,
            [octet, ..] => write!(f, "\\x{octet:02x}")?,
            [] => {}
        }
        let done = if others.starts_with(b"\r\n") { 2 } else { others.len().min(1) };
        rest = &others[done..];
    }
    Ok(())
}

fn unescape(text: &str, octets: &mut Vec<u8>) -> Option<()> {
    octets.clear();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match (octet, octet == b'\\') {
            (plain, false) => plain,
            (_, true) => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b'\\' => b'\\',
                b'x' => {
                    let digit = |octet: u8| char::from(octet).to_digit(16);
                    let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                    u8::try_from(value).expect("two hex digits are an octet")
                }
                _ => return None,
            },
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(inputs: &[Input<'_>]) -> Journal {
        let mut journal = Journal::new(1 << 20, 42, Epoch::default(), Instant::ZERO);
        inputs.iter().for_each(|input| journal.record(Instant::from_nanos(7), input));
        journal
    }

    fn every_kind() -> Vec<Input<'static>> {
        let path = Path {
            remote: "[2001:db8::1]:2727".parse().expect("an address"),
            local: "[::]:2427".parse().expect("an address"),
        };
        let octets: &'static [u8] = b"AUEP 1 a\\b@c MGCP 1.0\r\n\t\x00\xff \n";
        let report = |report| Input::Report { core: CoreId(1), report };
        let span = |event| report(Report::Span { span: SpanId(2), event });
        let seen = ConnectionStats {
            packets_sent: 1,
            octets_sent: 160,
            packets_received: u32::MAX,
            octets_received: 4,
            packets_lost: 5,
            jitter: Duration::from_nanos(125_000),
            latency: Duration::from_millis(7),
            playout_delay: Duration::from_millis(20),
        };
        vec![
            Input::Datagram { path, octets },
            Input::Datagram { path, octets: b"" },
            report(Report::Done { id: OrderId(9), outcome: Outcome::Done }),
            report(Report::Done { id: OrderId(10), outcome: Outcome::Seen(seen) }),
            span(SpanEvent::Alarms(Alarms::NONE.with(Alarm::Los).with(Alarm::Rai))),
            span(SpanEvent::Alarms(Alarms::NONE)),
            span(SpanEvent::Slip(Slip::Deleted)),
            span(SpanEvent::Slip(Slip::Repeated)),
            span(SpanEvent::Failed),
            Input::Undelivered { remote: path.remote, octets },
            Input::Unreachable { local: path.local, remote: path.remote, code: 13 },
            Input::Resolved {
                host: "ca.example.net".to_owned(),
                addresses: vec!["192.0.2.1".parse().expect("v4"), "2001:db8::2".parse().expect("v6")],
                ttl: Duration::from_secs(60),
            },
            Input::Resolved { host: "nowhere".to_owned(), addresses: Vec::new(), ttl: Duration::ZERO },
            Input::Timeout,
            Input::Shutdown,
            Input::Graceful,
            Input::CancelGraceful,
            Input::Service { span: SpanId(3), service: ServiceConfig::default() },
            Input::Service {
                span: SpanId(0),
                service: ServiceConfig {
                    span: Service::Graceful,
                    out: [1, 31].into_iter().filter_map(Timeslot::new).collect(),
                },
            },
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        let inputs = every_kind();
        let journal = lines(&inputs);
        let mut octets = Vec::new();
        for (line, input) in journal.lines().skip(1).zip(inputs) {
            assert!(line.is_ascii() && line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            assert_eq!(read_line(line, &mut octets), Some((Instant::from_nanos(7), input)));
        }
    }

    #[test]
    fn the_first_line_tells_how_the_gateway_was_made() {
        let epoch = Epoch { at: Instant::from_nanos(5), unix_nanos: 6 };
        let journal = Journal::new(1 << 20, 42, epoch, Instant::from_nanos(7));
        let first = journal.lines().next().expect("a line");
        assert_eq!(read_beginning(first), Some((42, epoch, Instant::from_nanos(7))));
    }

    #[test]
    fn the_oldest_lines_go_and_are_counted() {
        let mut journal = Journal::new(100, 42, Epoch::default(), Instant::ZERO);
        (0..50).for_each(|_| journal.record(Instant::ZERO, &Input::Timeout));
        assert!(journal.lines().map(str::len).sum::<usize>() <= 100);
        assert_eq!(journal.lost() as usize + journal.lines().count(), 51);
        assert_eq!(journal.lines().next().and_then(read_beginning), None);
    }

    #[test]
    fn each_line_is_polled_once() {
        let mut journal = lines(&[Input::Timeout]);
        assert_eq!(journal.poll().map(|text| text.lines().count()), Some(2));
        assert_eq!(journal.poll(), None);
        journal.record(Instant::ZERO, &Input::Shutdown);
        assert_eq!(journal.poll().as_deref(), Some("0 shutdown\n"));
    }

    #[test]
    fn broken_lines_are_refused() {
        let mut octets = Vec::new();
        for line in
            ["", "x timeout", "7", "7 what", "7 datagram a b c", "7 done 0 x", "7 span 0 0 alarms xyz"]
        {
            assert_eq!(read_line(line, &mut octets), None, "{line}");
        }
    }
}
