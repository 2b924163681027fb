//! Where packets were lost: what the kernel counts at both ends of the way, place by place.
//!
//! Each counter is read before the first call and after the last, and bears the kernel's own name, so that
//! whoever doubts it can look by himself: `/proc/net/dev`, `/proc/net/snmp`, `/proc/net/softnet_stat`, and
//! `XDP_STATISTICS` of the harness's own rings. Over a wire each end is a network of its own, so a counter is
//! of one direction; on loopback both ends have the same, and everything else on the host has it too.

use std::fs;
use std::io;

use drivers::net::xdp::RingStatistics;

use crate::report::Section;

/// The direction of packets that a counter is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From the harness to the gateway.
    There,
    /// From the gateway to the harness.
    Back,
    /// Either, or packets of others.
    Unknown,
}

/// One counter of the kernel's.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Counter {
    /// For programs.
    name: String,
    /// For people.
    words: String,
    /// Which packets it counts: those to the gateway or those from it.
    way: Direction,
    /// Whose loss it is, if what it counts is lost, and counted nowhere else.
    loss: Option<Whose>,
    value: u64,
}

/// Whose queue it was that had no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// The gateway's: what has come to its end and was not taken in time, or was sent faster than its sockets
    /// allow. To be slow there is to be slow.
    Gateway,
    /// The host's, the wire's or the harness's.
    Others,
}

/// The kernel's counters at a time, or what has been added between two.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counters(Vec<Counter>);

/// An end of the way, as it is seen in `/proc`.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    /// Where its network's files are.
    folder: &'a str,
    /// The directions of what it receives and sends.
    receives: Direction,
    sends: Direction,
    /// Whose the queues of its interfaces and sockets are.
    whose: Whose,
}

impl Counters {
    /// The counters of this thread's network namespace and, over a wire, of that of the gateway, whose process
    /// `wire` names.
    ///
    /// # Errors
    /// If the host does not say.
    pub(crate) fn read(wire: Option<u32>, rings: Option<RingStatistics>) -> io::Result<Self> {
        let own = "/proc/thread-self/net";
        let mut counters = Self::default();
        match wire {
            Some(gateway) => {
                let folder = format!("/proc/{gateway}/net");
                counters.read_place(Place {
                    name: "gateway",
                    folder: &folder,
                    receives: Direction::There,
                    sends: Direction::Back,
                    whose: Whose::Gateway,
                })?;
                counters.read_place(Place {
                    name: "harness",
                    folder: own,
                    receives: Direction::Back,
                    sends: Direction::There,
                    whose: Whose::Others,
                })?;
            }
            None => counters.read_place(Place {
                name: "host",
                folder: own,
                receives: Direction::Unknown,
                sends: Direction::Unknown,
                whose: Whose::Others,
            })?,
        }
        counters.add_softnet(&fs::read_to_string("/proc/net/softnet_stat")?);
        rings.into_iter().for_each(|rings| counters.add_rings(rings));
        Ok(counters)
    }

    /// What has been added since `before`.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for counter in &mut self.0 {
            let was = before.0.iter().find(|it| it.name == counter.name).map_or(0, |it| it.value);
            counter.value = counter.value.saturating_sub(was);
        }
        self
    }

    /// Packets of one direction that the kernel says it dropped for want of room of theirs.
    pub(crate) fn lost(&self, way: Direction, whose: Whose) -> u64 {
        self.losses(way, whose).map(|counter| counter.value).sum()
    }

    /// The counters that say so, with how many: `harness_rx_drop 7`.
    pub(crate) fn named(&self, way: Direction, whose: Whose) -> Vec<String> {
        self.losses(way, whose).map(|it| format!("{} {}", it.name, it.value)).collect()
    }

    fn losses(&self, way: Direction, whose: Whose) -> impl Iterator<Item = &Counter> {
        self.0.iter().filter(move |it| it.loss == Some(whose) && it.way == way && it.value > 0)
    }

    /// So many that the gateway's sockets had no room for, and so many for which the wire had none on the way
    /// there.
    #[cfg(test)]
    pub(crate) fn of_losses(sockets: u64, wire: u64) -> Self {
        let counter = |name: &str, whose, value| Counter {
            name: name.to_owned(),
            words: String::new(),
            way: Direction::There,
            loss: Some(whose),
            value,
        };
        Self(vec![
            counter("gateway_rcvbuferrors", Whose::Gateway, sockets),
            counter("harness_tx_drop", Whose::Others, wire),
        ])
    }

    /// All of them.
    pub(crate) fn section(&self) -> Section {
        let mut section = Section::new("the kernel's counters, from before the first call to after the last");
        for Counter { name, words, value, .. } in &self.0 {
            section.count(&format!("kernel_{name}"), words, *value, "");
        }
        section
    }

    fn read_place(&mut self, place: Place<'_>) -> io::Result<()> {
        let read = |file| fs::read_to_string(format!("{}/{file}", place.folder));
        self.add_interfaces(place, &read("dev")?);
        self.add_protocols(place, &read("snmp")?);
        Ok(())
    }

    /// Of `/proc/net/dev`, all interfaces together: of eight numbers of each direction, the third and fourth.
    fn add_interfaces(&mut self, place: Place<'_>, dev: &str) {
        let mut sums = [0; 4];
        for line in dev.lines().skip(2).filter_map(|line| line.split_once(':')) {
            let fields: Vec<u64> = line.1.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
            for (sum, field) in sums.iter_mut().zip([2, 3, 10, 11]) {
                *sum += fields.get(field).copied().unwrap_or_default();
            }
        }
        let [receive_errors, receive_drops, send_errors, send_drops] = sums;
        // What is sent is dropped where the queue of the other end is full.
        let (own, others) = (place.whose, Whose::Others);
        self.add(place, "rx_errs", "interfaces, received: errs", place.receives, receive_errors, others);
        self.add(place, "rx_drop", "interfaces, received: drop", place.receives, receive_drops, own);
        self.add(place, "tx_errs", "interfaces, sent: errs", place.sends, send_errors, others);
        self.add(place, "tx_drop", "interfaces, sent: drop", place.sends, send_drops, others);
    }

    /// Of `/proc/net/snmp`: a line of names, then one of numbers, for each protocol.
    fn add_protocols(&mut self, place: Place<'_>, snmp: &str) {
        let value = |protocol: &str, name: &str| {
            let mut lines = snmp.lines().filter_map(|line| line.strip_prefix(protocol));
            let (names, numbers) = (lines.next()?, lines.next()?);
            let at = names.split_ascii_whitespace().position(|it| it == name)?;
            numbers.split_ascii_whitespace().nth(at)?.parse().ok()
        };
        for (protocol, name, is_received, is_of_sockets) in PROTOCOLS {
            // Kernels that do not know one do not count it.
            let Some(value) = value(protocol, name) else { continue };
            let way = if is_received { place.receives } else { place.sends };
            let words = format!("{protocol} {name}");
            let whose = if is_of_sockets { place.whose } else { Whose::Others };
            self.add(place, &name.to_ascii_lowercase(), &words, way, value, whose);
        }
    }

    /// Of `/proc/net/softnet_stat`, all CPUs of the host together: the second and third number of a line.
    fn add_softnet(&mut self, softnet: &str) {
        let column = |at| {
            let field = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(at)?, 16).ok();
            softnet.lines().filter_map(field).sum()
        };
        let (way, whose) = (Direction::Unknown, Whose::Others);
        let host = Place { name: "softnet", folder: "", receives: way, sends: way, whose };
        self.add(host, "dropped", "of the host: dropped", way, column(1), whose);
        self.note(host, "squeezed", "of the host: times NAPI's budget ended", way, column(2));
    }

    /// What a ring drops its interface counts as dropped, too: these say why.
    fn add_rings(&mut self, rings: RingStatistics) {
        let own = Place {
            name: "harness_xdp",
            folder: "",
            receives: Direction::Back,
            sends: Direction::There,
            whose: Whose::Others,
        };
        let RingStatistics {
            receive_dropped,
            receive_ring_full,
            fill_ring_empty,
            receive_invalid,
            transmit_invalid,
        } = rings;
        self.note(own, "rx_dropped", "rings: rx_dropped", own.receives, receive_dropped);
        self.note(own, "rx_ring_full", "rings: rx_ring_full", own.receives, receive_ring_full);
        self.note(own, "fill_ring_empty", "rings: rx_fill_ring_empty_descs", own.receives, fill_ring_empty);
        self.note(own, "rx_invalid", "rings: rx_invalid_descs", own.receives, receive_invalid);
        self.note(own, "tx_invalid", "rings: tx_invalid_descs", own.sends, transmit_invalid);
    }

    fn add(&mut self, place: Place<'_>, name: &str, words: &str, way: Direction, value: u64, whose: Whose) {
        self.note(place, name, words, way, value);
        self.0.iter_mut().next_back().expect("one was added just now").loss = Some(whose);
    }

    fn note(&mut self, place: Place<'_>, name: &str, words: &str, way: Direction, value: u64) {
        let (name, words) = (format!("{}_{name}", place.name), format!("{} {words}", place.name));
        self.0.push(Counter { name, words, way, loss: None, value });
    }
}

/// What the protocols count of what they drop, whether of what is received, and whether for want of room in
/// the sockets or of the sockets themselves.
const PROTOCOLS: [(&str, &str, bool, bool); 8] = [
    ("Ip:", "InDiscards", true, false),
    ("Ip:", "OutDiscards", false, false),
    ("Ip:", "OutNoRoutes", false, false),
    ("Udp:", "NoPorts", true, true),
    ("Udp:", "RcvbufErrors", true, true),
    ("Udp:", "SndbufErrors", false, true),
    ("Udp:", "InCsumErrors", true, false),
    ("Udp:", "MemErrors", true, true),
];

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Place<'_> = Place {
        name: "gateway",
        folder: "",
        receives: Direction::There,
        sends: Direction::Back,
        whose: Whose::Gateway,
    };
    const HARNESS: Place<'_> = Place {
        name: "harness",
        folder: "",
        receives: Direction::Back,
        sends: Direction::There,
        whose: Whose::Others,
    };

    fn counters(place: Place<'_>, dev: &str, snmp: &str) -> Counters {
        let mut counters = Counters::default();
        counters.add_interfaces(place, dev);
        counters.add_protocols(place, snmp);
        counters
    }

    #[test]
    fn what_was_dropped_is_told_by_direction_and_by_the_kernels_own_name() {
        const HEAD: &str = "Inter-| Receive\n face |bytes\n";
        let before = counters(GATEWAY, &format!("{HEAD}veth0: 10 1 0 3 0 0 0 0 20 2 0 4 0 0 0 0\n"), "");
        let dev =
            format!("{HEAD}lo: 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0\nveth0: 90 9 0 5 0 0 0 0 70 7 0 9 0 0 0 0\n");
        let snmp = "Ip: InDiscards OutNoRoutes\nIp: 0 2\nUdp: NoPorts RcvbufErrors\nUdp: 0 40\n";
        let since = counters(GATEWAY, &dev, snmp).since(&before);
        let (own, others) = (Whose::Gateway, Whose::Others);
        assert_eq!(since.lost(Direction::There, own), 3 + 40);
        assert_eq!(since.lost(Direction::Back, others), 5 + 2);
        assert_eq!(since.named(Direction::There, own), ["gateway_rx_drop 3", "gateway_rcvbuferrors 40"]);
        assert_eq!(since.named(Direction::Back, others), ["gateway_tx_drop 5", "gateway_outnoroutes 2"]);
    }

    #[test]
    fn what_the_gateway_does_not_take_at_its_end_is_its_own_loss_and_nobody_else_s() {
        let dev = " | Receive\n |bytes\nveth0: 0 0 1 2 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let snmp =
            "Ip: InDiscards\nIp: 4\nUdp: NoPorts RcvbufErrors InCsumErrors MemErrors\nUdp: 8 16 32 64\n";
        let at = |place| counters(place, dev, snmp);
        assert_eq!(at(GATEWAY).lost(Direction::There, Whose::Gateway), 2 + 8 + 16 + 64);
        assert_eq!(at(GATEWAY).lost(Direction::There, Whose::Others), 1 + 4 + 32);
        assert_eq!(at(HARNESS).lost(Direction::Back, Whose::Gateway), 0);
        assert_eq!(at(HARNESS).lost(Direction::Back, Whose::Others), 127);
    }

    #[test]
    fn what_is_counted_elsewhere_too_or_may_be_of_others_is_of_neither_direction() {
        let mut counters = Counters::default();
        counters.add_softnet("00000009 00000002 0000000a 0\n00000009 00000003 00000001 0\n");
        counters.add_rings(RingStatistics { receive_ring_full: 9, ..RingStatistics::default() });
        let whose = Whose::Others;
        assert_eq!((counters.lost(Direction::There, whose), counters.lost(Direction::Back, whose)), (0, 0));
        assert_eq!(counters.named(Direction::Unknown, whose), ["softnet_dropped 5"]);
        assert_eq!(counters.0[1].value, 11);
        assert!(counters.0.iter().any(|it| it.name == "harness_xdp_rx_ring_full" && it.value == 9));
    }

    #[test]
    fn this_host_has_them() {
        let counters = Counters::read(None, None).expect("/proc is there");
        assert!(counters.0.iter().any(|it| it.name == "host_rcvbuferrors"));
        assert!(counters.clone().since(&counters).0.iter().all(|it| it.value == 0));
        let both = Counters::read(Some(std::process::id()), Some(RingStatistics::default()));
        assert!(both.expect("/proc is there").0.iter().any(|it| it.name == "gateway_tx_drop"));
    }
}
