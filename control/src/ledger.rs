//! The ledger: everything that can run out, and who keeps how much of it.
//!
//! An order to a core cannot fail, because what it needs was taken from here first: a plan asks
//! whether there is enough, its commit takes. So this is the one place where a call can be refused
//! for want of something, and the one place to look when something leaks.
//!
//! Port pairs are handed out oldest first: packets of an old call that come late find its pair idle
//! for as long as there are others.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use drivers::net::{PortSlot, Ports};

use crate::endpoint::EndpointId;
use crate::topology::CoreId;

/// How much of one thing there is, is used, and was used at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// How much there is.
    pub capacity: usize,
    /// How much is used now.
    pub used: usize,
    /// How much was used at most.
    pub high_water: usize,
}

impl Usage {
    /// Nothing used of `capacity`.
    pub const fn of(capacity: usize) -> Self {
        Self { capacity, used: 0, high_water: 0 }
    }

    /// Takes `n`, which the plan has seen to be there.
    pub fn take(&mut self, n: usize) {
        self.used += n;
        self.high_water = self.high_water.max(self.used);
    }

    /// Gives `n` back.
    ///
    /// # Panics
    /// If more is given back than was taken.
    pub fn give(&mut self, n: usize) {
        self.used = self.used.checked_sub(n).expect("only what was taken is given back");
    }
}

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What can run out: each core's port pairs, of each address family, and connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ledger {
    cores: Vec<Core>,
    /// Connections of all endpoints together.
    connections: Usage,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Core {
    ports: Ports,
    v4: Pool,
    v6: Pool,
    /// The endpoint that has each pair, by its RTP slot.
    owners: BTreeMap<PortSlot, EndpointId>,
}

/// Port pairs of one core and family, free ones oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Pool {
    free: VecDeque<PortSlot>,
    usage: Usage,
}

impl Ledger {
    /// All is free: the ports of each core, and `connections` connections.
    pub fn new(ports: &[Ports], connections: usize) -> Self {
        Self { cores: ports.iter().map(Core::new).collect(), connections: Usage::of(connections) }
    }

    /// Takes the pair that [`next_pair`](Self::next_pair) gave, for a connection of this endpoint.
    ///
    /// # Panics
    /// If it is not the one that `next_pair` gives.
    pub fn take_pair(&mut self, core: CoreId, port: PortSlot, owner: EndpointId) {
        let family = self.family(core, port);
        let pool = self.cores[usize::from(core.0)].pool_mut(family);
        let taken = pool.free.pop_front();
        assert_eq!(taken, Some(port), "the plan saw this pair first in line");
        pool.usage.take(1);
        self.cores[usize::from(core.0)].owners.insert(port, owner);
    }

    /// Gives a pair back; it goes last in line.
    pub fn give_pair(&mut self, core: CoreId, port: PortSlot) {
        let family = self.family(core, port);
        let pool = self.cores[usize::from(core.0)].pool_mut(family);
        pool.free.push_back(port);
        pool.usage.give(1);
        self.cores[usize::from(core.0)].owners.remove(&port);
    }

    /// One connection more.
    pub fn take_connection(&mut self) {
        self.connections.take(1);
    }

    /// One connection less.
    pub fn give_connection(&mut self) {
        self.connections.give(1);
    }

    /// The pair that would be taken next on a core, and its local RTP address.
    pub fn next_pair(&self, core: CoreId, family: Family) -> Option<(PortSlot, SocketAddr)> {
        self.pair_behind(core, family, 0)
    }

    /// The pair that would be taken when `n` others have been.
    pub fn pair_behind(&self, core: CoreId, family: Family, n: usize) -> Option<(PortSlot, SocketAddr)> {
        let core = &self.cores[usize::from(core.0)];
        let port = *core.pool(family).free.get(n)?;
        Some((port, core.ports.address(port)?))
    }

    /// The endpoint that has a pair.
    pub fn owner(&self, core: CoreId, port: PortSlot) -> Option<EndpointId> {
        self.cores.get(usize::from(core.0))?.owners.get(&port).copied()
    }

    /// Whether any core has a pair left.
    pub fn has_pairs(&self) -> bool {
        self.cores
            .iter()
            .any(|core| [Family::V4, Family::V6].iter().any(|family| !core.pool(*family).free.is_empty()))
    }

    /// The pair that an address is of.
    pub fn port_at(&self, address: SocketAddr) -> Option<(CoreId, PortSlot)> {
        let mut cores = (0..).map(CoreId).zip(&self.cores);
        cores.find_map(|(id, core)| Some((id, core.ports.slot(address)?.rtp())))
    }

    /// Whether nothing is taken.
    pub fn is_empty(&self) -> bool {
        self.connections.used == 0 && self.pairs().all(|(_, _, usage)| usage.used == 0)
    }

    /// Connections of the whole gateway.
    pub fn connections(&self) -> Usage {
        self.connections
    }

    /// Port pairs, by core and family.
    pub fn pairs(&self) -> impl Iterator<Item = (CoreId, Family, Usage)> + '_ {
        self.cores.iter().enumerate().flat_map(|(index, core)| {
            let id = CoreId(u16::try_from(index).expect("cores are counted in 16 bits"));
            [(id, Family::V4, core.v4.usage), (id, Family::V6, core.v6.usage)]
        })
    }

    fn family(&self, core: CoreId, port: PortSlot) -> Family {
        let address = self.cores[usize::from(core.0)].ports.address(port);
        Family::of(address.expect("a pair is one of its core's ports").ip())
    }
}

impl Core {
    fn new(ports: &Ports) -> Self {
        let mut core =
            Self { ports: ports.clone(), v4: Pool::default(), v6: Pool::default(), owners: BTreeMap::new() };
        for (slot, address) in ports.iter().filter(|(slot, _)| slot.is_rtp()) {
            let pool = core.pool_mut(Family::of(address.ip()));
            pool.free.push_back(slot);
            pool.usage.capacity += 1;
        }
        core
    }

    fn pool_mut(&mut self, family: Family) -> &mut Pool {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    fn pool(&self, family: Family) -> &Pool {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use drivers::net::PortRange;

    use super::*;

    const CORE: CoreId = CoreId(0);

    fn ledger() -> Ledger {
        let v4 = PortRange { address: Ipv4Addr::LOCALHOST.into(), first: 16_384, pairs: 2 };
        let v6 = PortRange { address: Ipv6Addr::LOCALHOST.into(), first: 16_384, pairs: 1 };
        Ledger::new(&[Ports(vec![v4, v6])], 3)
    }

    fn take(ledger: &mut Ledger, family: Family) -> Option<PortSlot> {
        let (port, _) = ledger.next_pair(CORE, family)?;
        ledger.take_pair(CORE, port, EndpointId(3));
        Some(port)
    }

    #[test]
    fn a_pair_just_freed_is_the_last_to_be_taken_again() {
        let mut ledger = ledger();
        let first = take(&mut ledger, Family::V4).expect("two are free");
        ledger.give_pair(CORE, first);
        let second = take(&mut ledger, Family::V4).expect("two are free");
        assert_ne!(first, second);
        assert_eq!(take(&mut ledger, Family::V4), Some(first));
    }

    #[test]
    fn families_have_pairs_of_their_own() {
        let mut ledger = ledger();
        let (port, address) = ledger.next_pair(CORE, Family::V6).expect("one is free");
        assert_eq!(address, "[::1]:16384".parse().expect("an address"));
        ledger.take_pair(CORE, port, EndpointId(3));
        assert_eq!(ledger.next_pair(CORE, Family::V6), None);
        assert!(ledger.next_pair(CORE, Family::V4).is_some());
    }

    #[test]
    fn usage_knows_its_highest_point() {
        let mut ledger = ledger();
        let pairs: Vec<_> = (0..2).filter_map(|_| take(&mut ledger, Family::V4)).collect();
        for port in pairs {
            ledger.give_pair(CORE, port);
        }
        assert!(ledger.is_empty());
        let (_, _, usage) = ledger.pairs().next().expect("one core");
        assert_eq!(usage, Usage { capacity: 2, used: 0, high_water: 2 });
    }
}
