//! Which command has changed which part of an endpoint: what has to be known to undo one of several.

/// A command whose orders are under way, by the order in which they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExecutionId(pub u64);

/// One of the things that commands set of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Its law.
    Law,
    /// Whether its echo is cancelled.
    Echo,
    /// N
    Name,
    /// RED/NL
    List,
    /// The way that the last command came.
    Heard,
}

impl Part {
    /// How many there are.
    pub const N: usize = Self::ALL.len();
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Law, Self::Echo, Self::Name, Self::List, Self::Heard];
}
