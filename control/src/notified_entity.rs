//! Whom endpoints talk to: notified entities, and where they are (RFC 3435 §2.1.4).
//!
//! An endpoint's notified entity is a name, given by configuration or by `N:`. Where that is the
//! [`Directory`] knows: it asks for names to be looked up and keeps the answers for as long as they
//! hold. Responses never come through here: they go back the way their command came.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use drivers::time::Instant;

use crate::change::Part;
use crate::mgcp::message::Path;
use crate::mgcp::name::EntityName;

/// Where call agents listen unless the name says otherwise (RFC 3435 §3.2.1.3).
const CALL_AGENT_PORT: u16 = 2727;

/// Host names that can be known at a time.
const HOSTS_MAX: usize = 1_024;

/// A name that was looked up so recently is not in doubt (RFC 3435 §4.3).
const RECENT: Duration = Duration::from_secs(5);

/// How long addresses hold at least. RFC 1035 §3.2.1: a time to live of 0 is good for the transaction that asked.
const HOLD_MIN: Duration = Duration::from_secs(1);

/// How long a look-up that failed is not tried again, at least.
const FAILED_FOR_MIN: Duration = Duration::from_secs(5);

/// An endpoint's notified entity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NotifiedEntity {
    name: Option<EntityName>,
    /// The names that follow it (RFC 3991 §2.1).
    list: Arc<[EntityName]>,
    last: Option<Path>,
}

/// What a message says of the notified entity. What it is silent about stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Naming {
    /// N, which may be there and empty.
    pub name: Option<Option<EntityName>>,
    /// RED/NL, which may be empty.
    pub list: Option<Arc<[EntityName]>>,
}

/// A notified entity as something that a message can be sent to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// By name; in this order if there are several.
    Names(Vec<EntityName>),
    /// Where the last command came from, and which of our addresses it was sent to.
    Heard(Path),
}

impl NotifiedEntity {
    /// Sets its name, from the configuration or from `N:`, which may be empty.
    pub fn set_name(&mut self, name: Option<EntityName>) {
        self.name = name;
    }

    /// Takes over what a message says.
    pub fn take(&mut self, naming: &Naming) {
        if let Some(name) = &naming.name {
            self.name.clone_from(name);
        }
        if let Some(list) = &naming.list {
            self.list = list.clone();
        }
    }

    /// Takes its name, its list, or the way it was heard by from another.
    pub fn restore(&mut self, part: Part, from: &Self) {
        match part {
            Part::Name => self.name.clone_from(&from.name),
            Part::List => self.list = from.list.clone(),
            Part::Heard => self.last = from.last,
            Part::Law | Part::Echo => {}
        }
    }

    /// A command that came this way, other than an audit, has succeeded.
    // RFC 3435 §2.1.4: its source is the notified entity while none has been named.
    pub fn heard(&mut self, path: Path) {
        self.last = Some(path);
    }

    /// The notified entity now; `None` if none was named and nobody was heard.
    // RFC 3991 §2.1: N, unless it is empty, stands in front of the list.
    pub fn target(&self) -> Option<Target> {
        let names: Vec<_> = self.names().cloned().collect();
        if names.is_empty() { self.last.map(Target::Heard) } else { Some(Target::Names(names)) }
    }

    /// The way that the last command came.
    pub fn heard_by(&self) -> Option<Path> {
        self.last
    }

    /// The list that follows the name.
    pub fn list(&self) -> &[EntityName] {
        &self.list
    }

    /// Whether `target` is what [`target`](Self::target) gives.
    pub fn is_at(&self, target: &Target) -> bool {
        match target {
            Target::Names(names) => self.names().eq(names),
            Target::Heard(path) => self.names().next().is_none() && self.last == Some(*path),
        }
    }

    /// Whether none was named and nobody was heard.
    pub fn is_nobody(&self) -> bool {
        self.names().next().is_none() && self.last.is_none()
    }

    fn names(&self) -> impl Iterator<Item = &EntityName> {
        self.name.iter().chain(self.list.iter())
    }
}

impl Target {
    /// Its name, for `N:`: the first of several; that of an address is the address in brackets.
    pub fn to_name(&self) -> EntityName {
        match self {
            Self::Names(names) => names.first().expect("a target of names has at least one").clone(),
            Self::Heard(Path { remote, .. }) => EntityName {
                local: None,
                domain: format!("[{}]", remote.ip()).into(),
                port: Some(remote.port()),
            },
        }
    }
}

/// Where named hosts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Our own addresses, which messages leave from.
    listen: Vec<SocketAddr>,
    hosts: BTreeMap<String, Host>,
    /// Names that are to be looked up.
    wanted: VecDeque<String>,
    /// How often a name was not looked up because there were too many.
    refused: u64,
}

/// What is known of a host.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Host {
    /// Whether it is being looked up.
    is_asked: bool,
    known: Option<Known>,
}

/// A host's addresses, perhaps none, as they were told at some time, until another.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    at: Instant,
    until: Instant,
}

impl Host {
    fn holds(&self, now: Instant) -> Option<&Known> {
        self.known.as_ref().filter(|known| known.until > now)
    }
}

/// How to reach someone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// These ways, of which there is at least one; each may do.
    Ways(Vec<Path>),
    /// It is being looked up.
    Asked,
    /// Not at all, for now.
    Nowhere,
}

impl Directory {
    /// Knows nobody. Messages leave from `listen`.
    pub fn new(listen: &[SocketAddr]) -> Self {
        Self { listen: listen.to_vec(), hosts: BTreeMap::new(), wanted: VecDeque::new(), refused: 0 }
    }

    /// How to reach someone; begins to look names up if need be. Of a name's addresses, the one that
    /// was `heard` comes first.
    // RFC 3991 §2.1: all addresses of the first name, then all of the second, and so on. Names further
    // down that are still being looked up add theirs later.
    pub fn route(&mut self, now: Instant, target: &Target, heard: Option<Path>) -> Route {
        let names = match target {
            Target::Heard(path) => return Route::Ways(vec![*path]),
            Target::Names(names) => names,
        };
        let (mut all, mut is_asked) = (Vec::new(), false);
        for name in names {
            match self.route_to_name(now, name) {
                Route::Ways(mut ways) => {
                    prefer(heard, &mut ways);
                    ways.retain(|way| !all.contains(way));
                    all.extend(ways);
                }
                Route::Asked if all.is_empty() => is_asked = true,
                Route::Asked | Route::Nowhere => {}
            }
        }
        match (is_asked, all.is_empty()) {
            (true, _) => Route::Asked,
            (false, false) => Route::Ways(all),
            (false, true) => Route::Nowhere,
        }
    }

    /// A look-up has ended; in vain if there are no addresses.
    pub fn resolved(&mut self, now: Instant, host: &str, addresses: Vec<IpAddr>, ttl: Duration) {
        let Some(host) = self.hosts.get_mut(host) else { return };
        host.is_asked = false;
        if !addresses.is_empty() {
            host.known = Some(Known { addresses, at: now, until: now + ttl.max(HOLD_MIN) });
            return;
        }
        // A resolver that fails does not make us forget where a call agent was.
        let ttl = ttl.max(FAILED_FOR_MIN);
        match &mut host.known {
            Some(known) => known.until = known.until.max(now + ttl),
            None => host.known = Some(Known { addresses, at: now, until: now + ttl }),
        }
    }

    /// Looks up again where someone is who does not answer, unless that was done recently, or is being
    /// done, or an address stands where the name would.
    pub fn suspect(&mut self, now: Instant, target: &Target) {
        if let Target::Names(names) = target {
            names.iter().for_each(|name| self.look_up_again(now, name));
        }
    }

    /// The same for an entity that has not answered at any address.
    // RFC 3991 §2.1: at Max2 only the last name is looked up.
    pub fn give_up(&mut self, now: Instant, target: &Target) {
        if let Target::Names(names) = target {
            names.last().into_iter().for_each(|name| self.look_up_again(now, name));
        }
    }

    /// Whether a look-up is under way.
    pub fn is_asking(&self) -> bool {
        self.hosts.values().any(|host| host.is_asked)
    }

    /// How often a name was not looked up because as many were known as can be.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// A host name to look up.
    pub fn poll_resolve(&mut self) -> Option<String> {
        self.wanted.pop_front()
    }

    fn look_up_again(&mut self, now: Instant, name: &EntityName) {
        let host = name.host();
        let is_recent = |host: &Host| host.known.as_ref().is_some_and(|known| now.since(known.at) < RECENT);
        if host.parse::<IpAddr>().is_err() && !self.hosts.get(host).is_some_and(is_recent) {
            self.ask(now, host);
        }
    }

    fn route_to_name(&mut self, now: Instant, name: &EntityName) -> Route {
        let port = name.port.unwrap_or(CALL_AGENT_PORT);
        let host = name.host();
        if let Ok(address) = host.parse() {
            return self.ways(port, &[address]);
        }
        match self.hosts.get(host).and_then(|host| host.holds(now)) {
            Some(known) => self.ways(port, &known.addresses),
            // RFC 3435 §2.1.4: a name whose time to live has passed is looked up again.
            None => self.ask(now, host),
        }
    }

    fn ask(&mut self, now: Instant, name: &str) -> Route {
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(name) {
            self.hosts.retain(|_, host| host.is_asked || host.holds(now).is_some());
            if self.hosts.len() >= HOSTS_MAX {
                self.refused += 1;
                return Route::Nowhere;
            }
        }
        let host = self.hosts.entry(name.to_owned()).or_default();
        if !host.is_asked {
            host.is_asked = true;
            self.wanted.push_back(name.to_owned());
        }
        Route::Asked
    }

    /// To each of these addresses from our own one of the same family.
    fn ways(&self, port: u16, addresses: &[IpAddr]) -> Route {
        let way = |address: &IpAddr| {
            let local = self.listen.iter().find(|local| local.is_ipv4() == address.is_ipv4())?;
            Some(Path { remote: SocketAddr::new(*address, port), local: *local })
        };
        let ways: Vec<_> = addresses.iter().filter_map(way).collect();
        if ways.is_empty() { Route::Nowhere } else { Route::Ways(ways) }
    }
}

/// Puts the address in front that commands came from, if it is one of these.
// RFC 3435 §4.1, RFC 3991 §2.3: it is chosen first.
fn prefer(heard: Option<Path>, ways: &mut [Path]) {
    let Some(heard) = heard else { return };
    if let Some(place) = ways.iter().position(|way| way.remote.ip() == heard.remote.ip()) {
        ways[..=place].rotate_right(1);
        ways[0].local = heard.local;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000);

    fn directory() -> Directory {
        Directory::new(&["127.0.0.1:2427".parse().expect("an address")])
    }

    fn named(name: &str) -> Target {
        Target::Names(vec![name.parse().expect("a name")])
    }

    fn way(remote: &str) -> Route {
        let local = "127.0.0.1:2427".parse().expect("an address");
        Route::Ways(vec![Path { remote: remote.parse().expect("an address"), local }])
    }

    #[test]
    fn literal_addresses_are_not_looked_up() {
        let mut directory = directory();
        assert_eq!(directory.route(NOW, &named("ca@[192.0.2.1]:2427"), None), way("192.0.2.1:2427"));
        assert_eq!(directory.route(NOW, &named("ca@[192.0.2.1]"), None), way("192.0.2.1:2727"));
        assert_eq!(directory.route(NOW, &named("ca@[2001:db8::1]"), None), Route::Nowhere);
        assert_eq!(directory.poll_resolve(), None);
    }

    #[test]
    fn a_name_is_looked_up_once_and_again_when_its_time_has_passed() {
        let mut directory = directory();
        let target = named("ca@ca.example.net:2427");
        assert_eq!(directory.route(NOW, &target, None), Route::Asked);
        assert_eq!(directory.route(NOW, &target, None), Route::Asked);
        assert_eq!(directory.poll_resolve().as_deref(), Some("ca.example.net"));
        assert_eq!(directory.poll_resolve(), None);
        let addresses = vec!["2001:db8::1".parse().expect("v6"), "192.0.2.1".parse().expect("v4")];
        directory.resolved(NOW, "ca.example.net", addresses, Duration::from_secs(60));
        assert_eq!(directory.route(NOW, &target, None), way("192.0.2.1:2427"));
        assert_eq!(directory.route(NOW + Duration::from_secs(61), &target, None), Route::Asked);
    }

    #[test]
    fn addresses_that_do_not_hold_at_all_do_for_the_moment() {
        let mut directory = directory();
        let target = named("ca@ca.example.net:2427");
        directory.route(NOW, &target, None);
        let addresses = vec!["192.0.2.1".parse().expect("v4")];
        directory.resolved(NOW, "ca.example.net", addresses, Duration::ZERO);
        assert_eq!(directory.route(NOW, &target, None), way("192.0.2.1:2427"));
        assert_eq!(directory.route(NOW + Duration::from_secs(1), &target, None), Route::Asked);
    }

    #[test]
    fn a_resolver_that_fails_leaves_what_was_known() {
        let mut directory = directory();
        let target = named("ca@ca.example.net:2427");
        directory.route(NOW, &target, None);
        let addresses = vec!["192.0.2.1".parse().expect("v4")];
        directory.resolved(NOW, "ca.example.net", addresses, Duration::from_secs(5));
        let later = NOW + Duration::from_secs(100);
        assert_eq!(directory.route(later, &target, None), Route::Asked);
        directory.resolved(later, "ca.example.net", Vec::new(), Duration::ZERO);
        assert_eq!(directory.route(later, &target, None), way("192.0.2.1:2427"));
        assert_eq!(directory.route(later + Duration::from_secs(6), &target, None), Route::Asked);
    }

    #[test]
    fn a_name_that_has_no_address_is_let_be_for_a_while() {
        let mut directory = directory();
        let target = named("ca@ca.example.net");
        directory.route(NOW, &target, None);
        directory.resolved(NOW, "ca.example.net", Vec::new(), Duration::ZERO);
        assert_eq!(directory.route(NOW + Duration::from_secs(4), &target, None), Route::Nowhere);
        assert_eq!(directory.route(NOW + Duration::from_secs(6), &target, None), Route::Asked);
    }

    #[test]
    fn all_addresses_of_a_name_are_ways_and_doubt_has_them_looked_up_again() {
        let mut directory = directory();
        let target = named("ca@ca.example.net");
        directory.route(NOW, &target, None);
        let told = |directory: &mut Directory, now, addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().expect("one")).collect();
            directory.resolved(now, "ca.example.net", addresses, Duration::from_secs(60));
        };
        told(&mut directory, NOW, &["192.0.2.1", "192.0.2.2"]);
        let Route::Ways(ways) = directory.route(NOW, &target, None) else { panic!("it is known") };
        assert_eq!(ways.len(), 2);
        directory.poll_resolve();
        directory.suspect(NOW + Duration::from_secs(4), &target);
        assert_eq!(directory.poll_resolve(), None, "it was looked up recently");
        let later = NOW + Duration::from_secs(6);
        directory.suspect(later, &target);
        directory.suspect(later, &target);
        assert_eq!(directory.poll_resolve().as_deref(), Some("ca.example.net"));
        assert_eq!(directory.poll_resolve(), None, "once is enough");
        assert!(matches!(directory.route(later, &target, None), Route::Ways(_)), "what is known still holds");
        told(&mut directory, later, &[]);
        assert_eq!(directory.route(later, &target, None), Route::Ways(ways), "also when the look-up fails");
    }

    #[test]
    fn the_last_source_counts_while_nobody_is_named() {
        let remote = "192.0.2.9:2427".parse().expect("an address");
        let source = Path { remote, local: "127.0.0.1:2427".parse().expect("an address") };
        let mut entity = NotifiedEntity::default();
        assert_eq!(entity.target(), None);
        assert!(entity.is_nobody());
        entity.heard(source);
        assert_eq!(entity.target(), Some(Target::Heard(source)));
        entity.set_name(Some("ca@example.net".parse().expect("a name")));
        assert_eq!(entity.target(), Some(named("ca@example.net")));
        entity.set_name(None);
        assert_eq!(entity.target(), Some(Target::Heard(source)));
    }
}
