//! A simulated network, under a clock that is moved by hand.
//!
//! It joins gateways' [`SimSockets`], RTP peers and call agents ([`SimEndpoint`]) and loses, delays,
//! reorders and doubles what they send each other, the same way each time for the same seed and the
//! same calls. It is as large as it was made: no datagram allocates, and what finds no room is
//! dropped and counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{DATAGRAM_MAX, Dscp, Full, NetCounters, PortSlot, Ports, RtpSockets};
use crate::time::Instant;

/// A network. Its clones are the same network.
#[derive(Clone, Debug)]
pub struct SimNet(Arc<Mutex<Network>>);

/// What a path does to datagrams; by default nothing, in no time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Impairment {
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The share that comes twice, 0 to 1, each with a delay of its own.
    pub duplicate: f64,
    /// The time each takes at least.
    pub delay: Duration,
    /// The most that is added to the delay, evenly spread. More than the time between two datagrams
    /// reorders them.
    pub jitter: Duration,
    /// The share that is held back by [`hold`](Self::hold), so that later ones overtake it, 0 to 1.
    pub reorder: f64,
    /// How long those are held back.
    pub hold: Duration,
}

/// What has become of the datagrams of a whole network; each field only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SimCounters {
    /// Come to where they were sent.
    pub delivered: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Doubled on purpose.
    pub duplicated: u64,
    /// Come to an address that nobody has.
    pub unreachable: u64,
    /// Dropped because the network had no room, as a sender or as a copy.
    pub full: u64,
}

impl SimNet {
    /// A network with room for `datagrams` on the way and waiting at once.
    pub fn new(seed: u64, datagrams: usize) -> Self {
        Self(Arc::new(Mutex::new(Network::new(seed, datagrams))))
    }

    /// Sockets at all of `ports`.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn sockets(&self, ports: &Ports) -> SimSockets {
        let mut network = self.network();
        let inbox = network.new_inbox();
        for (slot, address) in ports.iter() {
            network.bind(address, Owner { inbox, slot });
        }
        let queued = Vec::with_capacity(network.pool.len());
        drop(network);
        SimSockets {
            net: self.clone(),
            inbox,
            addresses: ports.iter().map(|(_, address)| address).collect(),
            queued,
            counters: NetCounters::default(),
        }
    }

    /// A plain socket at `address`.
    ///
    /// # Panics
    /// If the address is taken.
    pub fn endpoint(&self, address: SocketAddr) -> SimEndpoint {
        let mut network = self.network();
        let inbox = network.new_inbox();
        network.bind(address, Owner { inbox, slot: PortSlot(0) });
        drop(network);
        SimEndpoint { net: self.clone(), inbox, address }
    }

    /// What paths do to datagrams sent from now on, but those to hosts of [`impair_to`](Self::impair_to).
    pub fn impair(&self, impairment: Impairment) {
        self.network().impairment = impairment;
    }

    /// What the paths to one host do to datagrams sent from now on.
    pub fn impair_to(&self, host: IpAddr, impairment: Impairment) {
        self.network().impairment_to.insert(host, impairment);
    }

    /// Moves the clock to `now`, never back, and delivers what is due by then.
    pub fn advance(&self, now: Instant) {
        self.network().advance(now);
    }

    /// When the next datagram arrives somewhere, if one is on the way.
    pub fn next_delivery(&self) -> Option<Instant> {
        self.network().on_the_way.peek().map(|Reverse((arrives, ..))| *arrives)
    }

    /// What has become of all datagrams so far.
    pub fn counters(&self) -> SimCounters {
        self.network().counters
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        // Who panicked has failed its test already; what it owned must still be able to unbind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plain socket on a [`SimNet`]: an RTP peer's, a call agent's, a gateway's MGCP socket.
///
/// Its address is free again when it is dropped.
#[derive(Debug)]
pub struct SimEndpoint {
    net: SimNet,
    inbox: usize,
    address: SocketAddr,
}

impl SimEndpoint {
    /// The address it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram of any length.
    pub fn send(&self, to: SocketAddr, octets: &[u8]) {
        let mut network = self.net.network();
        if let Some(id) = network.take_free() {
            let datagram = &mut network.pool[id];
            (datagram.from, datagram.to) = (self.address, to);
            datagram.octets.clear();
            datagram.octets.extend_from_slice(octets);
            network.send(id);
        }
    }

    /// The next datagram that has come: who sent it, when it came, its octets.
    pub fn receive(&self) -> Option<(SocketAddr, Instant, Vec<u8>)> {
        let mut network = self.net.network();
        let id = network.take_received(self.inbox)?;
        let datagram = &network.pool[id];
        let received = (datagram.from, datagram.arrives, datagram.octets.clone());
        network.free.push(id);
        Some(received)
    }
}

impl Drop for SimEndpoint {
    fn drop(&mut self) {
        self.net.network().unbind(self.inbox);
    }
}

/// The RTP and RTCP sockets of one core on a [`SimNet`].
#[derive(Debug)]
pub struct SimSockets {
    net: SimNet,
    inbox: usize,
    /// Local addresses in slot order.
    addresses: Vec<SocketAddr>,
    /// Datagrams of the pool that are sent at the next flush.
    queued: Vec<usize>,
    counters: NetCounters,
}

impl RtpSockets for SimSockets {
    fn receive(&mut self, mut f: impl FnMut(PortSlot, SocketAddr, Instant, &[u8])) {
        loop {
            // Its octets are out of the pool while `f` runs, which so may use the network itself.
            let mut network = self.net.network();
            let Some(id) = network.take_received(self.inbox) else { return };
            let Datagram { from, arrives, slot, .. } = network.pool[id];
            let octets = std::mem::take(&mut network.pool[id].octets);
            drop(network);
            if octets.len() > DATAGRAM_MAX {
                self.counters.truncated += 1;
            } else {
                self.counters.received += 1;
                f(slot, from, arrives, &octets);
            }
            let mut network = self.net.network();
            network.pool[id].octets = octets;
            network.free.push(id);
        }
    }

    fn send(
        &mut self,
        from: PortSlot,
        to: SocketAddr,
        len: usize,
        f: impl FnOnce(&mut [u8]),
    ) -> Result<(), Full> {
        assert!(len <= DATAGRAM_MAX, "a datagram of {len} octets is longer than {DATAGRAM_MAX}");
        let mut network = self.net.network();
        let Some(id) = network.take_free() else {
            self.counters.full += 1;
            return Err(Full);
        };
        let datagram = &mut network.pool[id];
        (datagram.from, datagram.to) = (self.addresses[from.0 as usize], to);
        let mut octets = std::mem::take(&mut datagram.octets);
        drop(network);
        octets.resize(len, 0);
        f(&mut octets);
        self.net.network().pool[id].octets = octets;
        self.queued.push(id);
        Ok(())
    }

    /// Does nothing: simulated paths look at no mark.
    fn mark(&mut self, _slot: PortSlot, _dscp: Dscp) {}

    /// Sends what was queued. Does not sleep: who owns the clock moves it.
    fn flush(&mut self, _until: Instant) -> io::Result<()> {
        self.counters.sent += self.queued.len() as u64;
        let mut network = self.net.network();
        self.queued.drain(..).for_each(|id| network.send(id));
        Ok(())
    }

    fn counters(&self) -> NetCounters {
        self.counters
    }
}

impl Drop for SimSockets {
    fn drop(&mut self) {
        let mut network = self.net.network();
        network.free.append(&mut self.queued);
        network.unbind(self.inbox);
    }
}

/// The network itself: a pool of datagrams, each free, being written, on the way, or in an inbox.
#[derive(Debug)]
struct Network {
    now: Instant,
    rng: StdRng,
    impairment: Impairment,
    impairment_to: HashMap<IpAddr, Impairment>,
    owners: HashMap<SocketAddr, Owner>,
    inboxes: Vec<Inbox>,
    pool: Vec<Datagram>,
    free: Vec<usize>,
    /// By arrival; those that arrive together, in the order they were sent in.
    on_the_way: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    sent: u64,
    counters: SimCounters,
}

#[derive(Debug)]
struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    arrives: Instant,
    /// The slot of the inbox that it is in.
    slot: PortSlot,
    /// The one behind it in the same inbox.
    next: Option<usize>,
    octets: Vec<u8>,
}

/// Who receives at an address.
#[derive(Clone, Copy, Debug)]
struct Owner {
    inbox: usize,
    slot: PortSlot,
}

/// Received datagrams, oldest first: a list through the pool.
#[derive(Clone, Copy, Debug, Default)]
struct Inbox {
    first: Option<usize>,
    last: Option<usize>,
}

impl Network {
    fn new(seed: u64, datagrams: usize) -> Self {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let datagram = || Datagram {
            from: nobody,
            to: nobody,
            arrives: Instant::ZERO,
            slot: PortSlot(0),
            next: None,
            octets: Vec::with_capacity(DATAGRAM_MAX),
        };
        Self {
            now: Instant::ZERO,
            rng: StdRng::seed_from_u64(seed),
            impairment: Impairment::default(),
            impairment_to: HashMap::new(),
            owners: HashMap::new(),
            inboxes: Vec::new(),
            pool: (0..datagrams).map(|_| datagram()).collect(),
            free: (0..datagrams).rev().collect(),
            on_the_way: BinaryHeap::with_capacity(datagrams),
            sent: 0,
            counters: SimCounters::default(),
        }
    }

    fn new_inbox(&mut self) -> usize {
        self.inboxes.push(Inbox::default());
        self.inboxes.len() - 1
    }

    fn bind(&mut self, address: SocketAddr, owner: Owner) {
        let taken = self.owners.insert(address, owner);
        assert!(taken.is_none(), "{address} is taken");
    }

    fn unbind(&mut self, inbox: usize) {
        self.owners.retain(|_, owner| owner.inbox != inbox);
        while let Some(id) = self.take_received(inbox) {
            self.free.push(id);
        }
    }

    fn take_free(&mut self) -> Option<usize> {
        let id = self.free.pop();
        self.counters.full += u64::from(id.is_none());
        id
    }

    fn take_received(&mut self, inbox: usize) -> Option<usize> {
        let inbox = &mut self.inboxes[inbox];
        let id = inbox.first?;
        inbox.first = self.pool[id].next.take();
        if inbox.first.is_none() {
            inbox.last = None;
        }
        Some(id)
    }

    /// Does to a datagram what its path does.
    fn send(&mut self, id: usize) {
        let host = self.pool[id].to.ip();
        let path = *self.impairment_to.get(&host).unwrap_or(&self.impairment);
        if self.happens(path.loss) {
            self.counters.lost += 1;
            self.free.push(id);
            return;
        }
        let copy = if self.happens(path.duplicate) { self.copy(id) } else { None };
        self.depart(id, path);
        if let Some(copy) = copy {
            self.counters.duplicated += 1;
            self.depart(copy, path);
        }
    }

    fn copy(&mut self, id: usize) -> Option<usize> {
        let copy = self.take_free()?;
        let [original, copied] =
            self.pool.get_disjoint_mut([id, copy]).expect("one that is free is not the one that is sent");
        (copied.from, copied.to) = (original.from, original.to);
        copied.octets.clear();
        copied.octets.extend_from_slice(&original.octets);
        Some(copy)
    }

    fn depart(&mut self, id: usize, path: Impairment) {
        let jitter = self.rng.random_range(0..=path.jitter.as_nanos() as u64);
        let hold = if self.happens(path.reorder) { path.hold } else { Duration::ZERO };
        let arrives = self.now + path.delay + Duration::from_nanos(jitter) + hold;
        self.pool[id].arrives = arrives;
        self.on_the_way.push(Reverse((arrives, self.sent, id)));
        self.sent += 1;
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share.min(1.0))
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some(&Reverse((arrives, _, id))) = self.on_the_way.peek()
            && arrives <= self.now
        {
            self.on_the_way.pop();
            self.deliver(id);
        }
    }

    fn deliver(&mut self, id: usize) {
        let Some(&Owner { inbox, slot }) = self.owners.get(&self.pool[id].to) else {
            self.counters.unreachable += 1;
            self.free.push(id);
            return;
        };
        self.counters.delivered += 1;
        self.pool[id].slot = slot;
        let inbox = &mut self.inboxes[inbox];
        match inbox.last.replace(id) {
            Some(last) => self.pool[last].next = Some(id),
            None => inbox.first = Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PortRange;

    const ROOM: usize = 1_000;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn gateway(net: &SimNet) -> SimSockets {
        let address = [192, 0, 2, 1].into();
        net.sockets(&Ports(vec![PortRange { address, first: 20_000, pairs: 2 }]))
    }

    /// One datagram a millisecond from one endpoint to another over an impaired path: what came when.
    fn run(seed: u64, impairment: Impairment) -> (Vec<(Instant, u8)>, SimCounters) {
        let net = SimNet::new(seed, ROOM);
        net.impair(impairment);
        let (from, to) = (net.endpoint(address("192.0.2.1:1")), net.endpoint(address("192.0.2.2:2")));
        for i in 0..200 {
            net.advance(ms(i));
            from.send(to.address(), &[i as u8]);
        }
        net.advance(ms(10_000));
        let came = std::iter::from_fn(|| to.receive()).map(|(_, at, octets)| (at, octets[0])).collect();
        (came, net.counters())
    }

    #[test]
    fn a_clean_network_carries_all_in_order_and_no_time() {
        let (came, counters) = run(1, Impairment::default());
        assert!(came.into_iter().eq((0..200).map(|i| (ms(i), i as u8))));
        assert_eq!(counters, SimCounters { delivered: 200, ..SimCounters::default() });
    }

    #[test]
    fn the_same_seed_does_the_same_and_another_something_else() {
        let bad = Impairment {
            loss: 0.1,
            duplicate: 0.1,
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(30),
            reorder: 0.1,
            hold: Duration::from_millis(15),
        };
        assert_eq!(run(7, bad), run(7, bad));
        assert_ne!(run(7, bad), run(8, bad));
    }

    #[test]
    fn losses_and_copies_come_in_their_shares_and_are_counted() {
        let (came, counters) = run(3, Impairment { loss: 0.2, duplicate: 0.3, ..Impairment::default() });
        assert!((20..60).contains(&counters.lost), "{counters:?}");
        assert!((25..75).contains(&counters.duplicated), "{counters:?}");
        assert_eq!(counters.delivered, 200 - counters.lost + counters.duplicated);
        assert_eq!(came.len() as u64, counters.delivered);
    }

    #[test]
    fn delay_and_jitter_keep_their_bounds() {
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(5));
        let (came, _) = run(4, Impairment { delay, jitter, ..Impairment::default() });
        for (at, i) in came {
            let took = at.since(ms(i.into()));
            assert!((delay..=delay + jitter).contains(&took), "{i} took {took:?}");
        }
    }

    #[test]
    fn those_held_back_are_overtaken() {
        let hold = Duration::from_micros(2_500);
        let (came, _) = run(5, Impairment { reorder: 0.1, hold, ..Impairment::default() });
        let overtaken = came.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
        assert!((5..40).contains(&overtaken), "{overtaken} of 200");
    }

    #[test]
    fn an_impaired_host_leaves_the_others_alone() {
        let net = SimNet::new(1, ROOM);
        let (a, b) = (net.endpoint(address("192.0.2.1:1")), net.endpoint(address("192.0.2.2:1")));
        net.impair_to(b.address().ip(), Impairment { loss: 1.0, ..Impairment::default() });
        a.send(b.address(), b"lost");
        b.send(a.address(), b"not lost");
        net.advance(ms(0));
        assert_eq!(b.receive(), None);
        assert_eq!(a.receive(), Some((b.address(), ms(0), b"not lost".to_vec())));
    }

    #[test]
    fn sockets_receive_by_slot_and_send_at_the_flush() {
        let net = SimNet::new(1, ROOM);
        let (mut sockets, peer) = (gateway(&net), net.endpoint(address("[2001:db8::1]:9")));
        sockets.send(PortSlot(3), peer.address(), 2, |octets| octets.copy_from_slice(b"hi")).unwrap();
        assert_eq!(net.next_delivery(), None, "nothing leaves before the flush");
        sockets.flush(Instant::ZERO).unwrap();
        assert_eq!(net.next_delivery(), Some(ms(0)));
        net.advance(ms(0));
        assert_eq!(peer.receive(), Some((address("192.0.2.1:20003"), ms(0), b"hi".to_vec())));

        peer.send(address("192.0.2.1:20002"), b"yes");
        net.advance(ms(1));
        let mut received = Vec::new();
        sockets.receive(|slot, from, at, octets| received.push((slot, from, at, octets.to_vec())));
        assert_eq!(received, [(PortSlot(2), peer.address(), ms(0), b"yes".to_vec())]);
        assert_eq!(sockets.counters(), NetCounters { received: 1, sent: 1, ..NetCounters::default() });
    }

    #[test]
    fn a_datagram_too_long_for_the_sockets_is_counted_and_dropped() {
        let net = SimNet::new(1, ROOM);
        let (mut sockets, peer) = (gateway(&net), net.endpoint(address("192.0.2.2:9")));
        peer.send(address("192.0.2.1:20000"), &[0; DATAGRAM_MAX + 1]);
        net.advance(ms(0));
        sockets.receive(|_, _, _, _| panic!("it is dropped"));
        assert_eq!(sockets.counters().truncated, 1);
    }

    #[test]
    fn what_finds_no_room_is_refused_and_room_comes_back() {
        let net = SimNet::new(1, 2);
        let (mut sockets, peer) = (gateway(&net), net.endpoint(address("192.0.2.2:9")));
        for round in 1..=3 {
            let mut send = || sockets.send(PortSlot(0), peer.address(), 1, |_| ());
            assert_eq!([send(), send(), send()], [Ok(()), Ok(()), Err(Full)]);
            assert_eq!(sockets.counters().full, round);
            sockets.flush(Instant::ZERO).unwrap();
            net.advance(ms(0));
            assert_eq!(std::iter::from_fn(|| peer.receive()).count(), 2);
        }
    }

    #[test]
    fn an_address_is_free_again_and_nobodys_when_its_owner_is_gone() {
        let net = SimNet::new(1, 1);
        let peer = net.endpoint(address("192.0.2.2:9"));
        for _ in 0..3 {
            let gone = net.endpoint(address("192.0.2.3:9")).address();
            peer.send(gone, b"anybody?");
            net.advance(ms(0));
        }
        assert_eq!(net.counters(), SimCounters { unreachable: 3, ..SimCounters::default() });
    }

    #[test]
    #[should_panic(expected = "192.0.2.1:20001 is taken")]
    fn an_address_has_one_owner() {
        let net = SimNet::new(1, ROOM);
        let _other = net.endpoint(address("192.0.2.1:20001"));
        gateway(&net);
    }
}
