//! Which station a datagram goes to next: a table between one worker, which asks, and the resolver, which
//! finds out.
//!
//! Neither ever waits for the other. The worker claims an entry for an address it has not met, and sends
//! through the kernel until the resolver has written a station there; the resolver writes only where the
//! claim it has read still stands. A claim and its answer are one word, so that is one compare-exchange.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use super::frame::Mac;

/// The next hops of one core's datagrams.
#[derive(Debug)]
pub(super) struct NextHops {
    /// Sets of [`WAYS`] entries; an address has its place in one of them.
    entries: Box<[Entry]>,
    /// Claims so far.
    claims: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(32))]
struct Entry {
    /// The station in the lower 48 bits, if [`KNOWN`]; [`CLAIMED`]; the claim's number above.
    word: AtomicU64,
    /// The address that is asked for: IPv6, or IPv4 mapped into it.
    address: [AtomicU64; 2],
    /// Whether it was asked for since the resolver last looked.
    used: AtomicBool,
}

/// Entries that an address can be in.
const WAYS: usize = 4;

/// The entry is somebody's.
const CLAIMED: u64 = 1 << 48;
/// The station is known.
const KNOWN: u64 = 1 << 49;
/// One more than all below the claim's number.
const CLAIM: u64 = 1 << 50;

impl NextHops {
    /// Room for at least so many addresses.
    pub(super) fn new(addresses: usize) -> Self {
        let entries = Self::entries(addresses);
        Self { entries: (0..entries).map(|_| Entry::default()).collect(), claims: AtomicU64::new(0) }
    }

    /// Octets of memory that a table takes.
    pub(super) fn memory(addresses: usize) -> usize {
        Self::entries(addresses) * size_of::<Entry>()
    }

    fn entries(addresses: usize) -> usize {
        (addresses * 2).next_power_of_two().max(WAYS)
    }

    /// The station that datagrams to `address` go to, if it is known. To be asked by the worker only.
    pub(super) fn find(&self, address: IpAddr) -> Option<Mac> {
        let key = key(address);
        let set = self.set(key);
        for entry in set {
            let word = entry.word.load(Ordering::Acquire);
            if word & CLAIMED != 0 && entry.key() == key {
                // Read first: a line that is only read stays in both caches.
                if !entry.used.load(Ordering::Relaxed) {
                    entry.used.store(true, Ordering::Relaxed);
                }
                return (word & KNOWN != 0).then(|| station(word));
            }
        }
        let is_free = |entry: &&Entry| entry.word.load(Ordering::Relaxed) & CLAIMED == 0;
        let is_idle = |entry: &&Entry| !entry.used.load(Ordering::Relaxed);
        let entry = set.iter().find(is_free).or_else(|| set.iter().find(is_idle));
        entry.unwrap_or(&set[key[1] as usize % WAYS]).claim(key);
        let claims = self.claims.load(Ordering::Relaxed);
        self.claims.store(claims.wrapping_add(1), Ordering::Release);
        None
    }

    /// How many claims there were: when it changes, there is something to find out.
    pub(super) fn claims(&self) -> u64 {
        self.claims.load(Ordering::Acquire)
    }

    /// Asks `f` for the station of each address that is asked for. To be called by the resolver only.
    pub(super) fn resolve(&self, mut f: impl FnMut(IpAddr) -> Option<Mac>) {
        for entry in &self.entries {
            let word = entry.word.load(Ordering::Acquire);
            if word & CLAIMED == 0 {
                continue;
            }
            let key = entry.key();
            // The claim is read before and (by the exchange) after the address, so it is its address.
            fence(Ordering::Acquire);
            let station = f(address(key)).map_or(0, |mac| KNOWN | number(mac));
            let answer = word & !(KNOWN | (CLAIMED - 1)) | station;
            if answer != word {
                // It fails when the entry is somebody else's by now; that one is asked for next time.
                let _ = entry.word.compare_exchange(word, answer, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// The addresses that were asked for since this was last called.
    pub(super) fn take_used(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let used = |entry: &&Entry| entry.used.swap(false, Ordering::Relaxed);
        self.entries.iter().filter(used).map(|entry| address(entry.key()))
    }

    fn set(&self, key: [u64; 2]) -> &[Entry] {
        // Fibonacci hashing: the upper bits of the product depend on all bits of the address.
        let mixed = (key[0] ^ key[1].rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sets = self.entries.len() / WAYS;
        let at = (mixed >> 32) as usize % sets * WAYS;
        &self.entries[at..at + WAYS]
    }
}

impl Entry {
    fn key(&self) -> [u64; 2] {
        self.address.each_ref().map(|half| half.load(Ordering::Relaxed))
    }

    /// Makes it the entry of another address.
    fn claim(&self, key: [u64; 2]) {
        let number = (self.word.load(Ordering::Relaxed) & !(CLAIM - 1)).wrapping_add(CLAIM);
        // Nobody's while the address changes, and under a new number from now on.
        self.word.store(number, Ordering::Relaxed);
        fence(Ordering::Release);
        for (half, value) in self.address.iter().zip(key) {
            half.store(value, Ordering::Relaxed);
        }
        self.used.store(true, Ordering::Relaxed);
        self.word.store(number | CLAIMED, Ordering::Release);
    }
}

fn key(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

fn address(key: [u64; 2]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(u128::from(key[0]) << 64 | u128::from(key[1]))).to_canonical()
}

/// A station in the lower 48 bits of a word.
pub(super) fn number(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The station in the lower 48 bits of a word.
pub(super) fn station(word: u64) -> Mac {
    let [_, _, mac @ ..] = word.to_be_bytes();
    mac
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    /// A station that belongs to an address and no other.
    fn station_of(address: IpAddr) -> Mac {
        let IpAddr::V4(v4) = address else { return [6; 6] };
        let [a, b, c, d] = v4.octets();
        [2, 4, a, b, c, d]
    }

    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0A00_0000 + n).into()
    }

    #[test]
    fn a_station_is_known_once_it_was_found_out_and_until_it_is_gone() {
        let hops = NextHops::new(8);
        let addresses = [v4(1), "2001:db8::1".parse().unwrap()];
        assert_eq!(addresses.map(|address| hops.find(address)), [None, None]);
        assert_eq!(hops.claims(), 2);
        hops.resolve(|address| Some(station_of(address)));
        assert_eq!(addresses.map(|a| hops.find(a)), addresses.map(|a| Some(station_of(a))));
        assert_eq!(hops.claims(), 2, "nothing new is asked");
        hops.resolve(|_| None);
        assert_eq!(addresses.map(|address| hops.find(address)), [None, None]);
    }

    #[test]
    fn addresses_that_are_used_stay_and_idle_ones_make_room() {
        let hops = NextHops::new(WAYS / 2);
        for n in 0..WAYS as u32 {
            hops.find(v4(n));
        }
        hops.resolve(|address| Some(station_of(address)));
        assert_eq!(hops.take_used().count(), WAYS);
        (1..WAYS as u32).for_each(|n| assert!(hops.find(v4(n)).is_some()));
        assert_eq!(hops.find(v4(99)), None, "in the place of the idle one");
        (1..WAYS as u32).for_each(|n| assert!(hops.find(v4(n)).is_some()));
        assert_eq!(hops.find(v4(0)), None);
    }

    #[test]
    fn an_address_never_gets_the_station_of_the_one_that_had_its_entry_before() {
        let hops = NextHops::new(1);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    hops.resolve(|address| Some(station_of(address)));
                }
            });
            let mut known = HashMap::new();
            for n in 0..1_000_000 {
                // Long enough with one for the resolver to come by.
                let address = v4(n / 500 % 23);
                if let Some(station) = hops.find(address) {
                    assert_eq!(station, station_of(address));
                    *known.entry(address).or_insert(0) += 1;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(!known.is_empty(), "some were found out in between");
        });
    }
}
