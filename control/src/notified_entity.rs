//! Whom endpoints talk to: notified entities, and where they are (RFC 3435 §2.1.4).
//!
//! An endpoint's notified entity is a name, given by configuration or by `N:`. Where that is the
//! [`Directory`] knows: it asks for names to be looked up and keeps the answers for as long as they
//! hold. Responses never come through here: they go back the way their command came.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use drivers::time::Instant;

use crate::mgcp::message::Path;
use crate::mgcp::name::EntityName;

/// Where call agents listen unless the name says otherwise (RFC 3435 §3.2.1.3).
const CALL_AGENT_PORT: u16 = 2727;

/// Host names that can be known at a time.
const HOSTS_MAX: usize = 1_024;

/// How long a look-up that failed is not tried again, at least.
const FAILED_FOR_MIN: Duration = Duration::from_secs(5);

/// An endpoint's notified entity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NotifiedEntity {
    name: Option<EntityName>,
    last: Option<Path>,
}

/// A notified entity as something that a message can be sent to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A name.
    Name(EntityName),
    /// Where the last command came from, and which of our addresses it was sent to.
    Heard(Path),
}

impl NotifiedEntity {
    /// An entity that was given: by configuration, or by `N:`, which may be empty.
    pub fn name(&mut self, name: Option<EntityName>) {
        self.name = name;
    }

    /// A command that came this way, other than an audit, has succeeded.
    // RFC 3435 §2.1.4: its source is the notified entity while none has been named.
    pub fn heard(&mut self, path: Path) {
        self.last = Some(path);
    }

    /// The notified entity now; `None` if none was named and nobody was heard.
    pub fn target(&self) -> Option<Target> {
        let name = self.name.clone().map(Target::Name);
        name.or_else(|| self.last.map(Target::Heard))
    }

    /// Whether that is the target now.
    pub fn is_at(&self, target: &Target) -> bool {
        match (&self.name, target) {
            (Some(own), Target::Name(name)) => own == name,
            (None, Target::Heard(path)) => self.last == Some(*path),
            (Some(_), Target::Heard(_)) | (None, Target::Name(_)) => false,
        }
    }

    /// Whether none was named and nobody was heard.
    pub fn is_nobody(&self) -> bool {
        self.name.is_none() && self.last.is_none()
    }
}

impl Target {
    /// Its name, for `N:`: that of an address is the address in brackets.
    pub fn to_name(&self) -> EntityName {
        match self {
            Self::Name(name) => name.clone(),
            Self::Heard(Path { remote, .. }) => {
                EntityName { local: None, domain: format!("[{}]", remote.ip()), port: Some(remote.port()) }
            }
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
}

/// What is known of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Host {
    /// It is being looked up.
    Asked,
    /// Its addresses, or that it has none, until then.
    Known { addresses: Vec<IpAddr>, until: Instant },
}

/// How to reach someone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// This way.
    Way(Path),
    /// It is being looked up.
    Asked,
    /// Not at all, for now.
    Nowhere,
}

impl Directory {
    /// Knows nobody. Messages leave from `listen`.
    pub fn new(listen: &[SocketAddr]) -> Self {
        Self { listen: listen.to_vec(), hosts: BTreeMap::new(), wanted: VecDeque::new() }
    }

    /// How to reach someone; begins to look the name up if need be.
    pub fn route(&mut self, now: Instant, target: &Target) -> Route {
        match target {
            Target::Heard(path) => Route::Way(*path),
            Target::Name(name) => self.route_to_name(now, name),
        }
    }

    /// A look-up has ended; in vain if there are no addresses.
    pub fn resolved(&mut self, now: Instant, host: &str, addresses: Vec<IpAddr>, ttl: Duration) {
        let ttl = if addresses.is_empty() { ttl.max(FAILED_FOR_MIN) } else { ttl };
        self.hosts.insert(host.to_owned(), Host::Known { addresses, until: now + ttl });
    }

    /// Whether a look-up is under way.
    pub fn is_asking(&self) -> bool {
        self.hosts.values().any(|host| *host == Host::Asked)
    }

    /// A host name to look up.
    pub fn poll_resolve(&mut self) -> Option<String> {
        self.wanted.pop_front()
    }

    fn route_to_name(&mut self, now: Instant, name: &EntityName) -> Route {
        let port = name.port.unwrap_or(CALL_AGENT_PORT);
        let host = name.host();
        if let Ok(address) = host.parse() {
            return self.way(SocketAddr::new(address, port));
        }
        match self.hosts.get(host) {
            Some(Host::Asked) => Route::Asked,
            Some(Host::Known { addresses, until }) if *until > now => {
                let ways = addresses.iter().map(|address| self.way(SocketAddr::new(*address, port)));
                ways.into_iter().find(|way| *way != Route::Nowhere).unwrap_or(Route::Nowhere)
            }
            // RFC 3435 §2.1.4: a name whose time to live has passed is looked up again.
            Some(Host::Known { .. }) | None => self.ask(now, host),
        }
    }

    fn ask(&mut self, now: Instant, host: &str) -> Route {
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.retain(|_, known| match known {
                Host::Asked => true,
                Host::Known { until, .. } => *until > now,
            });
        }
        if self.hosts.len() >= HOSTS_MAX {
            return Route::Nowhere;
        }
        self.hosts.insert(host.to_owned(), Host::Asked);
        self.wanted.push_back(host.to_owned());
        Route::Asked
    }

    /// From our own address of the same family.
    fn way(&self, remote: SocketAddr) -> Route {
        let same_family = |local: &&SocketAddr| local.is_ipv4() == remote.is_ipv4();
        let local = self.listen.iter().find(same_family);
        local.map_or(Route::Nowhere, |local| Route::Way(Path { remote, local: *local }))
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
        Target::Name(name.parse().expect("a name"))
    }

    fn way(remote: &str) -> Route {
        let local = "127.0.0.1:2427".parse().expect("an address");
        Route::Way(Path { remote: remote.parse().expect("an address"), local })
    }

    #[test]
    fn literal_addresses_are_not_looked_up() {
        let mut directory = directory();
        assert_eq!(directory.route(NOW, &named("ca@[192.0.2.1]:2427")), way("192.0.2.1:2427"));
        assert_eq!(directory.route(NOW, &named("ca@[192.0.2.1]")), way("192.0.2.1:2727"));
        assert_eq!(directory.route(NOW, &named("ca@[2001:db8::1]")), Route::Nowhere);
        assert_eq!(directory.poll_resolve(), None);
    }

    #[test]
    fn a_name_is_looked_up_once_and_again_when_its_time_has_passed() {
        let mut directory = directory();
        let target = named("ca@ca.example.net:2427");
        assert_eq!(directory.route(NOW, &target), Route::Asked);
        assert_eq!(directory.route(NOW, &target), Route::Asked);
        assert_eq!(directory.poll_resolve().as_deref(), Some("ca.example.net"));
        assert_eq!(directory.poll_resolve(), None);
        let addresses = vec!["2001:db8::1".parse().expect("v6"), "192.0.2.1".parse().expect("v4")];
        directory.resolved(NOW, "ca.example.net", addresses, Duration::from_secs(60));
        assert_eq!(directory.route(NOW, &target), way("192.0.2.1:2427"));
        assert_eq!(directory.route(NOW + Duration::from_secs(61), &target), Route::Asked);
    }

    #[test]
    fn a_name_that_has_no_address_is_let_be_for_a_while() {
        let mut directory = directory();
        let target = named("ca@ca.example.net");
        directory.route(NOW, &target);
        directory.resolved(NOW, "ca.example.net", Vec::new(), Duration::ZERO);
        assert_eq!(directory.route(NOW + Duration::from_secs(4), &target), Route::Nowhere);
        assert_eq!(directory.route(NOW + Duration::from_secs(6), &target), Route::Asked);
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
        entity.name(Some("ca@example.net".parse().expect("a name")));
        assert_eq!(entity.target(), Some(named("ca@example.net")));
        entity.name(None);
        assert_eq!(entity.target(), Some(Target::Heard(source)));
    }
}
