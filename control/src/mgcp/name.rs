//! Names: endpoints with their wildcards, connections, calls, requests, entities (RFC 3435 §2.1).

/// An endpoint's name, possibly with wildcards: `ds/e1-1/17@gw.example.net`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EndpointName {
    /// The local name's terms.
    pub local: Vec<Term>,
    /// The domain, as it was spelt.
    pub domain: String,
}

/// One term of a local name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Term {
    /// A word, as it was spelt; compared without regard to case.
    Word(String),
    /// `*`: all of.
    All,
    /// `$`: any of.
    Any,
}

/// The name of a call agent: `ca@host:port`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EntityName {
    /// The part before the `@`, if there is one.
    pub local: Option<String>,
    /// A host name, or an address in brackets.
    pub domain: String,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
}

/// A connection's name: up to 32 hex digits, given by the gateway.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionId(pub String);

/// A call's name: up to 32 hex digits, given by the call agent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CallId(pub String);

/// A request's name: up to 32 hex digits, given by the call agent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub String);
