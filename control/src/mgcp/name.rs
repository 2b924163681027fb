//! Names: endpoints with their wildcards, connections, calls, requests, entities (RFC 3435 §2.1).
//!
//! All of them are compared without regard to case and kept as they were spelt: what a name comes
//! from the other side as is what it goes back as (§2.1.2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Octets that a local name, and that a domain may have (RFC 3435 §3.2.1.3).
const NAME_OCTETS_MAX: usize = 255;

/// Octets that a range wildcard may have (RFC 3435 §E.5).
const RANGE_OCTETS_MAX: usize = 128;

/// What is wrong with a name: the rule of RFC 3435's grammar that it breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameError(pub &'static str);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid {}", self.0)
    }
}

impl std::error::Error for NameError {}

/// An endpoint's name, possibly with wildcards: `ds/e1-1/17@gw.example.net`.
///
/// `==` tells spellings apart; [`is_same_as`](Self::is_same_as) does not.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EndpointName {
    /// The local name's terms; at least one.
    pub local: Vec<Term>,
    /// The domain, as it was spelt, with the port that some call agents put behind it.
    pub domain: String,
}

impl EndpointName {
    /// The domain without a port and without brackets: what tells whose endpoint it is.
    pub fn host(&self) -> &str {
        unbracketed(split_port(&self.domain).0)
    }

    /// Whether a term names all of something: `*`, or a range.
    pub fn has_all_of(&self) -> bool {
        self.local.iter().any(|term| matches!(term, Term::All | Term::Range(_)))
    }

    /// Whether a term names any one of something: `$`.
    pub fn has_any_of(&self) -> bool {
        self.local.contains(&Term::Any)
    }

    /// Whether both say the same, whatever their case.
    // RFC 3435 §2.1.2: both parts of an endpoint's name are case-insensitive.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.domain.eq_ignore_ascii_case(&other.domain)
            && self.local.len() == other.local.len()
            && self.local.iter().zip(&other.local).all(|(a, b)| a.is_same_as(b))
    }
}

impl FromStr for EndpointName {
    type Err = NameError;

    // RFC 3435 §2.1.2: terms between single slashes, then `@`, then the gateway's domain.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (local, domain) = text.split_once('@').ok_or(NameError("endpointName"))?;
        if local.len() > NAME_OCTETS_MAX {
            return Err(NameError("LocalEndpointName"));
        }
        check_domain(domain)?;
        let local = local.split('/').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { local, domain: domain.to_owned() })
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.local.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            write!(f, "{slash}{term}")?;
        }
        write!(f, "@{}", self.domain)
    }
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
    /// All of those with a number in a range: `ds1-[1-2]`, `[1,3,20-24]`.
    Range(RangeWildcard),
}

impl Term {
    /// Whether an endpoint whose name has `word` in this place is meant.
    pub fn matches(&self, word: &str) -> bool {
        match self {
            Self::Word(own) => own.eq_ignore_ascii_case(word),
            Self::All | Self::Any => true,
            Self::Range(range) => range.matches(word),
        }
    }

    /// Whether both say the same, whatever their case.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.eq_ignore_ascii_case(b),
            (Self::Range(a), Self::Range(b)) => {
                a.before.eq_ignore_ascii_case(&b.before)
                    && a.after.eq_ignore_ascii_case(&b.after)
                    && a.numbers == b.numbers
            }
            (a, b) => a == b,
        }
    }
}

impl FromStr for Term {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => return Ok(Self::All),
            "$" => return Ok(Self::Any),
            "" => return Err(NameError("LocalNamePart")),
            _ => {}
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"$*/@".contains(&b)) {
            return Err(NameError("NameString"));
        }
        // A bracket that begins no range is a letter like others.
        Ok(RangeWildcard::parse(text).map_or_else(|| Self::Word(text.to_owned()), Self::Range))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::All => f.write_str("*"),
            Self::Any => f.write_str("$"),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// A range wildcard (RFC 3435 §E.5), with the letters around its brackets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RangeWildcard {
    /// What stands before the brackets: the `ds1-` of `ds1-[1-2]`.
    pub before: String,
    /// Numbers, first and last of each run; at least one run, no more than 64.
    pub numbers: Vec<(u32, u32)>,
    /// What stands behind the brackets.
    pub after: String,
}

impl RangeWildcard {
    fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once('[')?;
        let (inside, after) = rest.split_once(']')?;
        // RFC 3435 §E.5: names with ranges have no other bracket, and a range is of bounded length.
        if after.contains(['[', ']']) || before.contains(']') || inside.len() > RANGE_OCTETS_MAX {
            return None;
        }
        let numbers = inside.split(',').map(run).collect::<Option<_>>()?;
        Some(Self { before: before.to_owned(), numbers, after: after.to_owned() })
    }

    fn matches(&self, word: &str) -> bool {
        let Some(number) = strip_prefix_ignore_case(word, &self.before)
            .and_then(|rest| strip_suffix_ignore_case(rest, &self.after))
            .and_then(decimal)
        else {
            return false;
        };
        self.numbers.iter().any(|&(first, last)| (first..=last).contains(&number))
    }
}

impl fmt::Display for RangeWildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.before)?;
        for (index, (first, last)) in self.numbers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            if last != first {
                write!(f, "-{last}")?;
            }
        }
        write!(f, "]{}", self.after)
    }
}

/// `4` or `4-7`, never backwards.
fn run(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (decimal(first)?, decimal(last)?);
    (first <= last).then_some((first, last))
}

/// Up to nine decimal digits, as a number.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// The name of a call agent: `ca@host:port`. Each of its endpoints has a copy, so that copies are cheap.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EntityName {
    /// The part before the `@`, if there is one.
    pub local: Option<Arc<str>>,
    /// A host name, or an address in brackets.
    pub domain: Arc<str>,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
}

impl EntityName {
    /// The host to look up, or its address, without brackets.
    pub fn host(&self) -> &str {
        unbracketed(&self.domain)
    }
}

impl FromStr for EntityName {
    type Err = NameError;

    // RFC 3435 §2.1.4: names of only a domain are taken, too.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (local, rest) = match text.split_once('@') {
            Some((local, rest)) => (Some(local), rest),
            None => (None, text),
        };
        if let Some(local) = local {
            let is_name =
                (1..=NAME_OCTETS_MAX).contains(&local.len()) && local.bytes().all(|b| b.is_ascii_graphic());
            if !is_name {
                return Err(NameError("LocalName"));
            }
        }
        let (domain, port) = split_port(rest);
        // A colon that is left is that of a bare IPv6 address.
        let is_port = port.map_or(!unbracketed(domain).contains(':') || is_address(domain), |port| port > 0);
        if !is_port {
            return Err(NameError("portNumber"));
        }
        check_domain(rest)?;
        Ok(Self { local: local.map(Arc::from), domain: domain.into(), port })
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = &self.local {
            write!(f, "{local}@")?;
        }
        f.write_str(&self.domain)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn unbracketed(domain: &str) -> &str {
    domain.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(domain)
}

/// Whether it is an IPv6 address, with brackets and a zone or without.
fn is_address(domain: &str) -> bool {
    let (address, zone) = unbracketed(domain).split_once('%').unwrap_or((unbracketed(domain), ""));
    address.parse::<Ipv6Addr>().is_ok() && zone.bytes().all(is_of_a_label)
}

/// `host:port` as host and port; a bare IPv6 address has no port.
fn split_port(domain: &str) -> (&str, Option<u16>) {
    match domain.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (domain, None),
        },
        _ => (domain, None),
    }
}

/// Host names, addresses in brackets, `#` and a number, each perhaps with a port.
///
/// Underscores and bare IPv6 addresses are not in the grammar, but are in use.
fn check_domain(domain: &str) -> Result<(), NameError> {
    let host = split_port(domain).0;
    let is_host = if host.starts_with('[') {
        is_address(host) || unbracketed(host).parse::<Ipv4Addr>().is_ok()
    } else if host.contains(':') {
        is_address(host)
    } else {
        let (name, is_letter): (_, fn(u8) -> bool) = match host.strip_prefix('#') {
            Some(number) => (number, |b| b.is_ascii_digit()),
            None => (host, is_of_a_label),
        };
        !name.is_empty() && name.bytes().all(is_letter)
    };
    if is_host && domain.len() <= NAME_OCTETS_MAX { Ok(()) } else { Err(NameError("DomainName")) }
}

fn is_of_a_label(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b".-_".contains(&octet)
}

/// One to 32 hex digits, as they were spelt.
///
/// RFC 3435 §3.2.2.2, §3.2.2.5, §3.2.2.18: identifiers are compared as strings, so that `0A` is not
/// `A`; §3.2: and without regard to case, so that `0a` is `0A`.
#[derive(Clone, Copy)]
struct HexString {
    digits: [u8; HexString::DIGITS_MAX],
    len: u8,
}

impl HexString {
    const DIGITS_MAX: usize = 32;

    fn new(text: &str) -> Option<Self> {
        let is_hex =
            (1..=Self::DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex {
            return None;
        }
        let mut digits = [0; Self::DIGITS_MAX];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { digits, len: text.len() as u8 })
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.digits[..usize::from(self.len)]).expect("hex digits are ASCII")
    }
}

impl PartialEq for HexString {
    fn eq(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl Eq for HexString {}

impl Hash for HexString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.digits.map(|digit| digit.to_ascii_lowercase()));
    }
}

macro_rules! hex_name {
    ($(#[$doc:meta])* $name:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(HexString);

        impl $name {
            /// Its digits, as they were spelt.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                HexString::new(text).map(Self).ok_or(NameError($rule))
            }
        }

        /// A number as upper-case hex digits, at least eight of them.
        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(HexString::new(&format!("{number:08X}")).expect("u64 has up to 16 hex digits"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    };
}

hex_name! {
    /// A connection's name: up to 32 hex digits, given by the gateway.
    ConnectionId, "ConnectionId"
}

hex_name! {
    /// A call's name: up to 32 hex digits, given by the call agent.
    CallId, "CallId"
}

hex_name! {
    /// A request's name: up to 32 hex digits, given by the call agent.
    RequestId, "RequestIdentifier"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> EndpointName {
        text.parse().expect(text)
    }

    #[test]
    fn names_in_use_come_back_as_they_were_spelt() {
        for text in [
            "ds/ds1-1/1@127.0.0.1:2427",
            "ds/ds1-1/1@[127.0.0.1]",
            "ds/e1-1/s-2/su64-0@mgw",
            "rtpbridge/*@mgw",
            "rtpbridge/12C@mgw",
            "null@mgw",
            "S3/DS1-1/1@name",
            "*@host",
            "ds/ds1-1/*@host",
            "hrd4/56@gw23.example.net",
            "Busy-signal@ann12.example.net",
            "aaln/$@[2001:db8::1]:2427",
            "ds/ds1-[1-2]/*@gw",
            "ds/ds1-1/[1,3,20-24]@gw",
            "ds/odd[name/1@gw",
            "x@#5",
        ] {
            assert_eq!(endpoint(text).to_string(), text);
        }
    }

    #[test]
    fn names_that_are_none_are_refused_by_rule() {
        let long = "x".repeat(256);
        for (text, rule) in [
            ("ds/e1-1/1", "endpointName"),
            ("@gw", "LocalNamePart"),
            ("ds//1@gw", "LocalNamePart"),
            ("ds/1*@gw", "NameString"),
            ("ds/1 2@gw", "NameString"),
            ("ds/1@", "DomainName"),
            ("ds/1@:2427", "DomainName"),
            ("ds/1@[]", "DomainName"),
            ("ds/1@a@b", "DomainName"),
            ("ds/1@a b", "DomainName"),
            ("ds/1@[10.0.0.1", "DomainName"),
            (&format!("{long}@gw"), "LocalEndpointName"),
            (&format!("1@{long}"), "DomainName"),
        ] {
            assert_eq!(text.parse::<EndpointName>(), Err(NameError(rule)), "{text}");
        }
    }

    #[test]
    fn host_has_neither_port_nor_brackets() {
        for (text, host) in [
            ("1@gw.example.net", "gw.example.net"),
            ("1@127.0.0.1:2427", "127.0.0.1"),
            ("1@[127.0.0.1]", "127.0.0.1"),
            ("1@[::1]:2427", "::1"),
            ("1@::1", "::1"),
        ] {
            assert_eq!(endpoint(text).host(), host);
        }
    }

    #[test]
    fn case_is_kept_and_does_not_matter() {
        let (a, b) = (endpoint("DS/E1-[1]/*@GW"), endpoint("ds/e1-[1]/*@gw"));
        assert!(a != b && a.is_same_as(&b));
        assert!(!a.is_same_as(&endpoint("ds/e1-[2]/*@gw")));
        assert!(!a.is_same_as(&endpoint("ds/e1-[1]@gw")));
    }

    #[test]
    fn terms_match_words() {
        for (term, word, does) in [
            ("E1-1", "e1-1", true),
            ("e1-1", "e1-11", false),
            ("*", "anything", true),
            ("$", "anything", true),
            ("[1,3,20-24]", "3", true),
            ("[1,3,20-24]", "24", true),
            ("[1,3,20-24]", "2", false),
            ("[1,3,20-24]", "x", false),
            ("DS1-[1-2]", "ds1-2", true),
            ("ds1-[1-2]", "e1-2", false),
            ("su[1-2]-0", "su2-0", true),
            ("su[1-2]-0", "su2-1", false),
        ] {
            let parsed: Term = term.parse().expect(term);
            assert_eq!(parsed.matches(word), does, "{term} {word}");
        }
    }

    #[test]
    fn ranges_that_are_none_are_words() {
        let long = format!("[{}1]", "1,".repeat(64));
        for text in ["[]", "[2-1]", "[1", "1]", "[1,]", "[1-2-3]", "[x]", "[1][2]", "[1234567890]", &long] {
            assert_eq!(text.parse(), Ok(Term::Word(text.to_owned())));
        }
    }

    #[test]
    fn entities_have_a_host_and_perhaps_more() {
        for (text, local, host, port) in [
            ("ca@ca1.whatever.net:5678", Some("ca"), "ca1.whatever.net", Some(5678)),
            ("CA-1@whatever.net", Some("CA-1"), "whatever.net", None),
            ("ca@[1.2.3.4]:2727", Some("ca"), "1.2.3.4", Some(2727)),
            ("[128.96.41.12]", None, "128.96.41.12", None),
            ("10.0.0.1", None, "10.0.0.1", None),
            ("ca@[2001:db8::1]:2427", Some("ca"), "2001:db8::1", Some(2427)),
        ] {
            let entity: EntityName = text.parse().expect(text);
            assert_eq!((entity.local.as_deref(), entity.host(), entity.port), (local, host, port));
            assert_eq!(entity.to_string(), text);
        }
        for none in ["ca@host:65536", "ca@host:0", "ca@host:", "ca@host:x"] {
            assert_eq!(none.parse::<EntityName>(), Err(NameError("portNumber")), "{none}");
        }
        assert!("ca@2001:db8::1".parse::<EntityName>().is_ok());
        assert_eq!("@host".parse::<EntityName>(), Err(NameError("LocalName")));
        assert_eq!("ca@".parse::<EntityName>(), Err(NameError("DomainName")));
        assert_eq!("".parse::<EntityName>(), Err(NameError("DomainName")));
    }

    // RFC 3435 Appendix A, DomainName: what is in brackets is an address, what is behind `#` a number.
    #[test]
    fn a_domain_is_a_name_an_address_or_a_number() {
        for domain in [
            "gw",
            "gw-1.example.net",
            "a_b",
            "10.0.0.1",
            "[10.0.0.1]",
            "[::1]",
            "[fe80::1%eth0]",
            "::1",
            "#17",
        ] {
            assert!(
                check_domain(domain).is_ok() && check_domain(&format!("{domain}:2427")).is_ok(),
                "{domain}"
            );
        }
        for none in
            ["", "g:w", "%sgw", "gw#", "[gw]", "[10.0.0.256]", "[::1", "::1]", "[]", "#", "#a", "fe80::1%<"]
        {
            assert_eq!(check_domain(none), Err(NameError("DomainName")), "{none}");
        }
    }

    #[test]
    fn ids_are_hex_strings_not_numbers() {
        let id = |text: &str| text.parse::<ConnectionId>();
        assert_eq!(id("1eb2943e"), id("1EB2943E"));
        assert_ne!(id("0A"), id("A"));
        assert_eq!(id("1eb2943e").map(|id| id.to_string()), Ok("1eb2943e".to_owned()));
        assert_eq!(ConnectionId::from(0x1EB).as_str(), "000001EB");
        for bad in ["", "x", "12 ", &"0".repeat(33)] {
            assert_eq!(id(bad), Err(NameError("ConnectionId")), "{bad}");
        }
        assert!(id(&"F".repeat(32)).is_ok());
    }
}
