//! A response as its text says it, read without the gateway's own parser.

use std::net::SocketAddr;

/// A response to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The return code.
    pub code: u16,
    /// The transaction.
    pub transaction: u32,
    /// The whole text.
    pub text: String,
}

impl Reply {
    /// Reads a response; `None` if the datagram is a command.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let code = words.next()?.parse().ok()?;
        let transaction = words.next()?.parse().ok()?;
        Some(Self { code, transaction, text: text.to_owned() })
    }

    /// The value of a parameter line, such as `I`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let header = self.text.split("\r\n\r\n").next()?;
        header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// The connection's name.
    ///
    /// # Panics
    /// If there is none.
    pub fn connection(&self) -> String {
        self.parameter("I").unwrap_or_else(|| panic!("no I: in {}", self.text)).to_owned()
    }

    /// The session description behind the parameters.
    pub fn description(&self) -> Option<&str> {
        self.text.split_once("\r\n\r\n").map(|(_, body)| body).filter(|body| !body.is_empty())
    }

    /// Where the description wants RTP sent.
    ///
    /// # Panics
    /// If it does not say.
    pub fn rtp(&self) -> SocketAddr {
        let body = self.description().unwrap_or_else(|| panic!("no description in {}", self.text));
        let word = |start: &str, n: usize| {
            body.lines().find(|line| line.starts_with(start)).and_then(|line| line.split_whitespace().nth(n))
        };
        let address = word("c=", 2).and_then(|a| a.parse().ok()).expect("c= has an address");
        let port = word("m=audio", 1).and_then(|p| p.parse().ok()).expect("m= has a port");
        SocketAddr::new(address, port)
    }

    /// One of the connection parameters of `P:`, such as `PR`.
    pub fn seen(&self, name: &str) -> Option<u64> {
        let list = self.parameter("P")?;
        list.split(',').find_map(|item| item.trim().strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    }
}
